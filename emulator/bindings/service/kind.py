"""Service bindings: `env.<binding>` of a JavaScript worker calls another worker in the session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from emulator.bindings.kind import BindingKind, OpenKind, Resources
from emulator.config import checks
from emulator.config.checks import Check
from emulator.config.model import JAVASCRIPT_SUFFIXES, WorkerConfig
from emulator.config.section import Draft, Key, Section

if TYPE_CHECKING:
    from emulator.bindings.wiring import Wiring

SERVICE_KEYS: Final[Mapping[str, Check]] = {
    "binding": checks.BINDING,
    "service": checks.WORKER_NAME,
    "entrypoint": checks.BINDING,
    "props": checks.OBJECT,
}


class ServiceBinding(NamedTuple):
    """A binding to another worker: to its default export, or if `entrypoint` is not empty, to the export of that
    name. `props` are its `ctx.props` there."""

    binding: str
    service: str
    entrypoint: str | None = None
    props: Mapping[str, object] | None = None


class ServiceKind(BindingKind[ServiceBinding]):
    """`services`."""

    name = "service"
    keys = {"services": Key(checks.ARRAY)}
    documentation = ("service", "`services[]`", "not emulated yet: using it raises an error", "the other worker")

    def read(self, section: Section) -> None:
        """Read every valid service."""
        for path, item in section.items("services"):
            sound = section.read_object(
                path, item, SERVICE_KEYS, required=("binding", "service"), quiet=("environment", "remote")
            )
            if isinstance(item, dict) and item.get("remote"):
                section.findings.not_here((*path, "remote"), "is not emulated: the worker is a local one")
            if "binding" in sound:
                name_path = (*path, "binding")
                if section.claim(sound["binding"], name_path) and "service" in sound:
                    section.bind(self.name, sound["binding"], ServiceBinding(**sound), name_path)

    def complete(self, draft: Draft) -> None:
        """Warn that Python workers cannot use them yet."""
        names = [f"env.{binding.name}" for binding in draft.bindings if binding.kind == self.name]
        if names and draft.main is not None and draft.main.suffix not in JAVASCRIPT_SUFFIXES:
            text = f"is not emulated yet for Python workers: using {', '.join(names)} raises an error"
            draft.findings.not_here((*draft.section.path, "services"), text)

    def typescript_type(self, settings: ServiceBinding) -> str:
        """A stub of whatever the other worker is."""
        return "Fetcher"

    def open(self, resources: Resources) -> OpenKind[ServiceBinding]:
        """The ways from worker to worker."""
        return _OpenServices()

    def describe(self, worker: WorkerConfig, settings: ServiceBinding) -> str:
        """The worker and entrypoint that it calls."""
        entrypoint = f", {settings.entrypoint}" if settings.entrypoint else ""
        missing = "" if worker.main.suffix in JAVASCRIPT_SUFFIXES else " (not emulated yet for Python workers)"
        return f"worker {settings.service}{entrypoint}{missing}"

    def changes(self, old: WorkerConfig, new: WorkerConfig) -> Iterator[str]:
        """Services that were added, removed, or lead to another worker."""
        from emulator.config.changes import set_changes

        before, after = self.bindings(old), self.bindings(new)
        yield from set_changes("service", before, after)
        for name, service in after.items():
            if name in before and before[name] != service:
                yield f"service {name} changed"


class _OpenServices(OpenKind[ServiceBinding]):
    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, ServiceBinding]) -> Mapping[str, object]:
        from emulator_runtime.hosting import NotEmulated

        return {name: NotEmulated(f"env.{name} (services in {worker.path.name})") for name in bindings}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, ServiceBinding]) -> Iterator[Wiring]:
        from emulator.bindings.wiring import OtherWorker, Reference, Wiring

        for name, service in bindings.items():
            entrypoint = "" if service.entrypoint == "default" else service.entrypoint
            leads_to = OtherWorker(service.service, entrypoint or "", service.props)
            yield Wiring(name, {"service": Reference()}, {"": leads_to})


SERVICES: Final = ServiceKind()
