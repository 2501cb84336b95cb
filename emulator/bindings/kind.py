"""What a binding kind is: one kind of thing that `env` can have, with everything that belongs to it.

A `BindingKind` is a description that exists once. Each session opens it as an `OpenKind`, which makes the objects in
`env` of Python workers, and the configuration of workerd with the functions that answer workerd's bindings.

A kind has a folder of its own, and `registry` lists it. Everything that depends on kinds comes from them: reading the
configuration, `env`, workerd's configuration, the start block, JSON `ready`, reloads, the REST API, the testing kit and
the documentation. A kind imports what start-up does not need inside its methods.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeAlias, TypeVar

from emulator.base.bus import Bus, Notice
from emulator.base.clock import Clock
from emulator.base.errors import Problem
from emulator.base.secrets import Secrets
from emulator.bindings.use import Tallies
from emulator.config.model import WorkerConfig
from emulator.config.section import Draft, Key, Section

if TYPE_CHECKING:
    from pathlib import Path

    from emulator.bindings.kit import Accessor
    from emulator.bindings.panel import Panel
    from emulator.bindings.rest import Rest
    from emulator.bindings.wiring import Wiring
    from emulator.queues.service import Queues
    from emulator.storage.state import State
    from emulator_runtime.hosting import FetchResponse, Request

S = TypeVar("S")

Front: TypeAlias = "Callable[[Request], FetchResponse | None]"
"""Answers a request for a worker, or returns None, if its code is to answer."""


class Resources:
    """What the open kinds of a session share."""

    def __init__(self, queues: Queues, bus: Bus, clock: Clock, state: State) -> None:
        self.queues = queues
        self.bus = bus
        self.clock = clock
        self.state = state
        """Where kinds keep what outlives a worker's code, and perhaps the session."""
        self.secrets = Secrets()
        """What workers are given and nobody else is shown. A kind adds a secret before it gives it to a worker."""
        self.tallies = Tallies()
        """How many operations on bindings each request has caused."""

    def warn(self, worker: str, text: str) -> None:
        """Warn the user about something that a worker's code should not do."""
        self.bus.publish(Notice("warning", text, worker))


class Overview(NamedTuple):
    """A line of the start block below the workers: `queue my-app-events  to sign-up: 10 messages or 5 s`."""

    noun: str
    name: str
    text: str


class OpenKind(Generic[S]):
    """A kind in one session. `S` is the type of the kind's settings."""

    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, S]) -> Mapping[str, object]:
        """The objects in `env` of a Python worker, by name. `bindings` are the worker's bindings of this kind, by
        name."""
        raise NotImplementedError

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, S]) -> Iterable[Wiring]:
        """The wirings of a JavaScript worker, usually one for each of `bindings`. Also called if there are no bindings,
        for kinds that need a wiring without one."""
        raise NotImplementedError

    def for_js(self, worker: WorkerConfig) -> Mapping[str, Any]:
        """What is behind names of the module `js` of a Python worker that the runtime does not answer alone."""
        return {}

    def front(self, worker: WorkerConfig) -> Front | None:
        """What answers requests before the worker's code; None if nothing does."""
        return None

    async def close(self) -> None:
        """Release resources. The session's workers have stopped."""


class BindingKind(Generic[S]):
    """The description of a kind. `S` is the type of its settings."""

    name: ClassVar[str]
    """The name of the kind in a WorkerConfig, in JSON `ready` and on the socket that answers workerd's bindings;
    lowercase letters, digits and underscores."""

    keys: Mapping[str, Key] = {}
    """The keys of the configuration that belong to this kind; no other kind has them."""

    is_value: bool = False
    """Whether a binding is only a value, like a var. The start block lists these last."""

    declared_as: tuple[str, str] | None = None
    """What the author of a Python worker declares, and where: `("a queue", 'under "queues.producers"')`. Completes the
    error about a name that `env` does not have."""

    documentation: tuple[str, str, str, str]
    """The row of this kind in the table of docs/configuration.md, in Markdown: its name, where it is declared, and what
    a Python and a JavaScript worker get."""

    def read(self, section: Section) -> None:
        """Read a section's values under this kind's keys, with `section.claim`, `bind` and `declare`, and report
        problems to `section.findings`. Does not raise, whatever the values are."""

    def complete(self, draft: Draft) -> None:
        """Add what is not in the file, and do the checks that need the whole file."""

    def open(self, resources: Resources) -> OpenKind[S]:
        """Open this kind in a session; called once."""
        raise NotImplementedError

    def describe(self, worker: WorkerConfig, settings: S) -> str:
        """What the start block shows after the name of a binding: `queue my-app-events`."""
        raise NotImplementedError

    def overview(self, workers: Sequence[WorkerConfig]) -> Iterable[Overview]:
        """Lines of the start block below the workers."""
        return ()

    def binding_record(self, settings: S) -> Mapping[str, object]:
        """The fields of a binding in JSON `ready`, besides its name and type."""
        return {}

    def worker_record(self, worker: WorkerConfig) -> Mapping[str, object]:
        """The fields of a worker in JSON `ready`, besides its bindings."""
        return {}

    def changes(self, old: WorkerConfig, new: WorkerConfig) -> Iterable[str]:
        """Describe what a new configuration changes for this kind, as in `var GREETING added`."""
        from emulator.config.changes import mapping_changes

        return mapping_changes(self.name.replace("_", " "), self.bindings(old), self.bindings(new))

    def conflicts(self, workers: Sequence[WorkerConfig]) -> Iterable[Problem]:
        """The reasons why these workers cannot run in one session."""
        return ()

    def python_stub(self) -> str:
        """A type stub with the classes that `python_type` may name: `binding.pyi` in the folder of the kind, if it has
        one."""
        from pathlib import Path

        stub = Path(str(sys.modules[type(self).__module__].__file__)).parent / "binding.pyi"
        return stub.read_text(encoding="utf-8") if stub.is_file() else ""

    def python_type(self, settings: S) -> str:
        """The type of a binding in `env` of a Python worker, as an annotation."""
        return "Any"

    def typescript_type(self, settings: S) -> str:
        """The type of a binding in `env` of a JavaScript worker, in TypeScript with `@cloudflare/workers-types`."""
        return "unknown"

    def rest(self) -> Rest | None:
        """This kind's part of the REST API."""
        return None

    def accessor(self) -> Accessor | None:
        """How tests access what this kind keeps: `emulator.queue("my-app-events")`."""
        return None

    def panel(self) -> Panel | None:
        """How the dashboard shows what this kind keeps."""
        return None

    def take_over(self, wrangler: Path, workers: Sequence[WorkerConfig], state: State) -> Iterable[str]:
        """Copy what `wrangler dev` has kept for this kind in the directory `wrangler`, and say what was copied.
        `workers` are those of the project, if they are known. Raises EmulatorError."""
        return ()

    def served(self, worker: WorkerConfig) -> Iterable[Path]:
        """The directories whose files are served as they are: a change of them does not reload the worker."""
        return ()

    def bindings(self, worker: WorkerConfig) -> dict[str, S]:
        """The worker's bindings of this kind, by name."""
        return {binding.name: binding.settings for binding in worker.bindings if binding.kind == self.name}
