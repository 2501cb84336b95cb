"""The rules for settling leased messages, which apply to every queue engine.

For each message of a batch, the first row that applies to it decides whether it is acked:

    | said by                                          | acked | again | its delay, the first that is given      |
    | ------------------------------------------------ | ----- | ----- | --------------------------------------- |
    | the message's own `ack()`                        | yes   |       |                                         |
    | the message's own `retry()`                      |       | yes   | its own, `retryAll()`'s, the consumer's |
    | `ackAll()`                                       | yes   |       |                                         |
    | `retryAll()`                                     |       | yes   | `retryAll()`'s, the consumer's          |
    | the handler returned                             | yes   |       |                                         |
    | it threw, ran out of time, or the lease expired  |       | yes   | the consumer's                          |

So an ack outlives a throw. The same row gives the reason of a retry: that of the call, if the host could see one, else
how the handler ended. A handler's error is not the reason for a message that had its own `retry()`. A message that is
retried has failed once more, and the first row that applies says where it goes:

    | it was delivered `1 + max_retries` times, and there is a dead letter queue   | dead: a letter in that queue |
    | it was delivered `1 + max_retries` times                                     | dropped                      |
    | it is older than the retention period                                        | expired: dropped             |
    | otherwise                                                                    | waits again, for its delay   |

A delivery that is interrupted by the end of the process is never settled, but counts. So a message may be due that has
already been delivered as often as allowed: it is spent, is not delivered to the handler again, and goes where the first
two rows say.

Decisions about messages of another batch have no effect. The runtime of worker code ensures that a message, or a batch,
is not both acked and retried: workerd does, and `emulator_runtime.workers.queue` follows the same conditions.
docs/queues.md has a table of the results; one test suite runs it on every host.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from emulator.queues.message import Attempt, Cause, DeadLetter, LeasedMessage, QueueMessage, Settlement, Verdict
from emulator.queues.settings import ConsumerSettings

CLIENT_RETRY: Final = "the client that pulled it asked for a retry"
CLIENT_LATE: Final = "the client that pulled it did not acknowledge it in time"
INTERRUPTED: Final = "the emulator ended while the handler ran"


_NO_CAUSE: Final = Cause("")


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What a settlement depends on, besides the verdict. `queue` is the queue of the messages. `now` is in seconds
    since the epoch, the other times in seconds. `letter_delay` is the delivery delay of the dead letter queue."""

    queue: str
    consumer: ConsumerSettings
    now: float
    retention_period: float
    letter_delay: float = 0


def acks_all(verdict: Verdict) -> bool:
    """Whether a whole batch is acked, whatever the terms, which is the usual case."""
    return verdict.outcome == "ok" and not verdict.retry_all and not verdict.retry_messages


def settle(
    messages: Sequence[QueueMessage],
    taken_at: float,
    verdict: Verdict,
    terms: Terms,
    spent: Sequence[QueueMessage] = (),
) -> Settlement:
    """The settlement of a batch that was leased at `taken_at`, in seconds since the epoch. `spent` messages came with
    it and were not given to the handler."""
    if not spent and acks_all(verdict):
        return Settlement(messages, verdict=verdict)
    return _settle_each(((message, taken_at) for message in messages), verdict, terms, spent)


def parted(
    messages: Sequence[QueueMessage], consumer: ConsumerSettings
) -> tuple[Sequence[QueueMessage], Sequence[QueueMessage]]:
    """The messages of a batch that the handler gets, and those that are spent because they have no deliveries left."""
    most = consumer.max_retries + 1
    spent = [message for message in messages if message.attempts > most]
    return (messages, spent) if not spent else ([message for message in messages if message.attempts <= most], spent)


def interrupted(number: int, at: float) -> Attempt:
    """The attempt with this number, which began at `at` and was interrupted by the end of the process."""
    return Attempt(number, at, "interrupted", INTERRUPTED)


def settle_leases(leases: Sequence[LeasedMessage], verdict: Verdict, terms: Terms) -> Settlement:
    """The settlement of messages that a client pulled, each with the time of its lease."""
    return _settle_each(((each.message, each.taken_at) for each in leases), verdict, terms)


class ClientSettlement(msgspec.Struct, frozen=True, gc=False):
    """The effect of a client's acks and retries: the leases that end, the `verdict` on their messages, and the lease
    ids that change nothing, as in Acknowledgement."""

    ended: Sequence[LeasedMessage]
    verdict: Verdict
    unknown: Sequence[str]
    expired: Sequence[str]


def answer(
    leases: Iterable[LeasedMessage], acks: Iterable[str], retries: Iterable[tuple[str, int | None]]
) -> ClientSettlement:
    """The effect of a client's acks and retries on the known leases: first `acks`, then `retries`, each with its delay
    in seconds (None means the consumer's).

    An ack has an effect while the message exists and nobody else got it, even if its lease has expired. A retry needs a
    lease that has not expired, because an expired lease has already given the message back. A lease ends once.
    """
    known = {each.lease_id: each for each in leases}
    ended: list[LeasedMessage] = []
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
    return ClientSettlement(ended, verdict, unknown, expired)


def _settle_each(
    leased: Iterable[tuple[QueueMessage, float]], verdict: Verdict, terms: Terms, spent: Sequence[QueueMessage] = ()
) -> Settlement:
    consumer, now = terms.consumer, terms.now
    acked_rest = verdict.ack_all or (verdict.outcome == "ok" and not verdict.retry_all)
    default_delay = consumer.retry_delay
    if verdict.retry_all and verdict.retry_all_delay is not None:
        default_delay = verdict.retry_all_delay
    rest_cause = verdict.retry_all_cause or Cause(verdict.error, verdict.traceback)
    acked: list[QueueMessage] = []
    retried: list[tuple[QueueMessage, int]] = []
    expired: list[QueueMessage] = []
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
    return Settlement(acked, retried, dead, dropped, expired, target, letters, verdict, consumer.max_retries + 1)


def is_expired(message: QueueMessage, retention_period: float, now: float) -> bool:
    """Whether a message is older than the retention period of its queue."""
    return message.enqueued_at + retention_period <= now


def letter(message: QueueMessage, terms: Terms) -> QueueMessage:
    """A message as it enters the dead letter queue: with the same id, no attempts, and why it died."""
    return QueueMessage(
        message.id,
        message.body,
        message.content_type,
        message.timestamp,
        terms.now,
        terms.now + terms.letter_delay,
        dead_letter=DeadLetter(terms.queue, terms.now, message.failures),
        source=message.source,
        traceparent=message.traceparent,
    )


def moved(message: QueueMessage, now: float, delay_seconds: float) -> QueueMessage:
    """A message as it enters another queue, as if it had just been sent: with the same id and no attempts."""
    return QueueMessage(
        message.id,
        message.body,
        message.content_type,
        message.timestamp,
        now,
        now + delay_seconds,
        source=message.source,
        traceparent=message.traceparent,
    )
