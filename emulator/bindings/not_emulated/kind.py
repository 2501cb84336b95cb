"""The bindings that wrangler knows and the emulator does not emulate yet, as one binding kind.

They are declared, so that a worker loads and its other parts can be used, and raise an error that names them where they
are used. A setting is the key of the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from emulator.bindings.kind import BindingKind, Documentation, Resources, Service
from emulator.bindings.wiring import Module, Wiring
from emulator.config import checks
from emulator.config.changes import set_changes
from emulator.config.document import KeyPath
from emulator.config.model import WorkerConfig
from emulator.config.section import Key, Section

_MODULE_NAME: Final = "emulator:not-emulated"


class _Shape(NamedTuple):
    """How bindings stand under a key. `container` is the key that holds them, where they are not the value itself, and
    `name_field` that of one which names it; None: they are the keys of an object. The rest is as in `Key`."""

    container: str = ""
    name_field: str | None = "binding"
    inherited: bool = False
    top_level_only: bool = False


SHAPES: Final[Mapping[str, _Shape]] = {
    "ai": _Shape(),
    "ai_search": _Shape(),
    "ai_search_namespaces": _Shape(),
    "analytics_engine_datasets": _Shape(),
    "artifacts": _Shape(),
    "assets": _Shape(inherited=True),
    "browser": _Shape(),
    "d1_databases": _Shape(),
    "data_blobs": _Shape(name_field=None, top_level_only=True),
    "dispatch_namespaces": _Shape(),
    "durable_objects": _Shape(container="bindings", name_field="name"),
    "flagship": _Shape(),
    "hyperdrive": _Shape(),
    "images": _Shape(),
    "kv_namespaces": _Shape(),
    "logfwdr": _Shape(container="bindings", name_field="name", inherited=True),
    "media": _Shape(),
    "mtls_certificates": _Shape(),
    "pipelines": _Shape(),
    "r2_buckets": _Shape(),
    "ratelimits": _Shape(name_field="name"),
    "secrets_store_secrets": _Shape(),
    "send_email": _Shape(name_field="name"),
    "stream": _Shape(),
    "text_blobs": _Shape(name_field=None, top_level_only=True),
    "unsafe": _Shape(container="bindings", name_field="name"),
    "unsafe_hello_world": _Shape(),
    "vectorize": _Shape(),
    "version_metadata": _Shape(),
    "vpc_networks": _Shape(),
    "vpc_services": _Shape(),
    "wasm_modules": _Shape(name_field=None, top_level_only=True),
    "worker_loaders": _Shape(),
    "workflows": _Shape(),
}


class NotEmulated(BindingKind[str]):
    """Every key that declares bindings and that no other kind has."""

    name = "not_emulated"
    keys = {
        key: Key(checks.ANYTHING, shape.inherited or shape.top_level_only, shape.top_level_only)
        for key, shape in SHAPES.items()
    }
    documentation = Documentation(
        "not emulated yet",
        ", ".join(f"`{key}`" for key in SHAPES),
        "raises an error where it is used",
        "raises an error where it is used",
    )

    def read(self, section: Section) -> None:
        """Take the names of the bindings, with one warning for each key."""
        for key, value in section.keys.items():
            if key not in SHAPES or not value or (section.inherited_only and not self.keys[key].inherited):
                continue
            path = (*section.path, key)
            names: list[str] = []
            for inner, name in _names(path, value, SHAPES[key]):
                if section.claim(name, inner):
                    section.bind(self.name, name, key, inner)
                    names.append(name)
            if names:
                uses = ", ".join(f"env.{name}" for name in names)
                section.findings.warn(path, f"is not emulated yet: using {uses} raises an error")
            else:
                section.findings.warn(path, "is not emulated yet and has no effect here")

    def open(self, resources: Resources) -> Service[str]:
        """Nothing is alive of them."""
        return _Missing()

    def describe(self, worker: WorkerConfig, settings: str) -> str:
        """That it is missing, and the key that declares it."""
        return f"not emulated yet ({settings})"

    def binding_record(self, settings: str) -> Mapping[str, object]:
        """The key that declares it."""
        return {"key": settings}

    def changes(self, old: WorkerConfig, new: WorkerConfig) -> Iterator[str]:
        """Bindings that came or went."""
        return set_changes("binding", self.bindings(old), self.bindings(new))


class _Missing(Service[str]):
    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, str]) -> Mapping[str, object]:
        from emulator_runtime.hosting import NotEmulated as StandIn

        return {name: StandIn(_what(worker, name, key)) for name, key in bindings.items()}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, str]) -> Iterator[Wiring]:
        if not bindings:
            return
        module = Module(_MODULE_NAME, (Path(__file__).parent / "stand_in.js").read_text(encoding="utf-8"))
        for name, key in bindings.items():
            inner = [{"name": "what", "text": _what(worker, name, key)}]
            yield Wiring(name, {"wrapped": {"moduleName": _MODULE_NAME, "innerBindings": inner}}, modules=(module,))


def _what(worker: WorkerConfig, name: str, key: str) -> str:
    return f"env.{name} ({key} in {worker.path.name})"


def _names(path: KeyPath, value: object, shape: _Shape) -> Iterator[tuple[KeyPath, str]]:
    if shape.container:
        path = (*path, shape.container)
        value = value.get(shape.container) if isinstance(value, dict) else None
    if shape.name_field is None:
        yield from (((*path, name), name) for name in (value if isinstance(value, dict) else {}))
        return
    items = [((*path, index), item) for index, item in enumerate(value)] if isinstance(value, list) else [(path, value)]
    for inner, item in items:
        name = item.get(shape.name_field) if isinstance(item, dict) else None
        if isinstance(name, str):
            yield (*inner, shape.name_field), name


NOT_EMULATED: Final = NotEmulated()
