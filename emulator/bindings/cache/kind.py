"""The Cache API, as a binding kind that needs no binding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from emulator.bindings.kind import BindingKind, OpenKind, Resources
from emulator.config.model import WorkerConfig

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from emulator.bindings.cache.cache import NamedCache
    from emulator.bindings.cache.store import CacheStore
    from emulator.bindings.kit import Accessor
    from emulator.bindings.panel import Panel
    from emulator.bindings.use import Faults
    from emulator.bindings.wiring import WireRequest, WireResponse, Wiring


class CacheKind(BindingKind[None]):
    """Every worker has it, and declares nothing."""

    name = "cache"
    documentation = (
        "[the cache](cache.md)",
        "not declared",
        "`js.caches`: `default`, `open`; `match`, `put`, `delete`",
        "`caches`: `default`, `open`; `match`, `put`, `delete`",
    )

    def open(self, resources: Resources) -> OpenCaches:
        """Open the session's caches."""
        return OpenCaches(resources)

    def describe(self, worker: WorkerConfig, settings: None) -> str:
        """No binding has this kind."""
        raise NotImplementedError

    def panel(self) -> Panel:
        """What the stores hold."""
        from emulator.bindings.cache.panel import PANEL

        return PANEL

    def accessor(self) -> Accessor:
        """`emulator.cache()`, `emulator.cache("name")`."""
        from emulator.bindings.cache.testing import ACCESSOR

        return ACCESSOR


class OpenCaches(OpenKind[None]):
    """The caches of a session. Nothing is made before it is used."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._caches: dict[tuple[str, str], NamedCache] = {}

    @cached_property
    def store(self) -> CacheStore:
        """All caches."""
        from emulator.bindings.cache.store import open_store

        return open_store(self._resources.state, self._resources.clock)

    @cached_property
    def faults(self) -> Faults:
        """The errors that tests want, by the names of caches."""
        from emulator.bindings.use import Faults

        return Faults()

    def names(self) -> list[str]:
        """The names of the caches that have something, the default one's is empty."""
        return self.store.names()

    def cache(self, name: str, *, worker: str = "") -> NamedCache:
        """A cache, for a worker or for somebody else; the default one if `name` is empty."""
        found = self._caches.get((worker, name))
        if found is None:
            from emulator.bindings.cache.cache import NamedCache
            from emulator.bindings.use import Use

            shown = name or "caches.default"
            use = Use(self._resources, self.faults, CACHE.name, name, worker=worker, name=shown)
            warn = partial(self._resources.warn, worker) if worker else None
            found = self._caches[worker, name] = NamedCache(lambda: self.store, name, use, warn)
        return found

    def for_js(self, worker: WorkerConfig) -> Mapping[str, Any]:
        return {"caches": partial(self._for_python, worker.name)}

    def _for_python(self, worker: str, name: str) -> Any:
        from emulator.bindings.cache.python import CacheOfWorker

        return CacheOfWorker(self.cache(name, worker=worker))

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, None]) -> Iterable[Wiring]:
        from emulator.bindings.wiring import Answered, Reference, Wiring

        answered = Answered(partial(self._answer, worker.name), takes_streams=True, as_proxy=True)
        yield Wiring("caches", {}, {"": answered}, {"cacheApiOutbound": Reference()})

    def _answer(self, worker: str, request: WireRequest) -> Awaitable[WireResponse]:
        from emulator.bindings.cache.workerd import answer

        return answer(partial(self.cache, worker=worker), request)


CACHE: Final = CacheKind()
