"""Workers KV, as a binding kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emulator.bindings.kind import BindingKind, OpenKind, Resources
from emulator.bindings.kv import config
from emulator.bindings.kv.config import Namespace
from emulator.config.model import WorkerConfig
from emulator.config.section import Section

if TYPE_CHECKING:
    from emulator.bindings.kit import Accessor
    from emulator.bindings.kv.namespace import KvNamespace
    from emulator.bindings.kv.store import KvStore
    from emulator.bindings.panel import Panel
    from emulator.bindings.rest import Rest
    from emulator.bindings.use import Faults
    from emulator.bindings.wiring import Wiring
    from emulator.storage.state import State


class KvKind(BindingKind[Namespace]):
    """`kv_namespaces`."""

    name = config.KIND
    keys = config.KEYS
    declared_as = ("a KV namespace", 'under "kv_namespaces"')
    documentation = (
        "[KV](kv.md)",
        "`kv_namespaces[]`",
        "`get`, `getWithMetadata`, `put`, `delete`, `list`",
        "`get`, `getWithMetadata`, `put`, `delete`, `list`",
    )

    def read(self, section: Section) -> None:
        """Read the valid namespaces."""
        config.read_namespaces(section)

    def open(self, resources: Resources) -> OpenKv:
        """Open the session's namespaces."""
        return OpenKv(resources)

    def describe(self, worker: WorkerConfig, settings: Namespace) -> str:
        """The namespace."""
        return f"KV {settings.id}"

    def binding_record(self, settings: Namespace) -> Mapping[str, object]:
        """The id of the namespace."""
        return {"id": settings.id}

    def python_type(self, settings: Namespace) -> str:
        """The class in `python_stub`."""
        return "KvNamespace"

    def typescript_type(self, settings: Namespace) -> str:
        """workerd's own."""
        return "KVNamespace"

    def take_over(self, wrangler: Path, workers: Sequence[WorkerConfig], state: State) -> Iterable[str]:
        """The namespaces of Miniflare."""
        from emulator.bindings.kv.miniflare import take_over

        return take_over(wrangler / "kv", state)

    def rest(self) -> Rest:
        """The calls about namespaces and their keys."""
        from emulator.bindings.kv.api import REST

        return REST

    def panel(self) -> Panel:
        """What the stores hold."""
        from emulator.bindings.kv.panel import PANEL

        return PANEL

    def accessor(self) -> Accessor:
        """`emulator.kv("SESSIONS")`."""
        from emulator.bindings.kv.testing import ACCESSOR

        return ACCESSOR


class OpenKv(OpenKind[Namespace]):
    """The namespaces of a session. `ids` are those that bindings lead to, by the names of these."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self.ids: dict[str, str] = {}

    @cached_property
    def store(self) -> KvStore:
        """All namespaces. Opened when the first worker has one."""
        from emulator.bindings.kv.store import open_store

        return open_store(self._resources.state, self._resources.clock)

    @cached_property
    def faults(self) -> Faults:
        """The errors that tests want, by the ids of namespaces."""
        from emulator.bindings.use import Faults

        return Faults()

    def namespaces(self) -> list[tuple[str, str]]:
        """The ids and titles of the namespaces that are declared, were made, or have keys."""
        return list(({each: each for each in self.ids.values()} | self.store.namespaces()).items())

    def bindings_of(self, identifier: str) -> list[str]:
        """The names of the bindings that lead to a namespace."""
        return sorted(name for name, each in self.ids.items() if each == identifier)

    def namespace(self, identifier: str, *, worker: str = "", name: str = "") -> KvNamespace:
        """A namespace, for a binding of a worker or for somebody else."""
        from emulator.bindings.kv.namespace import KvNamespace
        from emulator.bindings.use import Use

        use = Use(self._resources, self.faults, config.KIND, identifier, worker=worker, name=name)
        return KvNamespace(self.store, identifier, use)

    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, Namespace]) -> Mapping[str, object]:
        from emulator.bindings.kv.python import KvBinding

        return {name: KvBinding(name, namespace) for name, namespace in self._bound(worker, bindings)}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, Namespace]) -> Iterable[Wiring]:
        if not bindings:
            return ()
        from emulator.bindings.kv.workerd import wire

        return wire(self._bound(worker, bindings))

    def _bound(self, worker: WorkerConfig, bindings: Mapping[str, Namespace]) -> list[tuple[str, KvNamespace]]:
        self.ids.update({name: settings.id for name, settings in bindings.items()})
        return [
            (name, self.namespace(settings.id, worker=worker.name, name=name)) for name, settings in bindings.items()
        ]


KV: Final = KvKind()
