"""Rehearses a delivery that failed: runs its batch on the code as it is now, and carries out nothing of it.

A rehearsal has a session of its own: the same workers, loaded again, queues that deliver nothing, and a copy of what
bindings keep. So what the handler sends and writes is done there, is told, and is thrown away. A `fetch()` goes out as
always, because nothing can stand in for what it would answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import msgspec

from emulator.base.bus import Bus
from emulator.base.errors import EmulatorError
from emulator.base.words import count, shown_path
from emulator.dashboard.events import EventRow, event_row
from emulator.hosts.host import HandlerError, HandlerMissing, NotLoaded
from emulator.hosts.python.output import attach
from emulator.hosts.triggers import QueueTrigger
from emulator.log.recorder import Recorder
from emulator.queues.events import BatchDelivered
from emulator.queues.message import QueueMessage, Settlement, Verdict, WorkerDelivery, backlog_of
from emulator.queues.settlement import Terms, settle
from emulator.session.session import Session

MAX_SECONDS: Final = 60.0
"""How long a rehearsal may take."""

_TOLD: Final = frozenset({"sent", "binding", "output", "failure", "fetch"})
"""The events that a rehearsal shows."""


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of a message: `acked`, `retried`, `dead`, `dropped` or `expired`; and why, if not acked."""

    id: str
    result: str
    error: str = ""


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """A rehearsal of the batch that a message was in. `because` is what came of it, in a sentence, `is_good` whether
    everything would be acked, `events` what the handler did, oldest first, and `duration` is in seconds."""

    queue: str
    worker: str
    because: str
    is_good: bool
    messages: Sequence[Rehearsed]
    events: Sequence[EventRow]
    duration: float


def last_delivery(recorder: Recorder, identifier: str) -> BatchDelivered | None:
    """The last delivery of a message to a worker that is recorded."""
    for recorded in reversed(recorder.about(identifier)):
        event = recorded.event
        if isinstance(event, BatchDelivered) and event.worker:
            return event
    return None


async def rehearse(session: Session, recorder: Recorder, identifier: str) -> Rehearsal:
    """Run the batch of the last delivery of a message again, on the code as it is now. Raises EmulatorError if no
    delivery is recorded, or if it cannot run."""
    delivered = last_delivery(recorder, identifier)
    if delivered is None:
        raise EmulatorError(f"no delivery of the message {identifier} to a worker is recorded")
    with TemporaryDirectory(prefix="emulator-rehearsal-") as directory:
        bus = Bus()
        state = session.state.copy(Path(directory))
        apart = Session(session.configs, bus, state=state, has_locals=False)
        told = Recorder(bus, apart.clock.now)
        detach = attach(bus, asyncio.get_running_loop())
        try:
            return await asyncio.wait_for(_run(apart, told, delivered), MAX_SECONDS)
        except TimeoutError:
            raise EmulatorError(f"the rehearsal has not ended after {MAX_SECONDS:g} seconds") from None
        finally:
            await apart.stop(0.0)
            detach()
            state.close()


async def _run(apart: Session, told: Recorder, delivered: BatchDelivered) -> Rehearsal:
    await apart.load()
    for name in list(apart.queues.states):
        await apart.queues.pause(name)
    state = apart.queues.states.get(delivered.queue)
    consumer = None if state is None else state.consumer
    host = next((each for each in apart.hosts if state is not None and each.config.name == state.worker), None)
    if state is None or consumer is None or host is None:
        raise EmulatorError(f"queue {delivered.queue} has no consumer in this session any more")
    messages = delivered.messages
    delivery = WorkerDelivery(delivered.queue, messages, backlog_of(messages))
    before, began = told.last, perf_counter()
    try:
        verdict: Verdict = await host.invoke("", QueueTrigger(delivery))
    except (HandlerError, HandlerMissing, NotLoaded) as error:
        failure = getattr(error, "failure", None)
        raise EmulatorError(f"the code cannot run: {failure.summary if failure is not None else error}") from None
    duration = perf_counter() - began
    await asyncio.sleep(0)
    now = apart.clock.now()
    terms = Terms(delivered.queue, consumer, now, state.settings.message_retention_period)
    settlement = settle(messages, now, verdict, terms)
    rows = [row for recorded in told.after(before) if (row := event_row(recorded)).event in _TOLD]
    return Rehearsal(
        queue=delivered.queue,
        worker=host.config.name,
        because=_because(settlement, verdict, host.config.name),
        is_good=not (settlement.retried or settlement.dead or settlement.dropped or settlement.expired),
        messages=[
            Rehearsed(id=each.id, result=result, error=_error(each, result, verdict))
            for result, group in settlement.by_result()
            for each in group
        ],
        events=rows,
        duration=duration,
    )


def _because(settlement: Settlement, verdict: Verdict, worker: str) -> str:
    counted = [f"{len(group):,} {result}" for result, group in settlement.by_result() if group]
    whole = count(sum(len(group) for _, group in settlement.by_result()), "message")
    failed = f" The handler raised {verdict.error}." if verdict.error else ""
    return f"On the code as it is now, worker {worker} would settle {whole}: {', '.join(counted)}.{failed}"


def _error(message: QueueMessage, result: str, verdict: Verdict) -> str:
    if result == "acked":
        return ""
    cause = verdict.cause_of(message.id)
    if cause is not None:
        return f"{cause.error} ({shown_path(cause.location)})" if cause.location else cause.error
    return verdict.error or (message.failures[-1].error if message.failures else "")
