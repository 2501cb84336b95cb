"""Queues, as a binding kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import asdict

from emulator.base.errors import Problem
from emulator.bindings.kind import BindingKind, OpenKind, Overview, Resources
from emulator.bindings.queue import config
from emulator.bindings.queue.config import Producer
from emulator.config.model import WorkerConfig
from emulator.config.section import Section

if TYPE_CHECKING:
    from emulator.bindings.kit import Accessor
    from emulator.bindings.rest import Rest
    from emulator.bindings.wiring import Wiring


class QueueKind(BindingKind[Producer]):
    """`queues.producers`, which are bindings, and `queues.consumers`, which are declarations."""

    name = config.KIND
    keys = config.KEYS
    declared_as = ("a queue", 'under "queues.producers"')
    documentation = (
        "queue",
        "`queues.producers[]`",
        "`send`, `sendBatch`, `metrics`",
        "`send`, `sendBatch`, `metrics`",
    )

    def read(self, section: Section) -> None:
        """Read the valid producers and consumers."""
        config.read_queues(section)

    def open(self, resources: Resources) -> OpenKind[Producer]:
        """Let bindings send to the session's queues."""
        return _OpenQueues(resources)

    def describe(self, worker: WorkerConfig, settings: Producer) -> str:
        """The queue."""
        from emulator.bindings.queue.summary import producer_text

        return producer_text(settings)

    def overview(self, workers: Sequence[WorkerConfig]) -> Iterator[Overview]:
        """Every queue that a worker sends to or consumes, or that gets its dead letters."""
        from emulator.bindings.queue.summary import queue_lines

        return queue_lines(workers)

    def worker_record(self, worker: WorkerConfig) -> Mapping[str, object]:
        """The queues that it consumes, with their settings."""
        consumers = config.consumers_of(worker)
        return {"consumers": [{"queue": consumer.queue, **asdict(consumer.settings)} for consumer in consumers]}

    def changes(self, old: WorkerConfig, new: WorkerConfig) -> Iterable[str]:
        """The differences of producers and consumers."""
        from emulator.bindings.queue.changes import queue_changes

        return queue_changes(old, new)

    def conflicts(self, workers: Sequence[WorkerConfig]) -> Iterable[Problem]:
        """The queues that more than one worker consumes."""
        return config.consumer_conflicts(workers)

    def python_type(self, settings: Producer) -> str:
        """The class in `python_stub`."""
        return "Queue"

    def typescript_type(self, settings: Producer) -> str:
        """workerd's own."""
        return "Queue"

    def rest(self) -> Rest:
        """The calls about queues, their consumers and their messages."""
        from emulator.bindings.queue.api import REST

        return REST

    def accessor(self) -> Accessor:
        """`emulator.queue("my-app-events")`."""
        from emulator.bindings.queue.testing import ACCESSOR

        return ACCESSOR


class _OpenQueues(OpenKind[Producer]):
    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, Producer]) -> Mapping[str, object]:
        from emulator.bindings.queue.python import make_bindings

        return make_bindings(self._resources, worker, bindings)

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, Producer]) -> Iterable[Wiring]:
        if not bindings:
            return ()
        from emulator.bindings.queue.workerd import wire

        return wire(self._resources.queues, worker.name, bindings)


QUEUES: Final = QueueKind()
