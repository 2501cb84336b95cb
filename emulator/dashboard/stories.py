"""The answer to "why?": what happened to a message or a request, put together from what the recorder keeps and what is
in the queues now."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import tzinfo
from itertools import islice
from typing import Final

import msgspec

from emulator.base.errors import EmulatorError
from emulator.base.words import count, shown_path
from emulator.dashboard.asking import told_asked
from emulator.dashboard.contents import MOST_SEARCHED, find, in_flight, search
from emulator.dashboard.elsewhere import asked_for_more, forwarded_from
from emulator.dashboard.filters import Filter
from emulator.dashboard.parts import lines_at, part_of, trouble_of
from emulator.dashboard.reasons import ENDS, Reasons, decision, delay_from, most_attempts
from emulator.dashboard.rows import (
    FoundMessage,
    MessageFacts,
    MessageRow,
    message_row,
    request_facts,
    text_of,
    value_of,
)
from emulator.dashboard.story import (
    ActPart,
    AttemptStory,
    Companion,
    Life,
    MessageState,
    MessageStory,
    Provenance,
    RequestStory,
    Trouble,
    time_of_day,
)
from emulator.dashboard.texts import preview
from emulator.hosts.events import EmailFinished, HandlerFailed, ScheduledFinished
from emulator.log.recorder import ORDINARY_A_SECOND, Recorded, Recorder
from emulator.queues.errors import QueueError
from emulator.queues.events import BatchDelivered, MessagesDropped, MessagesForwarded, MessagesPromoted, MessagesSent
from emulator.queues.message import Attempt, Cause, QueueMessage, Settlement
from emulator.server.asked import KeptRequest
from emulator.server.events import RequestFinished
from emulator.session.session import Session

_MOST_COMPANIONS: Final = 20
"""Of how many of the other messages of a batch the bodies are told."""

_OUTSIDE: Final[Mapping[str, str]] = {
    "api": "from a client of the REST API",
    "test": "from the test",
    "dead letter": "because it died",
    "redrive": "because it was redriven",
}


class Stories:
    """Tells what happened in `session`, as far as `recorder` knows it. Times of day are those of `zone`; None is this
    machine's."""

    def __init__(self, session: Session, recorder: Recorder, zone: tzinfo | None = None) -> None:
        self._session = session
        self.recorder = recorder
        self._zone = zone
        self._reasons = Reasons(session, self.clock)

    async def message(self, identifier: str) -> MessageStory:
        """The story of a message, by its id or the first digits of it. Raises EmulatorError, which says why, if nothing
        is known of such a message, or the digits are those of several."""
        whole = await self._whole(identifier)
        lives, last = self._lives(whole)
        for life in lives:
            if life.origin is not None and life.origin.session and life.began is not None:
                life.origin = await asked_for_more(life.origin, whole, life.queue, life.began)
        found = await self._find(whole, [lives[-1].queue] if lives and not lives[-1].end else ())
        if found is None and last is None:
            raise EmulatorError(self._unknown(identifier))
        return self._told(whole, lives, last, found)

    def origin(self, identifier: str, queue: str, until: float | None) -> Provenance:
        """Where a message came from when it entered a queue, the last time until then (in seconds since the epoch), as
        far as this session knows without asking others. Raises EmulatorError if it does not."""
        lives, _ = self._lives(identifier)
        for life in reversed(lives):
            if life.queue == queue and life.origin is not None and (until is None or (life.began or 0.0) <= until):
                return life.origin
        raise EmulatorError(f"nothing is known of a message {identifier} in queue {queue}: {self._memory()}")

    async def messages(self, wanted: Filter, limit: int = 100) -> list[MessageRow]:
        """The messages that a filter means: those in the queues, and then those that have left them, newest first."""
        rows: list[MessageRow] = []
        async with aclosing(self.found(wanted)) as every:
            async for found in every:
                rows.append(message_row(found))
                if len(rows) == limit:
                    break
        return rows

    async def found(self, wanted: Filter, most: int | None = MOST_SEARCHED) -> AsyncGenerator[FoundMessage, None]:
        """The same, one by one: of each queue, the first `most` messages that wait are looked through, or with None
        all. Other work goes on meanwhile."""
        seen: set[str] = set()
        queue = wanted.only("queue")
        for name in list(self._session.queues.states):
            if queue is None or name.casefold() == queue:
                with suppress(QueueError):  # it was deleted meanwhile
                    async for found in search(self._session, name, wanted, most, seen):
                        yield found
        now = self._session.clock.now()
        for found in self._left(seen):
            if wanted.matches(MessageFacts(found, now)):
                yield found

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
        story = next((found for each in self._ended(identifier) if (found := self._request(each)) is not None), None)
        if story is None:
            raise EmulatorError(f"nothing is known of a request {identifier}: {self._memory()}")
        trouble = self._trouble(identifier)
        because = ""
        if trouble is not None:
            at = f" ({shown_path(trouble.location)})" if trouble.location else ""
            because = f"The handler raised {trouble.error}{at}."
        told = told_asked(self.asked(identifier))
        parts = self._parts(identifier)
        return msgspec.structs.replace(story, parts=parts, trouble=trouble, because=because, **told)

    def asked(self, identifier: str) -> KeptRequest | None:
        """What a request asked for, if that is kept."""
        events = (recorded.event for recorded in self._ended(identifier))
        return next((event.asked for event in events if isinstance(event, RequestFinished)), None)

    def request_since(self, number: int, worker: str, method: str, path: str) -> str:
        """The id of a request that was answered after the event with this number; empty if there is none."""
        for recorded in self.recorder.after(number):
            event = recorded.event
            if isinstance(event, RequestFinished) and (event.worker, event.method, event.path) == (
                worker,
                method,
                path,
            ):
                return "" if event.act is None else event.act.id
        return ""

    async def _whole(self, identifier: str) -> str:
        known = self.recorder.messages(identifier)
        if len(identifier) == 32 or not identifier:
            return identifier
        if not known:
            for name in self._session.queues.states:
                leased = [each.message for each in await in_flight(self._session, name)]
                waiting = await self._session.queues.waiting(name, MOST_SEARCHED)
                known += [each.id for each in (*leased, *waiting) if each.id.startswith(identifier)]
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
        told = f"what is recorded goes back to {self.clock(since)} (the last {self.recorder.most:,} events at most)"
        missing = self.missing()
        return f"{told}, and {missing}" if missing else told

    def missing(self) -> str:
        """What of it is not recorded, as the end of a sentence; empty if all of it is."""
        gaps = self.recorder.gaps
        if not gaps:
            return ""
        begin, end = gaps[-1]
        return (
            f"from {self.clock(begin)} to {self.clock(end)} more went well than is recorded "
            f"({ORDINARY_A_SECOND:,} requests and messages a second)"
        )

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
                origin = self._origin(event, last, recorded.at)
                lives.append(Life(queue=event.queue, began=recorded.at, origin=origin))
            elif isinstance(event, BatchDelivered):
                attempt, last = self._attempt(event, last)
                _life_in(lives, event.queue).attempts.append(attempt)
                if attempt.result != "retried":
                    lives[-1].end, lives[-1].ended = attempt.result, recorded.at
            elif isinstance(event, MessagesPromoted):
                attempts = _life_in(lives, event.queue).attempts
                if attempts:
                    said = f"{attempts[-1].delay_from}, and made ready at {self.clock(recorded.at)}"
                    attempts[-1] = msgspec.structs.replace(attempts[-1], delay_from=said)
            elif not lives or not lives[-1].end:  # else its batch has said it
                life = _life_in(lives, event.queue)
                life.end = event.reason if isinstance(event, MessagesDropped) else "forwarded"
                if isinstance(event, MessagesForwarded):
                    life.to, life.session = event.to, event.to.rpartition(" ")[2]
                life.ended = recorded.at
        return lives, last

    def _origin(self, event: MessagesSent, message: QueueMessage, at: float) -> Provenance:
        if event.source == "forwarded":
            return forwarded_from(event.location, message)
        origin, location = self._cause(event), event.location
        if not location:
            return origin
        return msgspec.structs.replace(origin, location=location, source=lines_at(location, at))

    def _cause(self, event: MessagesSent) -> Provenance:
        source = event.source
        if source in _OUTSIDE:
            return Provenance(kind=source, text=_OUTSIDE[source])
        cause = event.act.cause if event.act is not None else ""
        for recorded in self._ended(cause) if cause else ():
            ended = recorded.event
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
            of=settlement.max_attempts or most_attempts(self._session, event.queue),
            at=event.taken_at,
            duration=event.duration,
            worker=event.worker,
            result=result,
            decision=decision(settlement, message.id, result),
            delay=delay,
            delay_from="" if delay is None else delay_from(settlement, message.id, delay),
            trouble=trouble,
            delivery=act,
            batch=[each.id for each in event.messages],
            beside=list(islice(_companions(event.messages, message.id), _MOST_COMPANIONS)),
            parts=self._parts(act) if act else (),
        )
        return story, after

    def _trouble_of(self, settlement: Settlement, message: QueueMessage, act: str) -> Trouble | None:
        failed = message.failures[-1] if message.failures else None
        if failed is None or not failed.error:
            return None
        cause = settlement.verdict.cause_of(message.id)
        if failed.outcome == "retry" and cause is not None:
            return trouble_of(cause)
        known = self._trouble(act) if act else None
        return known or Trouble(error=failed.error, traceback=failed.traceback)

    def _trouble(self, act: str) -> Trouble | None:
        """What a handler raised in an act."""
        for recorded in self.recorder.about(act):
            if isinstance(recorded.event, HandlerFailed):
                return trouble_of(Cause.of(recorded.event.failure))
        return None

    def _ended(self, act: str) -> Iterator[Recorded]:
        """The events of an act itself, among them the one that ended with it."""
        return (each for each in self.recorder.about(act) if each.event.act is not None and each.event.act.id == act)

    def _parts(self, act: str) -> list[ActPart]:
        """What happened within an act, in the order in which it began."""
        parts = [part for each in self.recorder.about(act) if (part := part_of(each, act)) is not None]
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

    async def _find(self, identifier: str, queues: Iterable[str]) -> FoundMessage | None:
        """A message that is in a queue, if it is in one: in the first of `queues`, or any."""
        states = self._session.queues.states
        for name in dict.fromkeys([*queues, *states]):
            if name not in states:
                continue
            found = await find(self._session, name, identifier)
            if found is not None:
                return found
        return None

    def _left(self, seen: set[str]) -> Iterator[FoundMessage]:
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
                        yield FoundMessage(event.queue, _LEFT.get(became, "gone"), message)

    def _may_lack(self, lives: Sequence[Life]) -> bool:
        """Whether something may have happened to a message while not everything was recorded."""
        began, ended = lives[0].began, lives[-1].ended
        return began is not None and self.recorder.has_gap(began, ended)

    def _told(
        self,
        identifier: str,
        lives: list[Life],
        last: QueueMessage | None,
        found: FoundMessage | None,
    ) -> MessageStory:
        message = last if found is None else found.message
        assert message is not None
        is_whole = bool(lives) and lives[0].began is not None and not self._may_lack(lives)
        if found is not None:
            if not lives or lives[-1].end or lives[-1].queue != found.queue:
                lives.extend(_forgotten(found.queue, message))
                is_whole = False
            queue, state = found.queue, found.state
        else:
            queue = lives[-1].queue
            state = _LEFT.get(lives[-1].end, "gone")
        attempts = [attempt for life in lives for attempt in life.attempts]
        error = next((each.trouble.error for each in reversed(attempts) if each.trouble is not None), "")
        because, following, at = self._reasons.why(
            queue, state, message, lives, None if found is None else found.leased_until
        )
        value = value_of(message)
        return MessageStory(
            id=identifier,
            queue=queue,
            state=state,
            because=because,
            next=following,
            next_at=at,
            body=msgspec.to_builtins(value, enc_hook=repr, str_keys=True),
            text=text_of(value),
            content_type=message.content_type,
            size=len(message.body),
            sent_at=message.timestamp,
            attempts=len(attempts),
            error=error,
            lives=lives,
            is_whole=is_whole,
            zone="" if self._zone is None else "UTC",
        )


def _life_in(lives: list[Life], queue: str) -> Life:
    """The present life of a message in a queue, of whose beginning nothing may be known."""
    if not lives or lives[-1].queue != queue or lives[-1].end:
        lives.append(Life(queue=queue))
    return lives[-1]


_LEFT: Final[Mapping[str, MessageState]] = {
    "acked": "acked", "dropped": "dropped", "retries": "dropped", "expired": "expired", "purged": "purged",
    "forwarded": "forwarded", "dead": "dead",
}  # fmt: skip


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
        number=attempt.number, of=of, at=attempt.at, result=result, decision=ENDS[attempt.outcome], trouble=trouble
    )


def _companions(messages: Iterable[QueueMessage], identifier: str) -> Iterator[Companion]:
    """The messages of a batch but one."""
    for each in messages:
        if each.id != identifier:
            yield Companion(id=each.id, text=preview(each))
