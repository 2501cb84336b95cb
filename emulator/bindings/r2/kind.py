"""R2, as a binding kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emulator.bindings.kind import BindingKind, OpenKind, Resources
from emulator.bindings.r2 import config
from emulator.bindings.r2.config import Bucket
from emulator.config.model import WorkerConfig
from emulator.config.section import Section

if TYPE_CHECKING:
    from emulator.bindings.kit import Accessor
    from emulator.bindings.panel import Panel
    from emulator.bindings.r2.bucket import R2Bucket
    from emulator.bindings.r2.store import R2Store
    from emulator.bindings.rest import Rest
    from emulator.bindings.use import Faults
    from emulator.bindings.wiring import Wiring
    from emulator.storage.state import State

_METHODS: Final = "`get`, `head`, `put`, `delete`, `list`, `createMultipartUpload`, `resumeMultipartUpload`"


class R2Kind(BindingKind[Bucket]):
    """`r2_buckets`."""

    name = config.KIND
    keys = config.KEYS
    declared_as = ("an R2 bucket", 'under "r2_buckets"')
    documentation = ("[R2](r2.md)", "`r2_buckets[]`", _METHODS, _METHODS)

    def read(self, section: Section) -> None:
        """Read the valid buckets."""
        config.read_buckets(section)

    def open(self, resources: Resources) -> OpenR2:
        """Open the session's buckets."""
        return OpenR2(resources)

    def describe(self, worker: WorkerConfig, settings: Bucket) -> str:
        """The bucket."""
        return f"R2 {settings.name}"

    def binding_record(self, settings: Bucket) -> Mapping[str, object]:
        """The name of the bucket."""
        return {"bucket": settings.name}

    def python_type(self, settings: Bucket) -> str:
        """The class in `python_stub`."""
        return "R2Bucket"

    def typescript_type(self, settings: Bucket) -> str:
        """workerd's own."""
        return "R2Bucket"

    def take_over(self, wrangler: Path, workers: Sequence[WorkerConfig], state: State) -> Iterable[str]:
        """The buckets of Miniflare."""
        from emulator.bindings.r2.miniflare import take_over

        return take_over(wrangler / "r2", state)

    def rest(self) -> Rest:
        """The calls about buckets and their objects."""
        from emulator.bindings.r2.api import REST

        return REST

    def panel(self) -> Panel:
        """What the stores hold."""
        from emulator.bindings.r2.panel import PANEL

        return PANEL

    def accessor(self) -> Accessor:
        """`emulator.r2("BUCKET")`."""
        from emulator.bindings.r2.testing import ACCESSOR

        return ACCESSOR


class OpenR2(OpenKind[Bucket]):
    """The buckets of a session. `bound` are those that bindings lead to, by the names of these."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self.bound: dict[str, str] = {}

    @cached_property
    def store(self) -> R2Store:
        """All buckets. Opened when the first worker has one."""
        from emulator.bindings.r2.store import open_store

        return open_store(self._resources.state, self._resources.clock)

    @cached_property
    def faults(self) -> Faults:
        """The errors that tests want, by the names of buckets."""
        from emulator.bindings.use import Faults

        return Faults()

    def buckets(self) -> dict[str, int]:
        """The buckets that are declared, were created, or have objects, with the times of their creation in
        milliseconds since the epoch; 0 for one that is only declared."""
        return dict.fromkeys(self.bound.values(), 0) | self.store.buckets()

    def bindings_of(self, bucket: str) -> list[str]:
        """The names of the bindings that lead to a bucket."""
        return sorted(name for name, each in self.bound.items() if each == bucket)

    def bucket(self, bucket: str, *, worker: str = "", name: str = "") -> R2Bucket:
        """A bucket, for a binding of a worker or for somebody else."""
        from emulator.bindings.r2.bucket import R2Bucket
        from emulator.bindings.use import Use

        use = Use(self._resources, self.faults, config.KIND, bucket, worker=worker, name=name)
        return R2Bucket(self.store, bucket, use)

    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, Bucket]) -> Mapping[str, object]:
        from emulator.bindings.r2.python import R2Binding

        return {name: R2Binding(name, bucket) for name, bucket in self._bound(worker, bindings)}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, Bucket]) -> Iterable[Wiring]:
        if not bindings:
            return ()
        from emulator.bindings.r2.workerd import wire

        return wire(self._bound(worker, bindings))

    def _bound(self, worker: WorkerConfig, bindings: Mapping[str, Bucket]) -> list[tuple[str, R2Bucket]]:
        self.bound.update({name: settings.name for name, settings in bindings.items()})
        return [
            (name, self.bucket(settings.name, worker=worker.name, name=name)) for name, settings in bindings.items()
        ]


R2: Final = R2Kind()
