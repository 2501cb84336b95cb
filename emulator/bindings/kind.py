"""What a binding kind is: one kind of thing that `env` can hold, with all that belongs to it.

A `BindingKind` is a description, made once. Opened in a session it is a `Service`, which is what is alive of it: it
makes what `env` of a Python worker holds, and says what workerd is told, with what answers workerd's bindings.

A kind lives in a folder of its own, and `registry` lists it. Everything else that deals with kinds asks them: reading
the configuration, `env`, workerd's configuration, the start block, JSON `ready`, reloads, the REST API, the testing kit
and the documentation. What start-up does not need, a kind imports inside its methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, TypeVar

from emulator.base.bus import Bus, Notice
from emulator.base.clock import Clock
from emulator.base.errors import Problem
from emulator.config.model import WorkerConfig
from emulator.config.section import Draft, Key, Section

if TYPE_CHECKING:
    from emulator.bindings.kit import Accessor
    from emulator.bindings.rest import Rest
    from emulator.bindings.wiring import Wiring
    from emulator.queues.service import Queues

S = TypeVar("S")


class Resources:
    """What the services of a session share."""

    def __init__(self, queues: Queues, bus: Bus, clock: Clock) -> None:
        self.queues = queues
        self.bus = bus
        self.clock = clock

    def warn(self, worker: str, text: str) -> None:
        """Tell the user of something that a worker's code should not do."""
        self.bus.publish(Notice("warning", text, worker))


class Overview(NamedTuple):
    """A line of the start block below the workers: `queue my-app-events  to sign-up: 10 messages or 5 s`."""

    noun: str
    name: str
    text: str


class Service(Generic[S]):
    """What is alive of a kind in a session. `S` is the type of the kind's settings."""

    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, S]) -> Mapping[str, object]:
        """What `env` of a Python worker holds, by name. `bindings` are those of this kind, by name."""
        raise NotImplementedError

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, S]) -> Iterable[Wiring]:
        """What workerd is told for a JavaScript worker, and what answers it: mostly one wiring for each of `bindings`.
        Called without any too, so that a kind can wire what needs no binding."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of what it holds. The session's workers have stopped."""


class BindingKind(Generic[S]):
    """The description of a kind. `S` is the type of its settings."""

    name: ClassVar[str]
    """What it is called in configurations that have been read, in JSON `ready` and on the socket that answers workerd's
    bindings; lowercase letters and underscores."""

    keys: Mapping[str, Key] = {}
    """The keys of the configuration that belong to this kind alone."""

    is_value: bool = False
    """Whether a binding is nothing but its value, as a var is. These stand last in the start block."""

    declared_as: tuple[str, str] | None = None
    """What a Python worker's author declares, and where: `("a queue", 'under "queues.producers"')`. Completes the error
    about a name that `env` does not have."""

    documentation: tuple[str, str, str, str]
    """Its row in the table of docs/configuration.md, in Markdown: what it is called, where it is declared, and what a
    Python and a JavaScript worker get."""

    def read(self, section: Section) -> None:
        """Take what stands in a section under this kind's keys, with `section.claim`, `bind` and `declare`, and report
        what is wrong to `section.findings`. Whatever a value holds, this does not raise."""

    def complete(self, draft: Draft) -> None:
        """Add what does not stand in the file, or look at what only shows when all of it has been read."""

    def open(self, resources: Resources) -> Service[S]:
        """What is alive of this kind, once a session."""
        raise NotImplementedError

    def describe(self, worker: WorkerConfig, settings: S) -> str:
        """What the start block shows behind the name of a binding: `queue my-app-events`."""
        raise NotImplementedError

    def overview(self, workers: Sequence[WorkerConfig]) -> Iterable[Overview]:
        """Lines of the start block below the workers."""
        return ()

    def binding_record(self, settings: S) -> Mapping[str, object]:
        """What JSON `ready` tells of a binding beside its name and type."""
        return {}

    def worker_record(self, worker: WorkerConfig) -> Mapping[str, object]:
        """What JSON `ready` tells of a worker beside its bindings."""
        return {}

    def changes(self, old: WorkerConfig, new: WorkerConfig) -> Iterable[str]:
        """In words, what a changed configuration changes of this kind: `var GREETING added`."""
        from emulator.config.changes import mapping_changes

        return mapping_changes(self.name.replace("_", " "), self.bindings(old), self.bindings(new))

    def conflicts(self, workers: Sequence[WorkerConfig]) -> Iterable[Problem]:
        """What keeps workers from running in one session."""
        return ()

    def rest(self) -> Rest | None:
        """Its part of the REST API."""
        return None

    def accessor(self) -> Accessor | None:
        """How tests reach what this kind keeps: `emulator.queue("my-app-events")`."""
        return None

    def bindings(self, worker: WorkerConfig) -> dict[str, S]:
        """The worker's bindings of this kind, by name."""
        return {binding.name: binding.settings for binding in worker.bindings if binding.kind == self.name}
