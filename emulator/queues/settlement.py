"""What becomes of leased messages: the rules that every queue engine obeys, without an engine.

For each message of a batch the first row that speaks of it decides whether it is acked:

    | said by                                          | acked | again | its delay, the first that is given      |
    | ------------------------------------------------ | ----- | ----- | --------------------------------------- |
    | the message's own `ack()`                        | yes   |       |                                         |
    | the message's own `retry()`                      |       | yes   | its own, `retryAll()`'s, the consumer's |
    | `ackAll()`                                       | yes   |       |                                         |
    | `retryAll()`                                     |       | yes   | `retryAll()`'s, the consumer's          |
    | the handler returned                             | yes   |       |                                         |
    | it threw, ran out of time, or the lease expired  |       | yes   | the consumer's                          |

So an ack outlives a throw. Why a message is wanted again is told of the same row: by the call, as far as the host could
see a reason for it, else by how the handler ended. The error of a handler says nothing about a message that had its own
`retry()` by then. A message that is wanted again has failed once more, and then the first row that fits says
where it goes:

    | it was delivered `1 + max_retries` times, and there is a dead letter queue   | dead: a letter in that queue |
    | it was delivered `1 + max_retries` times                                     | dropped                      |
    | it is older than the retention period                                        | expired: dropped             |
    | otherwise                                                                    | waits again, for its delay   |

A delivery that the end of the process interrupts is never settled, and yet counts. So a message can come up that was
delivered as often as it may be: it is spent, is not given to the handler again, and goes where the first two rows say.

What was decided about messages of another batch means nothing. The runtime that worker code runs in sees to it that a
message is not acked and retried at once, nor a batch: workerd does, and `emulator_runtime.workers.queue` by the same
conditions. The manual (docs/queues.md) has the table of what follows from both; one suite runs it on every host.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from emulator.queues.message import Attempt, Cause, DeadLetter, Leased, Message, Settlement, Verdict
from emulator.queues.settings import ConsumerSettings

CLIENT_RETRY: Final = "the client that pulled it asked for a retry"
CLIENT_LATE: Final = "the client that pulled it did not acknowledge it in time"
INTERRUPTED: Final = "the emulator ended while the handler ran"


_NO_CAUSE: Final = Cause("")


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What a settlement depends on beside the verdict. `queue` is where the messages are; `now` is in seconds since the
    epoch, the rest in seconds. `letter_delay` is the delivery delay of the dead letter queue."""

    queue: str
    consumer: ConsumerSettings
    now: float
    retention_period: float
    letter_delay: float = 0


def acks_all(verdict: Verdict) -> bool:
    """Whether a whole batch is acked, whatever the terms: as it mostly is."""
    return verdict.outcome == "ok" and not verdict.retry_all and not verdict.retry_messages


def settle(
    messages: Sequence[Message], taken_at: float, verdict: Verdict, terms: Terms, spent: Sequence[Message] = ()
) -> Settlement:
    """What becomes of a batch that was leased at `taken_at` (in seconds since the epoch). `spent` messages came with it
    and were not given to the handler."""
    if not spent and acks_all(verdict):
        return Settlement(messages, verdict=verdict)
    return _settle_each(((message, taken_at) for message in messages), verdict, terms, spent)


def parted(messages: Sequence[Message], consumer: ConsumerSettings) -> tuple[Sequence[Message], Sequence[Message]]:
    """The messages of a batch that the handler is given, and those that are spent: they had all their deliveries."""
    most = consumer.max_retries + 1
    spent = [message for message in messages if message.attempts > most]
    return (messages, spent) if not spent else ([message for message in messages if message.attempts <= most], spent)


def interrupted(number: int, at: float) -> Attempt:
    """The attempt with this number, begun at `at`, which the end of the process interrupted."""
    return Attempt(number, at, "interrupted", INTERRUPTED)


def settle_leases(leases: Sequence[Leased], verdict: Verdict, terms: Terms) -> Settlement:
    """What becomes of messages that a client pulled, each with the time of its own lease."""
    return _settle_each(((each.message, each.taken_at) for each in leases), verdict, terms)


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What a client said of leases: those that end by it, the `verdict` on their messages, and the lease ids that
    change nothing, as in Acknowledgement."""

    ended: Sequence[Leased]
    verdict: Verdict
    unknown: Sequence[str]
    expired: Sequence[str]


def answer(leases: Iterable[Leased], acks: Iterable[str], retries: Iterable[tuple[str, int | None]]) -> Answer:
    """What a client says of the leases that there are: `acks` first, then `retries`, each with its delay in seconds
    (None: the consumer's).

    An ack is good for as long as the message is there and nobody else got it, also when its lease has expired. A retry
    needs a lease that holds: an expired one has given the message back already. A lease ends once.
    """
    known = {each.lease_id: each for each in leases}
    ended: list[Leased] = []
    unknown: list[str] = []
    expired: list[str] = []
    again: dict[str, int | None] = {}
    for lease_id in acks:
        each = known.pop(lease_id, None)
        if each is None:
            unknown.append(lease_id)
        else:
            ended.append(each)
    for lease_id, delay_seconds in retries:
        each = known.get(lease_id)
        if each is None:
            unknown.append(lease_id)
        elif each.has_expired:
            expired.append(lease_id)
        else:
            del known[lease_id]
            ended.append(each)
            again[each.message.id] = delay_seconds
    causes = dict.fromkeys(again, Cause(CLIENT_RETRY))
    verdict = Verdict(retry_messages=again, error=CLIENT_RETRY if again else "", causes=causes)
    return Answer(ended, verdict, unknown, expired)


def _settle_each(
    leased: Iterable[tuple[Message, float]], verdict: Verdict, terms: Terms, spent: Sequence[Message] = ()
) -> Settlement:
    consumer, now = terms.consumer, terms.now
    acked_rest = verdict.ack_all or (verdict.outcome == "ok" and not verdict.retry_all)
    default_delay = consumer.retry_delay
    if verdict.retry_all and verdict.retry_all_delay is not None:
        default_delay = verdict.retry_all_delay
    rest_cause = verdict.retry_all_cause or Cause(verdict.error, verdict.traceback)
    acked: list[Message] = []
    retried: list[tuple[Message, int]] = []
    expired: list[Message] = []
    gone = [msgspec.structs.replace(message, attempts=message.attempts - 1) for message in spent]
    dead, dropped = (gone, []) if consumer.dead_letter_queue else ([], gone)
    for message, taken_at in leased:
        own_retry = message.id in verdict.retry_messages
        if message.id in verdict.explicit_acks or (acked_rest and not own_retry):
            acked.append(message)
            continue
        own_delay = verdict.retry_messages.get(message.id)
        delay = max(default_delay if own_delay is None else own_delay, 0)
        outcome = "retry" if own_retry or verdict.retry_all else verdict.outcome
        cause = verdict.causes.get(message.id) or _NO_CAUSE if own_retry else rest_cause
        attempt = Attempt(message.attempts, taken_at, outcome, cause.error, cause.traceback)
        failed = msgspec.structs.replace(message, failures=(*message.failures, attempt))
        if message.attempts > consumer.max_retries:
            (dead if consumer.dead_letter_queue else dropped).append(failed)
        elif is_expired(message, terms.retention_period, now):
            expired.append(failed)
        else:
            retried.append((msgspec.structs.replace(failed, ready_at=now + delay), delay))
    letters = [letter(each, terms) for each in dead]
    target = consumer.dead_letter_queue or ""
    return Settlement(acked, retried, dead, dropped, expired, target, letters, verdict)


def is_expired(message: Message, retention_period: float, now: float) -> bool:
    """Whether a message is older than the retention period of its queue."""
    return message.enqueued_at + retention_period <= now


def letter(message: Message, terms: Terms) -> Message:
    """A message as it enters the dead letter queue: with the same id, no attempts yet, and why it died."""
    return Message(
        message.id,
        message.body,
        message.content_type,
        message.timestamp,
        terms.now,
        terms.now + terms.letter_delay,
        dead_letter=DeadLetter(terms.queue, terms.now, message.failures),
        source=message.source,
    )


def moved(message: Message, now: float, delay_seconds: float) -> Message:
    """A message as it enters another queue, as if it had just been sent: with the same id, attempts fresh."""
    return Message(
        message.id,
        message.body,
        message.content_type,
        message.timestamp,
        now,
        now + delay_seconds,
        source=message.source,
    )
