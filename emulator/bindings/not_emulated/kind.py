"""The bindings that wrangler knows and the emulator does not emulate yet, as one binding kind.

They can be declared, so that the worker loads and its other parts work; using one raises an error that names it. The
setting of such a binding is its key in the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emulator.bindings.kind import BindingKind, OpenKind, Resources
from emulator.config import checks
from emulator.config.document import KeyPath
from emulator.config.model import WorkerConfig
from emulator.config.section import Key, Section

if TYPE_CHECKING:
    from emulator.bindings.wiring import Wiring

_MODULE_NAME: Final = "emulator:not-emulated"

_PLACES: Final[Mapping[str, tuple[str, str | None]]] = {
    "ai": ("", "binding"),
    "ai_search": ("", "binding"),
    "ai_search_namespaces": ("", "binding"),
    "artifacts": ("", "binding"),
    "browser": ("", "binding"),
    "data_blobs": ("", None),
    "dispatch_namespaces": ("", "binding"),
    "durable_objects": ("bindings", "name"),
    "flagship": ("", "binding"),
    "images": ("", "binding"),
    "logfwdr": ("bindings", "name"),
    "media": ("", "binding"),
    "mtls_certificates": ("", "binding"),
    "pipelines": ("", "binding"),
    "stream": ("", "binding"),
    "text_blobs": ("", None),
    "unsafe": ("bindings", "name"),
    "unsafe_hello_world": ("", "binding"),
    "vectorize": ("", "binding"),
    "vpc_networks": ("", "binding"),
    "vpc_services": ("", "binding"),
    "wasm_modules": ("", None),
    "worker_loaders": ("", "binding"),
    "workflows": ("", "binding"),
}
"""For each key, the key below it that contains the bindings (empty if the value itself does), and the field with the
name of a binding (empty if the bindings are the keys of an object)."""

_TYPES: Final[Mapping[str, str]] = {
    "ai": "Ai",
    "browser": "Fetcher",
    "data_blobs": "ArrayBuffer",
    "dispatch_namespaces": "DispatchNamespace",
    "durable_objects": "DurableObjectNamespace",
    "hyperdrive": "Hyperdrive",
    "images": "ImagesBinding",
    "mtls_certificates": "Fetcher",
    "text_blobs": "string",
    "vectorize": "VectorizeIndex",
    "vpc_services": "Fetcher",
    "wasm_modules": "WebAssembly.Module",
    "workflows": "Workflow",
}
"""What a binding of a key is in production, in TypeScript."""

_INHERITED: Final = frozenset({"data_blobs", "logfwdr", "text_blobs", "wasm_modules"})
_TOP_LEVEL_ONLY: Final = frozenset({"data_blobs", "text_blobs", "wasm_modules"})


class NotEmulatedKind(BindingKind[str]):
    """Every key that declares bindings and does not belong to another kind."""

    name = "not_emulated"
    keys = {key: Key(checks.ANYTHING, key in _INHERITED, key in _TOP_LEVEL_ONLY) for key in _PLACES}
    documentation = (
        "not emulated yet",
        ", ".join(f"`{key}`" for key in _PLACES),
        "using it raises an error",
        "using it raises an error",
    )

    def read(self, section: Section) -> None:
        """Read the names of the bindings, with one warning for each key."""
        for key, value in section.keys.items():
            if key not in _PLACES or not value or (section.inherited_only and not self.keys[key].inherited):
                continue
            path = (*section.path, key)
            names: list[str] = []
            for inner, name in _names(path, value, *_PLACES[key]):
                if section.claim(name, inner):
                    section.bind(self.name, name, key, inner)
                    names.append(name)
            if names:
                uses = ", ".join(f"env.{name}" for name in names)
                section.findings.not_here(path, f"is not emulated yet: using {uses} raises an error")
            else:
                section.findings.not_here(path, "is not emulated yet and has no effect here")

    def open(self, resources: Resources) -> OpenKind[str]:
        """Nothing is alive of them."""
        return _OpenNotEmulated()

    def describe(self, worker: WorkerConfig, settings: str) -> str:
        """That it is not emulated yet, and the key that declares it."""
        return f"not emulated yet ({settings})"

    def binding_record(self, settings: str) -> Mapping[str, object]:
        """The key that declares it."""
        return {"key": settings}

    def typescript_type(self, settings: str) -> str:
        """What it is in production."""
        return _TYPES.get(settings, "unknown")

    def changes(self, old: WorkerConfig, new: WorkerConfig) -> Iterator[str]:
        """Bindings that were added or removed."""
        from emulator.config.changes import set_changes

        return set_changes("binding", self.bindings(old), self.bindings(new))


class _OpenNotEmulated(OpenKind[str]):
    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, str]) -> Mapping[str, object]:
        from emulator_runtime.hosting import NotEmulated

        return {name: NotEmulated(_what(worker, name, key)) for name, key in bindings.items()}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, str]) -> Iterator[Wiring]:
        if not bindings:
            return
        from emulator.bindings.wiring import ExtensionModule, Wiring

        module = ExtensionModule(_MODULE_NAME, (Path(__file__).parent / "stand_in.js").read_text(encoding="utf-8"))
        for name, key in bindings.items():
            inner = [{"name": "what", "text": _what(worker, name, key)}]
            yield Wiring(name, {"wrapped": {"moduleName": _MODULE_NAME, "innerBindings": inner}}, modules=(module,))


def _what(worker: WorkerConfig, name: str, key: str) -> str:
    return f"env.{name} ({key} in {worker.path.name})"


def _names(path: KeyPath, value: object, container: str, name_field: str | None) -> Iterator[tuple[KeyPath, str]]:
    if container:
        path = (*path, container)
        value = value.get(container) if isinstance(value, dict) else None
    if name_field is None:
        yield from (((*path, name), name) for name in (value if isinstance(value, dict) else {}))
        return
    items = [((*path, index), item) for index, item in enumerate(value)] if isinstance(value, list) else [(path, value)]
    for inner, item in items:
        name = item.get(name_field) if isinstance(item, dict) else None
        if isinstance(name, str):
            yield (*inner, name_field), name


NOT_EMULATED: Final = NotEmulatedKind()
