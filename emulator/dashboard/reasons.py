"""Why a message is as it is, and what comes next, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from emulator.base.words import count, period, shown_path
from emulator.dashboard.story import AttemptStory, Life, MessageState
from emulator.queues.declarations import QueueState
from emulator.queues.message import QueueMessage, Settlement
from emulator.session.session import Session

ENDS: Final[Mapping[str, str]] = {
    "exception": "the handler raised an exception",
    "exceeded_cpu": "the handler used too much CPU time",
    "exceeded_wall_time": "the handler ran too long",
    "lease_expired": "the client that pulled it did not acknowledge it in time",
    "interrupted": "the emulator ended while the handler ran",
    "retry": "it asked for a retry",
    "ok": "the handler returned",
}
"""What ended an attempt, by the outcome of its handler."""


class Reasons:
    """Knows the reasons in `session`, and writes times of day with `clock`."""

    def __init__(self, session: Session, clock: Callable[[float], str]) -> None:
        self._session = session
        self._clock = clock

    def why(
        self,
        queue: str,
        state: MessageState,
        message: QueueMessage,
        lives: Sequence[Life],
        leased_until: float | None = None,
    ) -> tuple[str, str, float | None]:
        """Why a message is as it is, what comes next, and when. `leased_until` is when the lease of a client on it
        ends; None if no client has it."""
        attempts = lives[-1].attempts if lives else []
        latest = attempts[-1] if attempts else None
        if state == "dead":
            return self._why_dead(queue, message, lives), *self._waits(queue, message)
        if state in ("ready", "delayed"):
            return self._why_waiting(queue, state, message, latest), *self._waits(queue, message)
        if state == "in flight":
            number, most = message.attempts, most_attempts(self._session, queue)
            attempt = f"as attempt {number} of {most or '?'}"
            if leased_until is None:
                return f"A handler has it now, {attempt}.", "", None
            until = f"A client has pulled it, {attempt}, and has until {self._clock(leased_until)} to acknowledge it."
            return until, self._unacked(queue, number, most), leased_until
        when = "" if lives[-1].ended is None else f" at {self._clock(lives[-1].ended)}"
        if state == "acked":
            decided = (
                "" if latest is None else f" by worker {latest.worker}, in attempt {latest.number}: {latest.decision}"
            )
            return f"It was acked{when}{decided}.", "", None
        if state == "dropped":
            why = "" if latest is None else f"; the last: {failure_of(latest)}"
            tried = count(len(attempts), "attempt")
            text = f"It was dropped{when} after {tried}{why}. Queue {queue} has no dead letter queue."
            return text, "", None
        said = {
            "expired": f"It was deleted{when}: it was older than the retention period of queue {queue}.",
            "purged": f"It was deleted{when}: somebody purged it from queue {queue}.",
            "forwarded": f"It was forwarded{when} to {lives[-1].to or f'the session that consumes queue {queue}'}.",
        }
        return said.get(state, f"It is no longer in queue {queue}, and how it left is not recorded."), "", None

    def _unacked(self, queue: str, number: int, most: int) -> str:
        """What becomes of a message that a client does not acknowledge in time, after so many attempts of at most
        `most` (0: not known)."""
        consumer = self._session.queues.states[queue].consumer
        if number < most or consumer is None:
            then = f"it waits again, for attempt {number + 1} of {most or '?'}"
        else:
            target = consumer.dead_letter_queue
            then = f"it goes to {target}" if target else "it is dropped"
        return f"if it is not acknowledged by then, {then}"

    def _why_dead(self, queue: str, message: QueueMessage, lives: Sequence[Life]) -> str:
        letter = message.dead_letter
        assert letter is not None
        failed = [life for life in lives if life.queue == letter.queue and life.attempts]
        last = failed[-1].attempts[-1] if failed else None
        why = f": {failure_of(last)}" if last is not None else f": {letter.last_error}" if letter.last_error else ""
        tried = len(letter.attempts)
        all_of_them = "its only attempt" if tried == 1 else f"all {count(tried, 'attempt')}"
        each = "" if tried == 1 else ", the last"
        settings = "" if last is None or not last.of else f" (max_retries {last.of - 1})"
        return (
            f"It died in queue {letter.queue} at {self._clock(letter.died_at)}: {all_of_them}{settings} failed"
            f"{each}{why}. So it was moved to {queue}."
        )

    def _why_waiting(self, queue: str, state: str, message: QueueMessage, latest: AttemptStory | None) -> str:
        if state == "ready":
            before = "" if latest is None else f", after attempt {latest.number} failed: {failure_of(latest)}"
            return f"It is ready in queue {queue}{before}. {self._obstacle(queue)}".rstrip()
        until = f"It waits in queue {queue} until {self._clock(message.ready_at)}"
        if latest is not None and latest.delay is not None:
            where = f" from {latest.delay_from}" if latest.delay_from else ""
            failed = f"attempt {latest.number} failed ({failure_of(latest)})"
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
        when = "" if at is None else f" at {self._clock(at)}"
        return f"attempt {number} of {most}{when}{then if number == most else ''}", at


def most_attempts(session: Session, queue: str) -> int:
    """How often a message of a queue is delivered at most; 0 if the queue has no consumer."""
    state = session.queues.states.get(queue)
    return 0 if state is None or state.consumer is None else state.consumer.max_retries + 1


def decision(settlement: Settlement, identifier: str, result: str) -> str:
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
    return ENDS[verdict.outcome]


def delay_from(settlement: Settlement, identifier: str, delay: int) -> str:
    """The setting that chose the delay of a retry."""
    verdict = settlement.verdict
    if verdict.retry_messages.get(identifier) is not None:
        return "retry(delaySeconds)"
    if verdict.retry_all and verdict.retry_all_delay is not None:
        return "retryAll(delaySeconds)"
    return "retry_delay of the consumer" if delay else "retry_delay of the consumer (not set)"


def failure_of(attempt: AttemptStory) -> str:
    """Why an attempt failed, in a few words."""
    trouble = attempt.trouble
    if trouble is None:
        return attempt.decision
    return f"{trouble.error} ({shown_path(trouble.location)})" if trouble.location else trouble.error
