"""The answer to "why?": what happened to a message or a request, put together from what the recorder keeps and what is
in the queues now."""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, Final, Literal

import msgspec

from emulator.base.errors import EmulatorError
from emulator.base.failure import Failure
from emulator.base.words import count, period
from emulator.bindings.events import BindingUsed
from emulator.dashboard.filters import Facts, Filter
from emulator.hosts.events import EmailFinished, HandlerFailed, ScheduledFinished, WorkerOutput
from emulator.log.recorder import Recorded, Recorder
from emulator.queues.declarations import QueueState
from emulator.queues.events import BatchDelivered, MessagesDropped, MessagesForwarded, MessagesSent
from emulator.queues.message import Attempt, QueueMessage, Settlement
from emulator.server.events import RequestFinished
from emulator.session.session import Session
from emulator.wire.codec import decode

MessageState = Literal[
    "ready", "delayed", "in flight", "acked", "dead", "dropped", "expired", "purged", "forwarded", "gone"
]
"""`dead` messages wait in a dead letter queue. `gone` ones have left their queue, and how is not known."""

MOST_SEARCHED: Final = 20_000
"""How many waiting messages of a queue are looked through for those that a filter means, or for one by its id."""

_ENDS: Final[Mapping[str, str]] = {
    "exception": "the handler raised an exception",
    "exceeded_cpu": "the handler used too much CPU time",
    "exceeded_wall_time": "the handler ran too long",
    "lease_expired": "the client that pulled it did not acknowledge it in time",
    "interrupted": "the emulator ended while the handler ran",
    "retry": "it asked for a retry",
    "ok": "the handler returned",
}
_OUTSIDE: Final[Mapping[str, str]] = {
    "api": "from a client of the REST API",
    "test": "from the test",
    "forwarded": "from another session",
    "dead letter": "because it died",
    "redrive": "because it was redriven",
}


class SourceLine(msgspec.Struct, frozen=True):
    """A line of a file, counted from 1; `is_it` marks the one that is meant."""

    number: int
    text: str
    is_it: bool = False


class ActPart(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened within a request or a delivery: `line` of output, operation on a `binding`, messages
    `sent`, or `error`. `at` is when it began, in seconds since the epoch, and `duration` in seconds."""

    kind: Literal["line", "binding", "sent", "error"]
    at: float
    text: str
    level: str = "info"
    duration: float = 0.0
    queue: str = ""
    messages: Sequence[str] = ()


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong: `error` in one line, the whole `traceback`, and where in the worker's code, as `file:line`, with
    the lines around it. Empty where that is not known."""

    error: str
    traceback: str = ""
    location: str = ""
    source: Sequence[SourceLine] = ()


class AttemptStory(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery of a message, the `number`th of at most `of` (0: not known).

    `at` is when it began, in seconds since the epoch; `duration` and `delay` are in seconds, None where not known or
    not retried. `result` is what became of the message, `decision` what decided that, and `delay_from` the setting that
    chose the delay. `delivery` is the id of the delivery, and `batch` are the ids of all messages in it.
    """

    number: int
    of: int
    at: float
    result: str
    decision: str
    worker: str = ""
    duration: float | None = None
    delay: int | None = None
    delay_from: str = ""
    trouble: Trouble | None = None
    delivery: str = ""
    batch: Sequence[str] = ()
    parts: Sequence[ActPart] = ()


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """What has put a message into a queue. `kind` is `request`, `delivery`, `scheduled`, `email`, `worker` (nothing
    more is known), `dead letter`, `redrive`, `api`, `test` or `forwarded`; `text` says it in words that complete "it
    came": `from worker shop, in POST /signup`. `id` is that of the request or the delivery, empty if it is not
    known."""

    kind: str
    text: str
    worker: str = ""
    id: str = ""


class Life(msgspec.Struct, kw_only=True):
    """A message's time in one queue, from `began` to `ended`, in seconds since the epoch; None where that is not
    known. `end` is the state in which it left; empty while it is there."""

    queue: str
    began: float | None = None
    origin: Provenance | None = None
    attempts: list[AttemptStory] = []
    ended: float | None = None
    end: str = ""


class MessageStory(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a message.

    `because` answers in a sentence why it is as it is, and `next` says what comes, at `next_at`; both may be empty, or
    None. `body` is the value, as far as JSON can represent it, and `text` the body for people. Times are in seconds
    since the epoch. `is_whole` says that nothing of it has been forgotten.
    """

    id: str
    queue: str
    state: MessageState
    because: str
    next: str = ""
    next_at: float | None = None
    body: Any = None
    text: str = ""
    content_type: str = ""
    size: int = 0
    sent_at: float | None = None
    attempts: int = 0
    error: str = ""
    lives: Sequence[Life] = ()
    is_whole: bool = True
    zone: str = ""
    """Of the times in texts: `UTC`, or empty for that of the machine."""

    def __str__(self) -> str:
        from emulator.dashboard.telling import tell

        return tell(self)


class RequestStory(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was answered, or a cron or an e-mail that was handled. `kind` says which, and `text` in words:
    `POST /signup`. `id` is that of its act, and `trace` that of everything that it caused. `at` is in seconds since the
    epoch, and `duration` in seconds. `outcome` is the status, or `ok` or `exception`. In a list it has no `parts`."""

    id: str
    trace: str
    kind: Literal["request", "scheduled", "email"]
    worker: str
    text: str
    outcome: str
    at: float
    duration: float
    method: str = ""
    path: str = ""
    status: int = 0
    because: str = ""
    trouble: Trouble | None = None
    parts: Sequence[ActPart] = ()


class MessageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A message in a list, as in MessageStory."""

    id: str
    queue: str
    state: MessageState
    text: str
    content_type: str
    size: int
    sent_at: float
    attempts: int
    error: str
    next_at: float | None = None


class Stories:
    """Tells what happened in `session`, as far as `recorder` knows it. Times of day are those of `zone`; None is this
    machine's."""

    def __init__(self, session: Session, recorder: Recorder, zone: tzinfo | None = None) -> None:
        self._session = session
        self.recorder = recorder
        self._zone = zone

    async def message(self, identifier: str) -> MessageStory:
        """The story of a message, by its id or the first digits of it. Raises EmulatorError, which says why, if nothing
        is known of such a message, or the digits are those of several."""
        whole = await self._whole(identifier)
        lives, last = self._lives(whole)
        found = await self._find(whole, [lives[-1].queue] if lives and not lives[-1].end else ())
        if found is None and last is None:
            raise EmulatorError(self._unknown(identifier))
        return self._told(whole, lives, last, found)

    async def messages(self, wanted: Filter, limit: int = 100) -> list[MessageRow]:
        """The messages that a filter means: those in the queues, and then those that have left them, newest first."""
        rows: list[MessageRow] = []
        seen: set[str] = set()
        now = self._session.clock.now()
        queue = wanted.only("queue")
        for name in list(self._session.queues.states):
            if queue is not None and name != queue:
                continue
            for state, message in await self._there(name):
                seen.add(message.id)
                row = _row(message, name, state)
                if len(rows) < limit and wanted.matches(message_facts(row, message, now)):
                    rows.append(row)
        for name, state, message in self._left(seen):
            if len(rows) >= limit:
                break
            row = _row(message, name, state)
            if wanted.matches(message_facts(row, message, now)):
                rows.append(row)
        return rows

    def requests(self, wanted: Filter, limit: int = 100, before: int | None = None) -> list[tuple[int, RequestStory]]:
        """The requests that a filter means, newest first, each with the number of its event."""
        found: list[tuple[int, RequestStory]] = []
        now = self._session.clock.now()
        for recorded in self.recorder.newest(before):
            story = self._request(recorded)
            if story is not None and wanted.matches(request_facts(story, now)):
                found.append((recorded.number, story))
                if len(found) == limit:
                    break
        return found

    def request(self, identifier: str) -> RequestStory:
        """A request, by its id. Raises EmulatorError if it is not known."""
        for recorded in self.recorder.about(identifier):
            story = self._request(recorded) if recorded.event.act.id == identifier else None
            if story is None:
                continue
            trouble = self._trouble(identifier)
            because = ""
            if trouble is not None:
                at = f" ({trouble.location})" if trouble.location else ""
                because = f"The handler raised {trouble.error}{at}."
            parts = self._parts(identifier)
            return msgspec.structs.replace(story, parts=parts, trouble=trouble, because=because)
        raise EmulatorError(f"nothing is known of a request {identifier}: {self._memory()}")

    async def _whole(self, identifier: str) -> str:
        known = self.recorder.messages(identifier)
        if len(identifier) == 32 or not identifier:
            return identifier
        if not known:
            for name in self._session.queues.states:
                known += [each.id for _, each in await self._there(name) if each.id.startswith(identifier)]
        several = list(dict.fromkeys(known))
        if len(several) > 1:
            some = ", ".join(each[:12] for each in several[:5])
            raise EmulatorError(f"{count(len(several), 'message')} begin with {identifier}, such as {some}")
        return several[0] if several else identifier

    def _unknown(self, identifier: str) -> str:
        return f"nothing is known of a message {identifier}: it is in no queue, and {self._memory()}"

    def _memory(self) -> str:
        since = self.recorder.since
        if since is None:
            return "nothing has been recorded yet"
        return f"what is recorded goes back to {self.clock(since)} (the last {self.recorder.most:,} events at most)"

    def clock(self, at: float) -> str:
        """A time of day, with the date if it is not today's."""
        return time_of_day(at, self._session.clock.now(), self._zone)

    def _lives(self, identifier: str) -> tuple[list[Life], QueueMessage | None]:
        """The lives of a message that are recorded, and how it was when it was seen last."""
        lives: list[Life] = []
        last: QueueMessage | None = None
        for recorded in self.recorder.about(identifier):
            event = recorded.event
            last = next(each for each in event.messages if each.id == identifier)
            if isinstance(event, MessagesSent):
                if event.source == "redrive" and lives and not lives[-1].end:
                    lives[-1].end, lives[-1].ended = "redriven", recorded.at
                lives.append(Life(queue=event.queue, began=recorded.at, origin=self._origin(event)))
            elif isinstance(event, BatchDelivered):
                attempt, last = self._attempt(event, last)
                _life_in(lives, event.queue).attempts.append(attempt)
                if attempt.result != "retried":
                    lives[-1].end, lives[-1].ended = attempt.result, recorded.at
            elif not lives or not lives[-1].end:  # else its batch has said it
                life = _life_in(lives, event.queue)
                life.end = event.reason if isinstance(event, MessagesDropped) else "forwarded"
                life.ended = recorded.at
        return lives, last

    def _origin(self, event: MessagesSent) -> Provenance:
        source = event.source
        if source in _OUTSIDE:
            return Provenance(kind=source, text=_OUTSIDE[source])
        cause = event.act.cause if event.act is not None else ""
        for recorded in self.recorder.about(cause) if cause else ():
            ended = recorded.event
            if ended.act is None or ended.act.id != cause:
                continue
            if isinstance(ended, BatchDelivered):
                text = f"from worker {source}, in a delivery of {ended.queue}"
                return Provenance(kind="delivery", text=text, worker=source, id=cause)
            story = self._request(recorded)
            if story is not None:
                return Provenance(
                    kind=story.kind, text=f"from worker {source}, in {story.text}", worker=source, id=cause
                )
        return Provenance(kind="worker", text=f"from worker {source}", worker=source, id=cause)

    def _attempt(self, event: BatchDelivered, message: QueueMessage) -> tuple[AttemptStory, QueueMessage]:
        """A delivery of a message, and the message after it."""
        settlement = event.settlement
        result, after = "acked", message
        for became, messages in settlement.by_result():
            for each in messages:
                if each.id == message.id:
                    result, after = became, each
        delay = next((delay for each, delay in settlement.retried if each.id == message.id), None)
        act = "" if event.act is None else event.act.id
        trouble = None
        if result != "acked":
            trouble = self._trouble_of(settlement, after, act)
        story = AttemptStory(
            number=message.attempts,
            of=settlement.max_attempts or self._most_attempts(event.queue),
            at=event.taken_at,
            duration=event.duration,
            worker=event.worker,
            result=result,
            decision=_decision(settlement, message.id, result),
            delay=delay,
            delay_from="" if delay is None else _delay_from(settlement, message.id, delay),
            trouble=trouble,
            delivery=act,
            batch=[each.id for each in event.messages],
            parts=self._parts(act) if act else (),
        )
        return story, after

    def _most_attempts(self, queue: str) -> int:
        state = self._session.queues.states.get(queue)
        return 0 if state is None or state.consumer is None else state.consumer.max_retries + 1

    def _trouble_of(self, settlement: Settlement, message: QueueMessage, act: str) -> Trouble | None:
        failed = message.failures[-1] if message.failures else None
        if failed is None or not failed.error:
            return None
        cause = settlement.verdict.cause_of(message.id)
        if failed.outcome == "retry" and cause is not None:
            lines = _lines_at(cause.location, failed.at)
            return Trouble(error=cause.error, traceback=cause.traceback, location=cause.location, source=lines)
        known = self._trouble(act) if act else None
        return known or Trouble(error=failed.error, traceback=failed.traceback)

    def _trouble(self, act: str) -> Trouble | None:
        """What a handler raised in an act."""
        for recorded in self.recorder.about(act):
            if isinstance(recorded.event, HandlerFailed):
                return trouble_of(recorded.event.failure)
        return None

    def _parts(self, act: str) -> list[ActPart]:
        """What happened within an act, in the order in which it began."""
        parts = [part for each in self.recorder.about(act) if (part := _part(each, act)) is not None]
        return sorted(parts, key=lambda part: part.at)

    def _request(self, recorded: Recorded) -> RequestStory | None:
        event = recorded.event
        if event.act is None:
            return None
        act = event.act
        began = min(act.began, recorded.at)
        common = {"id": act.id, "trace": act.trace, "at": began}
        if isinstance(event, RequestFinished):
            return RequestStory(
                **common, kind="request", worker=event.worker, text=f"{event.method} {event.path}",
                outcome=str(event.status), duration=event.duration, method=event.method, path=event.path,
                status=event.status,
            )  # fmt: skip
        if isinstance(event, ScheduledFinished):
            return RequestStory(
                **common, kind="scheduled", worker=event.worker, text=f"SCHEDULED {event.cron}", outcome=event.outcome,
                duration=event.duration,
            )  # fmt: skip
        if isinstance(event, EmailFinished):
            return RequestStory(
                **common, kind="email", worker=event.worker, text=f"EMAIL {event.sender} to {event.recipient}",
                outcome=event.outcome, duration=event.duration,
            )  # fmt: skip
        return None

    async def _find(self, identifier: str, queues: Iterable[str]) -> tuple[str, MessageState, QueueMessage] | None:
        """The queue that a message is in, if it is in one: the first of `queues`, or any."""
        states = self._session.queues.states
        for name in dict.fromkeys([*queues, *states]):
            if name not in states:
                continue
            for state, message in await self._there(name):
                if message.id == identifier:
                    return name, state, message
        return None

    async def _there(self, queue: str) -> list[tuple[MessageState, QueueMessage]]:
        """The messages in a queue, those in flight first."""
        queues, now = self._session.queues, self._session.clock.now()
        running = [("in flight", each) for each in queues.delivering(queue)]
        waiting = await queues.waiting(queue, MOST_SEARCHED)
        return [*running, *((_state_of(each, now), each) for each in waiting)]  # type: ignore[list-item]

    def _left(self, seen: set[str]) -> Iterator[tuple[str, MessageState, QueueMessage]]:
        """The messages that have left their queues, newest first."""
        for recorded in self.recorder.newest():
            event = recorded.event
            if isinstance(event, BatchDelivered):
                groups: Iterable[tuple[str, Sequence[QueueMessage]]] = event.settlement.by_result()
            elif isinstance(event, MessagesDropped):
                groups = ((event.reason, event.messages),)
            elif isinstance(event, MessagesForwarded):
                groups = (("forwarded", event.messages),)
            else:
                continue
            for became, messages in groups:
                for message in messages:
                    if message.id not in seen:
                        seen.add(message.id)
                        yield event.queue, _LEFT.get(became, "gone"), message

    def _told(
        self,
        identifier: str,
        lives: list[Life],
        last: QueueMessage | None,
        found: tuple[str, MessageState, QueueMessage] | None,
    ) -> MessageStory:
        message = last if found is None else found[2]
        assert message is not None
        is_whole = bool(lives) and lives[0].began is not None
        if found is not None:
            if not lives or lives[-1].end or lives[-1].queue != found[0]:
                lives.extend(_forgotten(found[0], message))
                is_whole = False
            queue, state = found[0], found[1]
        else:
            queue = lives[-1].queue
            state = _LEFT.get(lives[-1].end, "gone")
        attempts = [attempt for life in lives for attempt in life.attempts]
        error = next((each.trouble.error for each in reversed(attempts) if each.trouble is not None), "")
        because, following, at = self._why(queue, state, message, lives)
        value = _value(message)
        return MessageStory(
            id=identifier,
            queue=queue,
            state=state,
            because=because,
            next=following,
            next_at=at,
            body=msgspec.to_builtins(value, enc_hook=repr, str_keys=True),
            text=_text(value),
            content_type=message.content_type,
            size=len(message.body),
            sent_at=message.timestamp,
            attempts=len(attempts),
            error=error,
            lives=lives,
            is_whole=is_whole,
            zone="" if self._zone is None else "UTC",
        )

    def _why(
        self, queue: str, state: MessageState, message: QueueMessage, lives: Sequence[Life]
    ) -> tuple[str, str, float | None]:
        """Why a message is as it is, what comes next, and when."""
        attempts = lives[-1].attempts if lives else []
        latest = attempts[-1] if attempts else None
        if state == "dead":
            return self._why_dead(queue, message, lives), *self._waits(queue, message)
        if state in ("ready", "delayed"):
            return self._why_waiting(queue, state, message, latest), *self._waits(queue, message)
        if state == "in flight":
            number = message.attempts
            return f"A handler has it now, as attempt {number} of {self._most_attempts(queue) or '?'}.", "", None
        when = "" if lives[-1].ended is None else f" at {self.clock(lives[-1].ended)}"
        if state == "acked":
            decided = (
                "" if latest is None else f" by worker {latest.worker}, in attempt {latest.number}: {latest.decision}"
            )
            return f"It was acked{when}{decided}.", "", None
        if state == "dropped":
            why = "" if latest is None else f"; the last: {_failed(latest)}"
            tried = count(len(attempts), "attempt")
            text = f"It was dropped{when} after {tried}{why}. Queue {queue} has no dead letter queue."
            return text, "", None
        said = {
            "expired": f"It was deleted{when}: it was older than the retention period of queue {queue}.",
            "purged": f"It was deleted{when}: somebody purged it from queue {queue}.",
            "forwarded": f"It was forwarded{when} to the session that consumes queue {queue}.",
        }
        return said.get(state, f"It is no longer in queue {queue}, and how it left is not recorded."), "", None

    def _why_dead(self, queue: str, message: QueueMessage, lives: Sequence[Life]) -> str:
        letter = message.dead_letter
        assert letter is not None
        failed = [life for life in lives if life.queue == letter.queue and life.attempts]
        last = failed[-1].attempts[-1] if failed else None
        why = f": {_failed(last)}" if last is not None else f": {letter.last_error}" if letter.last_error else ""
        tried = len(letter.attempts)
        each = "" if tried == 1 else ", the last"
        settings = "" if last is None or not last.of else f" (max_retries {last.of - 1})"
        return (
            f"It died in queue {letter.queue} at {self.clock(letter.died_at)}: all {count(tried, 'attempt')}"
            f"{settings} failed{each}{why}. So it was moved to {queue}."
        )

    def _why_waiting(self, queue: str, state: str, message: QueueMessage, latest: AttemptStory | None) -> str:
        if state == "ready":
            before = "" if latest is None else f", after attempt {latest.number} failed: {_failed(latest)}"
            return f"It is ready in queue {queue}{before}. {self._obstacle(queue)}".rstrip()
        until = f"It waits in queue {queue} until {self.clock(message.ready_at)}"
        if latest is not None and latest.delay is not None:
            where = f" from {latest.delay_from}" if latest.delay_from else ""
            failed = f"attempt {latest.number} failed ({_failed(latest)})"
            return f"{until}: {failed}, and the delay is {latest.delay} s{where}."
        seconds = period(round(message.ready_at - message.enqueued_at))
        state_of = self._session.queues.states[queue]
        is_default = message.ready_at - message.enqueued_at == state_of.settings.delivery_delay
        where = "delivery_delay of the queue" if is_default else "the send"
        return f"{until}: it was sent with a delay of {seconds}, from {where}."

    def _obstacle(self, queue: str) -> str:
        """Why a queue does not deliver what is ready."""
        session = self._session
        state: QueueState = session.queues.state_of(queue)
        if state.settings.delivery_paused:
            return f"Deliveries are paused: `emulator queues resume {queue}` lets them go on."
        consumer = state.consumer
        if consumer is None:
            to = session.queues.forwarded_to(queue)
            return f"It is being forwarded to {to}." if to else "The queue has no consumer."
        if consumer.type == "http_pull":
            return "A client has to pull it."
        host = next((each for each in session.hosts if each.config.name == state.worker), None)
        if host is None:
            return f"Its consumer, worker {state.worker}, is not part of this session."
        if host.failure is not None:
            return f"Its consumer, worker {state.worker}, does not load: {host.failure.summary}."
        running = session.queues.deliveries_under_way(queue)
        if consumer.max_concurrency is not None and running >= consumer.max_concurrency:
            deliveries = count(running, "delivery is", "deliveries are")
            return f"max_concurrency is {consumer.max_concurrency}, and {deliveries} under way."
        if running:
            return f"{count(running, 'delivery is', 'deliveries are')} under way; it comes after that, or beside it."
        return (
            f"A batch is being formed: it is delivered when {consumer.max_batch_size} are ready, "
            f"or {consumer.max_batch_timeout:g} s after the first (max_batch_size and max_batch_timeout)."
        )

    def _waits(self, queue: str, message: QueueMessage) -> tuple[str, float | None]:
        """What comes next for a message that waits, and when."""
        state = self._session.queues.states[queue]
        consumer = state.consumer
        if consumer is None:
            if message.dead_letter is not None:
                back = f"`emulator queues redrive {queue}` sends it back to {message.dead_letter.queue}"
                return f"Nothing consumes {queue}, so it stays until it is redriven ({back}) or expires.", None
            return "", None
        most = consumer.max_retries + 1
        number = message.attempts + 1
        target = consumer.dead_letter_queue
        then = f", then to {target}" if target else ", then it is dropped"
        at = message.ready_at if message.ready_at > self._session.clock.now() else None
        when = "" if at is None else f" at {self.clock(at)}"
        return f"attempt {number} of {most}{when}{then if number == most else ''}", at


def _life_in(lives: list[Life], queue: str) -> Life:
    """The present life of a message in a queue, of whose beginning nothing may be known."""
    if not lives or lives[-1].queue != queue or lives[-1].end:
        lives.append(Life(queue=queue))
    return lives[-1]


_LEFT: Final[Mapping[str, MessageState]] = {
    "acked": "acked", "dropped": "dropped", "retries": "dropped", "expired": "expired", "purged": "purged",
    "forwarded": "forwarded", "dead": "dead",
}  # fmt: skip


def message_facts(row: MessageRow, message: QueueMessage, now: float) -> Facts:
    """What a filter can ask of a message: `id`, `queue`, `state`, `attempts`, `error`, `body`, `type`, `size` in bytes,
    `source`, `worker`, `older` (its age in seconds)."""
    return {
        "id": row.id,
        "queue": row.queue,
        "state": row.state,
        "attempts": row.attempts,
        "error": row.error,
        "body": _value(message),
        "type": row.content_type,
        "size": row.size,
        "source": message.source,
        "worker": message.source,
        "older": now - row.sent_at,
        "text": f"{row.id} {row.text} {row.error}",
    }


def request_facts(story: RequestStory, now: float) -> Facts:
    """What a filter can ask of a request: `id`, `kind`, `worker`, `method`, `path`, `status`, `outcome`, `duration` and
    `older` in seconds."""
    return {
        "id": story.id,
        "kind": story.kind,
        "worker": story.worker,
        "method": story.method,
        "path": story.path,
        "status": story.status,
        "outcome": story.outcome,
        "duration": story.duration,
        "older": now - story.at,
        "text": f"{story.id} {story.text} {story.outcome}",
    }


def time_of_day(at: float, now: float, zone: tzinfo | None) -> str:
    """A time of day, with the date if that is not the one of `now`."""
    moment = datetime.fromtimestamp(at, zone)
    is_today = moment.date() == datetime.fromtimestamp(now, zone).date()
    return f"{moment:%H:%M:%S}" if is_today else f"{moment:%Y-%m-%d %H:%M:%S}"


def trouble_of(failure: Failure) -> Trouble:
    """What went wrong, with the lines around the worker's own line."""
    own = [frame for frame in failure.frames if frame.is_user] or failure.frames
    lines: Sequence[SourceLine] = ()
    if own:
        frame = own[-1]
        lines = [SourceLine(number, text, number == frame.line) for number, text in frame.context()]
    return Trouble(error=failure.summary, traceback=failure.text, location=failure.location, source=lines)


def _lines_at(location: str, at: float) -> list[SourceLine]:
    """The lines around `file:line`; none if they cannot be read, or the file has changed since then."""
    file, _, line = location.rpartition(":")
    if not line.isdigit() or _changed_at(file) > at:
        return []
    number = int(line)
    lines = linecache.getlines(file)
    around = range(max(number - 3, 1), min(number + 3, len(lines)) + 1)
    return [SourceLine(each, lines[each - 1].rstrip("\n"), each == number) for each in around]


def _changed_at(file: str) -> float:
    try:
        return os.stat(file).st_mtime  # noqa: PTH116 - a path may be anything
    except (OSError, ValueError):
        return 0.0


def _part(recorded: Recorded, act: str) -> ActPart | None:
    event, at = recorded.event, recorded.at
    if isinstance(event, WorkerOutput):
        return ActPart(kind="line", at=at, text=event.text.rstrip("\n"), level=event.level)
    if isinstance(event, HandlerFailed):
        return ActPart(kind="error", at=at, text=event.failure.summary, level="error")
    if event.act is None or event.act.cause != act:
        return None
    if isinstance(event, BindingUsed):
        failed = f": {event.error}" if event.error else ""
        text = f"{event.kind} {event.name} {event.operation} {event.key}".rstrip() + failed
        level = "error" if event.error else "info"
        return ActPart(kind="binding", at=event.act.began, duration=event.duration, text=text, level=level)
    if isinstance(event, MessagesSent):
        ids = [each.id for each in event.messages]
        text = f"{count(len(ids), 'message')} to {event.queue}"
        return ActPart(
            kind="sent", at=event.act.began, duration=at - event.act.began, text=text, queue=event.queue, messages=ids
        )
    return None


def _decision(settlement: Settlement, identifier: str, result: str) -> str:
    """What decided what became of a message."""
    verdict = settlement.verdict
    if identifier in verdict.explicit_acks:
        return "the handler called ack() on it"
    if identifier in verdict.retry_messages:
        return "the handler called retry() on it"
    if verdict.ack_all:
        return "the handler called ackAll()"
    if verdict.retry_all:
        return "the handler called retryAll()"
    if result == "dropped" and verdict.outcome == "ok":
        return "it had no deliveries left"
    return _ENDS[verdict.outcome]


def _delay_from(settlement: Settlement, identifier: str, delay: int) -> str:
    """The setting that chose the delay of a retry."""
    verdict = settlement.verdict
    if verdict.retry_messages.get(identifier) is not None:
        return "retry(delaySeconds)"
    if verdict.retry_all and verdict.retry_all_delay is not None:
        return "retryAll(delaySeconds)"
    return "retry_delay of the consumer" if delay else "retry_delay of the consumer, which is not set"


def _failed(attempt: AttemptStory) -> str:
    """Why an attempt failed, in a few words."""
    trouble = attempt.trouble
    if trouble is None:
        return attempt.decision
    return f"{trouble.error} ({trouble.location})" if trouble.location else trouble.error


def _forgotten(queue: str, message: QueueMessage) -> Iterator[Life]:
    """The lives of a message as far as it carries them with it."""
    letter = message.dead_letter
    if letter is not None:
        attempts = [_carried(each, len(letter.attempts)) for each in letter.attempts]
        yield Life(queue=letter.queue, attempts=attempts, ended=letter.died_at, end="dead")
    yield Life(queue=queue, began=message.enqueued_at, attempts=[_carried(each, 0) for each in message.failures])


def _carried(attempt: Attempt, of: int) -> AttemptStory:
    trouble = Trouble(error=attempt.error, traceback=attempt.traceback) if attempt.error else None
    result = "dead" if attempt.number == of else "retried"
    return AttemptStory(
        number=attempt.number, of=of, at=attempt.at, result=result, decision=_ENDS[attempt.outcome], trouble=trouble
    )


def _state_of(message: QueueMessage, now: float) -> MessageState:
    if message.ready_at > now:
        return "delayed"
    return "ready" if message.dead_letter is None else "dead"


def _row(message: QueueMessage, queue: str, state: MessageState) -> MessageRow:
    letter = message.dead_letter
    failures = letter.attempts if letter is not None and not message.failures else message.failures
    return MessageRow(
        id=message.id,
        queue=queue,
        state=state,
        text=_text(_value(message))[:300],
        content_type=message.content_type,
        size=len(message.body),
        sent_at=message.timestamp,
        attempts=message.attempts or len(failures),
        error=next((each.error for each in reversed(failures) if each.error), ""),
        next_at=message.ready_at if state == "delayed" else None,
    )


def _value(message: QueueMessage) -> Any:
    """The value of a body; its bytes if it cannot be read."""
    try:
        return decode(message.body, message.content_type)
    except ValueError:
        return message.body


def _text(value: Any) -> str:
    """A body for people."""
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value, enc_hook=repr).decode()
    except (TypeError, ValueError):
        return repr(value)
