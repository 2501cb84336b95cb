"""The rules of settlement, row by row, without a queue."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.queues.message import Attempt, Cause, Leased, Message, Verdict
from emulator.queues.settings import ConsumerSettings
from emulator.queues.settlement import CLIENT_RETRY, Terms, answer, moved, settle, settle_leases

T = 1_800_000_000.0
ME, OTHER = "1" * 32, "2" * 32


def message(message_id: str = ME, attempts: int = 1, **fields: Any) -> Message:
    return Message(message_id, b"{}", "json", T - 9, T - 5, T - 5, attempts, source="shop", **fields)


def terms(*, letter_delay: int = 0, retention: float = 3_600, **consumer: Any) -> Terms:
    return Terms("orders", ConsumerSettings(**consumer), T, retention, letter_delay)


ACK, RETRY = {"explicit_acks": {ME}}, {"retry_messages": {ME: None}}


@pytest.mark.parametrize(
    ("said", "returned", "thrown"),
    [
        ({}, ("acked", "acked"), ("retried", "retried")),
        (ACK, ("acked", "acked"), ("acked", "retried")),
        (RETRY, ("retried", "acked"), ("retried", "retried")),
        ({"ack_all": True}, ("acked", "acked"), ("acked", "acked")),
        (ACK | {"retry_all": True}, ("acked", "retried"), ("acked", "retried")),
        (RETRY | {"ack_all": True}, ("retried", "acked"), ("retried", "acked")),
        ({"retry_all": True}, ("retried", "retried"), ("retried", "retried")),
        (RETRY | {"retry_all": True}, ("retried", "retried"), ("retried", "retried")),
    ],
)
def test_who_wins(said: dict[str, Any], returned: tuple[str, str], thrown: tuple[str, str]) -> None:
    for outcome, expected in (("ok", returned), ("exception", thrown), ("exceeded_wall_time", thrown)):
        settlement = settle([message(), message(OTHER)], T - 1, Verdict(outcome, **said), terms())  # type: ignore[arg-type]
        found = {each.id: "acked" for each in settlement.acked}
        found |= {each.id: "retried" for each, _ in settlement.retried}
        assert (found[ME], found[OTHER]) == expected


@pytest.mark.parametrize(
    ("own", "batch", "consumer", "delay"),
    [(5, 30, 60, 5), (0, 30, 60, 0), (None, 30, 60, 30), (None, 0, 60, 0), (None, None, 60, 60), (None, None, 0, 0)],
)
def test_a_delay_is_the_messages_own_else_the_batchs_else_the_consumers(
    own: int | None, batch: int | None, consumer: int, delay: int
) -> None:
    verdict = Verdict(retry_all=True, retry_all_delay=batch, retry_messages={ME: own})
    ((again, said),) = settle([message()], T - 1, verdict, terms(retry_delay=consumer)).retried
    assert (said, again.ready_at) == (delay, T + delay)


def test_without_a_call_the_delay_of_the_batch_is_that_of_retry_all() -> None:
    verdict = Verdict(retry_all=True, retry_all_delay=30)
    assert [delay for _, delay in settle([message()], T, verdict, terms(retry_delay=60)).retried] == [30]


@pytest.mark.parametrize(
    ("attempts", "dead_letter_queue", "retention", "place"),
    [
        (3, "dead", 3_600, "retried"),
        (4, "dead", 3_600, "dead"),
        (4, None, 3_600, "dropped"),
        (3, "dead", 5, "expired"),
        (4, "dead", 5, "dead"),
        (3, "dead", 5.001, "retried"),
    ],
)
def test_where_a_message_goes_that_failed(
    attempts: int, dead_letter_queue: str | None, retention: float, place: str
) -> None:
    there = terms(max_retries=3, dead_letter_queue=dead_letter_queue, retention=retention)
    settlement = settle([message(attempts=attempts)], T, Verdict("exception"), there)
    counts = {name: len(getattr(settlement, name)) for name in ("acked", "retried", "dead", "dropped", "expired")}
    assert counts == {"acked": 0, "retried": 0, "dead": 0, "dropped": 0, "expired": 0} | {place: 1}


def test_a_failed_message_keeps_what_went_wrong_and_the_one_before_stays_as_it_was() -> None:
    first = Attempt(1, T - 100, "retry")
    before = message(attempts=2, failures=(first,))
    verdict = Verdict("exception", error="ValueError: no", traceback="Traceback ...")
    ((after, _),) = settle([before], T - 1, verdict, terms()).retried
    assert after.failures == (first, Attempt(2, T - 1, "exception", "ValueError: no", "Traceback ..."))
    assert before.failures == (first,)


def test_a_retry_that_was_asked_for_is_told_as_such() -> None:
    verdict = Verdict("exception", retry_messages={ME: None}, error="ValueError: no")
    settlement = settle([message(), message(OTHER)], T, verdict, terms())
    assert {each.id: each.failures[0].outcome for each, _ in settlement.retried} == {ME: "retry", OTHER: "exception"}


def test_each_message_keeps_the_reason_of_the_call_that_settled_it() -> None:
    verdict = Verdict(
        "exception",
        retry_messages={ME: None, OTHER: 5},
        error="ValueError: of the handler",
        traceback="Traceback of the handler",
        causes={ME: Cause("KeyError: mine", "Traceback of mine")},
    )
    settlement = settle([message(), message(OTHER), message("3" * 32)], T, verdict, terms())
    errors = {each.id: (each.failures[0].error, each.failures[0].traceback) for each, _ in settlement.retried}
    assert errors == {
        ME: ("KeyError: mine", "Traceback of mine"),
        OTHER: ("", ""),
        "3" * 32: ("ValueError: of the handler", "Traceback of the handler"),
    }


def test_the_reason_of_retry_all_is_that_of_the_messages_without_a_call() -> None:
    for cause, expected in ((Cause("KeyError: all"), "KeyError: all"), (None, "ValueError: of the handler")):
        verdict = Verdict(
            "exception",
            retry_all=True,
            retry_all_cause=cause,
            retry_messages={ME: 0},
            error="ValueError: of the handler",
        )
        settlement = settle([message(), message(OTHER)], T, verdict, terms())
        assert {each.id: each.failures[0].error for each, _ in settlement.retried} == {ME: "", OTHER: expected}


def test_a_letter_starts_anew_and_tells_why() -> None:
    there = terms(max_retries=0, dead_letter_queue="dead", letter_delay=60)
    settlement = settle([message()], T - 1, Verdict("exception", error="ValueError: no"), there)
    (dead,), (letter,) = settlement.dead, settlement.letters
    assert settlement.dead_letter_queue == "dead"
    assert (letter.id, letter.body, letter.content_type, letter.source) == (ME, b"{}", "json", "shop")
    assert (letter.timestamp, letter.enqueued_at, letter.ready_at) == (T - 9, T, T + 60)
    assert (letter.attempts, letter.failures) == (0, ())
    assert letter.dead_letter is not None
    assert (letter.dead_letter.queue, letter.dead_letter.died_at) == ("orders", T)
    assert letter.dead_letter.attempts == dead.failures


def test_when_all_is_well_the_batch_is_acked_as_it_is() -> None:
    batch = [message(), message(OTHER)]
    assert settle(batch, T, Verdict(explicit_acks={ME}), terms()).acked is batch


def test_a_moved_message_is_as_if_it_had_just_been_sent() -> None:
    dead = settle([message()], T, Verdict("exception"), terms(max_retries=0, dead_letter_queue="dead")).letters[0]
    again = moved(dead, T + 7, 30)
    assert (again.id, again.timestamp, again.enqueued_at, again.ready_at) == (ME, T - 9, T + 7, T + 37)
    assert (again.attempts, again.failures, again.dead_letter, again.source) == (0, (), None, "shop")


def lease(number: int, *, expired: bool = False, taken_at: float = T - 1) -> Leased:
    return Leased(f"lease-{number}", message(f"{number:032x}"), taken_at, T + 30, expired)


def test_each_pulled_message_keeps_the_time_of_its_own_lease() -> None:
    leases = [lease(1, taken_at=T - 60), lease(2, taken_at=T - 30)]
    settlement = settle_leases(leases, Verdict("lease_expired"), terms())
    assert [each.failures[0].at for each, _ in settlement.retried] == [T - 60, T - 30]


def test_a_client_acks_and_asks_for_retries_by_lease_id() -> None:
    said = answer([lease(1), lease(2)], ["lease-1"], [("lease-2", 60)])
    assert [each.lease_id for each in said.ended] == ["lease-1", "lease-2"]
    assert (said.verdict.retry_messages, said.verdict.error) == ({f"{2:032x}": 60}, CLIENT_RETRY)
    assert (said.unknown, said.expired) == ([], [])


def test_acks_alone_tell_of_no_failure() -> None:
    assert answer([lease(1)], ["lease-1"], []).verdict == Verdict()


def test_a_lease_ends_once_and_an_ack_comes_first() -> None:
    said = answer([lease(1)], ["lease-1", "lease-1"], [("lease-1", 60), ("nonsense", None)])
    assert [each.lease_id for each in said.ended] == ["lease-1"]
    assert said.verdict.retry_messages == {}
    assert said.unknown == ["lease-1", "lease-1", "nonsense"]


def test_a_late_ack_is_good_and_a_late_retry_is_not() -> None:
    said = answer([lease(1, expired=True), lease(2, expired=True)], ["lease-1"], [("lease-2", None)])
    assert [each.lease_id for each in said.ended] == ["lease-1"]
    assert said.expired == ["lease-2"]
