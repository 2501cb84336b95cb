"""The states of queues, without their messages, and how configurations and REST clients change them.

Everything here is pure: each function takes the present states, and returns the states that replace them. A
configuration names queues, which are created, and consumers. What clients have created or changed stays until a
configuration says otherwise: when a configuration is read again, only the differences from its last version are
applied. What a queue keeps from an earlier run counts as such a change, unless the configuration has changed since
then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from emulator.queues.settings import ConsumerSettings, QueueSettings


class Origin(msgspec.Struct, frozen=True):
    """Who created and changed a queue: clients of the REST API, or a configuration.

    Changes by clients stay until a configuration says otherwise. `created`, `changed` and `consumer_set` say that a
    client created the queue, changed it, or set its consumer. `declared` is the consumer in the configuration of the
    worker `declared_by` when it was last applied; None if no configuration names one.
    """

    created: bool = False
    changed: bool = False
    consumer_set: bool = False
    declared: ConsumerSettings | None = None
    declared_by: str = ""


class QueueState(msgspec.Struct, frozen=True):
    """A queue without its messages. Times are in seconds since the epoch; None means never.

    `modified_at` is the time of the last change of its settings or consumer, and `consumer_set_at` when it got its
    present consumer. `worker` is the consumer's name; empty if there is no consumer, or clients pull.
    """

    name: str
    created_at: float
    modified_at: float
    settings: QueueSettings = msgspec.field(default_factory=QueueSettings)
    consumer: ConsumerSettings | None = None
    worker: str = ""
    consumer_set_at: float | None = None
    purged_at: float | None = None
    origin: Origin = msgspec.field(default_factory=Origin)


States = Mapping[str, QueueState]


class Declared(msgspec.Struct, frozen=True):
    """The queues in the configuration of `worker`: the names of those that it sends to, and the settings of its
    consumers by queue."""

    worker: str
    produces: tuple[str, ...] = ()
    consumes: Mapping[str, ConsumerSettings] = msgspec.field(default_factory=dict)


class Beginning(msgspec.Struct, frozen=True):
    """The beginning of a run: the states to `put`, and the queues that have `lost` their consumer, each with the worker
    that it was."""

    put: Sequence[QueueState]
    lost: Mapping[str, str]


def begin(states: States, configurations: Iterable[Declared], now: float, *, are_ours: bool = True) -> Beginning:
    """The beginning of a run, with the queues of `states` recovered from an earlier one. If they are not ours alone,
    other sessions may consume those that these configurations do not."""
    configurations = list(configurations)
    draft = _Draft(states, now)
    recovered = frozenset(states)
    for declared in configurations:
        _declare(draft, declared, Declared(declared.worker), recovered)
    workers = {declared.worker for declared in configurations}
    declared_by = {queue: declared.worker for declared in configurations for queue in declared.consumes}
    lost: dict[str, str] = {}
    for name in states:
        origin = draft[name].origin
        is_known = are_ours or origin.declared_by in workers
        if is_known and origin.declared is not None and declared_by.get(name) != origin.declared_by:
            _forget(draft, name)
        state = draft[name]
        if are_ours and state.consumer is not None and state.consumer.type == "worker" and state.worker not in workers:
            lost[name] = state.worker
            draft.release(name, replace(state.origin, consumer_set=False))
    return Beginning(draft.changed(), lost)


def change(states: States, old: Declared, new: Declared, now: float) -> Sequence[QueueState]:
    """The states to put when the configuration of a worker has changed."""
    draft = _Draft(states, now)
    for queue in old.consumes:
        if queue not in new.consumes and queue in draft:
            _forget(draft, queue)
    _declare(draft, new, old, ())
    return draft.changed()


def unnamed(states: States, configurations: Iterable[Declared]) -> Sequence[str]:
    """The queues that no configuration names any more and no client has created or changed. They are deleted when they
    are empty."""
    named = {state.consumer.dead_letter_queue for state in states.values() if state.consumer is not None}
    for declared in configurations:
        named.update(declared.produces, declared.consumes)
    return [state.name for state in states.values() if state.name not in named and not state.origin.changed]


def create(states: States, name: str, settings: QueueSettings, now: float) -> Sequence[QueueState]:
    """A client creates a queue. None if a client created it before. A queue that exists because a configuration names
    it can be created once, because in production somebody has to create it."""
    state = states.get(name) or QueueState(name, now, now)
    if state.origin.created:
        return ()
    origin = replace(state.origin, created=True, changed=True)
    return [replace(state, settings=settings, modified_at=now, origin=origin)]


def update(state: QueueState, settings: QueueSettings, now: float) -> Sequence[QueueState]:
    """A client changes the settings of a queue."""
    return [replace(state, settings=settings, modified_at=now, origin=replace(state.origin, changed=True))]


def set_consumer(
    states: States, name: str, settings: ConsumerSettings, worker: str, now: float
) -> Sequence[QueueState]:
    """A client sets the consumer of the queue `name`, or changes it. The consumer is the client's if the queue had
    none. The dead letter queue is created if it does not exist."""
    draft = _Draft(states, now)
    origin = draft[name].origin
    set_now = origin.consumer_set or draft[name].consumer is None
    draft.consume(name, settings, worker, replace(origin, changed=True, consumer_set=set_now))
    return draft.changed()


def remove_consumer(state: QueueState, now: float) -> Sequence[QueueState]:
    """A client removes the consumer of a queue."""
    draft = _Draft({state.name: state}, now)
    draft.release(state.name, replace(state.origin, changed=True, consumer_set=False))
    return draft.changed()


class _Draft:
    """Collects changes of states at the time `now`."""

    def __init__(self, states: States, now: float) -> None:
        self._states = dict(states)
        self._changed: dict[str, QueueState] = {}
        self._now = now

    def __getitem__(self, name: str) -> QueueState:
        return self._states[name]

    def __contains__(self, name: str) -> bool:
        return name in self._states

    def changed(self) -> Sequence[QueueState]:
        """The states that have changed, in the order of their change."""
        return list(self._changed.values())

    def make(self, name: str) -> None:
        """Create a queue unless it exists."""
        if name not in self._states:
            self._put(QueueState(name, self._now, self._now))

    def consume(self, name: str, settings: ConsumerSettings, worker: str, origin: Origin) -> None:
        self.make(name)
        old = self._states[name]
        set_at = self._now if old.consumer_set_at is None else old.consumer_set_at
        self._put(
            replace(
                old,
                modified_at=self._now,
                consumer=settings,
                worker=worker,
                consumer_set_at=set_at,
                origin=origin,
            )
        )
        if settings.dead_letter_queue is not None:
            self.make(settings.dead_letter_queue)

    def release(self, name: str, origin: Origin) -> None:
        old = self._states[name]
        self._put(replace(old, modified_at=self._now, consumer=None, worker="", consumer_set_at=None, origin=origin))

    def set_origin(self, name: str, origin: Origin) -> None:
        self._put(replace(self._states[name], modified_at=self._now, origin=origin))

    def _put(self, state: QueueState) -> None:
        self._states[state.name] = self._changed[state.name] = state


def _declare(draft: _Draft, new: Declared, old: Declared, recovered: Collection[str]) -> None:
    """Create the queues that a configuration names, and set its consumers, if they differ from the `old` one. A
    recovered queue keeps its consumer if the configuration of that time had the same."""
    for queue in new.produces:
        if queue not in old.produces:
            draft.make(queue)
    for queue, settings in new.consumes.items():
        if old.consumes.get(queue) == settings:
            continue
        origin = draft[queue].origin if queue in draft else Origin()
        if queue in recovered and (origin.declared, origin.declared_by) == (settings, new.worker):
            continue
        origin = replace(origin, consumer_set=False, declared=settings, declared_by=new.worker)
        draft.consume(queue, settings, new.worker, origin)


def _forget(draft: _Draft, queue: str) -> None:
    """No configuration declares the consumer of a queue any more: remove it, unless a client has set it."""
    origin = replace(draft[queue].origin, declared=None, declared_by="")
    if origin.consumer_set:
        draft.set_origin(queue, origin)
    else:
        draft.release(queue, origin)
