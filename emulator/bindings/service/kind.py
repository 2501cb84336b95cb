"""Service bindings: `env.<binding>` of a JavaScript worker calls another worker of the session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from emulator.bindings.kind import BindingKind, Resources, Service
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
}


class ServiceBinding(NamedTuple):
    """A binding to another worker: to its default export, or to what it exports as `entrypoint`."""

    binding: str
    service: str
    entrypoint: str | None = None


class ServiceKind(BindingKind[ServiceBinding]):
    """`services`."""

    name = "service"
    keys = {"services": Key(checks.ARRAY)}
    documentation = ("service", "`services[]`", "not yet: raises an error where it is used", "the other worker")

    def read(self, section: Section) -> None:
        """Take every service that is sound."""
        for path, item in section.items("services"):
            sound = section.read_object(
                path, item, SERVICE_KEYS, required=("binding", "service"), quiet=("environment", "props", "remote")
            )
            if isinstance(item, dict) and item.get("remote"):
                section.findings.warn((*path, "remote"), "is not emulated: the worker is a local one")
            if isinstance(item, dict) and item.get("props"):
                section.findings.warn((*path, "props"), "is not emulated yet: ctx.props is empty")
            if "binding" in sound:
                name_path = (*path, "binding")
                if section.claim(sound["binding"], name_path) and "service" in sound:
                    section.bind(self.name, sound["binding"], ServiceBinding(**sound), name_path)

    def complete(self, draft: Draft) -> None:
        """Warn a Python worker, which has no use for them yet."""
        names = [f"env.{binding.name}" for binding in draft.bindings if binding.kind == self.name]
        if names and draft.main is not None and draft.main.suffix not in JAVASCRIPT_SUFFIXES:
            text = f"is not emulated yet for Python workers: using {', '.join(names)} raises an error"
            draft.findings.warn((*draft.section.path, "services"), text)

    def open(self, resources: Resources) -> Service[ServiceBinding]:
        """The ways from worker to worker."""
        return _Ways()

    def describe(self, worker: WorkerConfig, settings: ServiceBinding) -> str:
        """Where it leads."""
        entrypoint = f", {settings.entrypoint}" if settings.entrypoint else ""
        missing = "" if worker.main.suffix in JAVASCRIPT_SUFFIXES else " (not emulated yet for Python workers)"
        return f"worker {settings.service}{entrypoint}{missing}"

    def changes(self, old: WorkerConfig, new: WorkerConfig) -> Iterator[str]:
        """Services that came, went, or lead elsewhere."""
        from emulator.config.changes import set_changes

        before, after = self.bindings(old), self.bindings(new)
        yield from set_changes("service", before, after)
        for name, service in after.items():
            if name in before and before[name] != service:
                yield f"service {name} changed"


class _Ways(Service[ServiceBinding]):
    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, ServiceBinding]) -> Mapping[str, object]:
        from emulator_runtime.hosting import NotEmulated

        return {name: NotEmulated(f"env.{name} (services in {worker.path.name})") for name in bindings}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, ServiceBinding]) -> Iterator[Wiring]:
        from emulator.bindings.wiring import OtherWorker, Reference, Wiring

        for name, service in bindings.items():
            leads_to = OtherWorker(service.service, service.entrypoint or "")
            yield Wiring(name, {"service": Reference()}, {"": leads_to})


SERVICES: Final = ServiceKind()
