"""Queues, direct dispatch and doubles, from the side of a test."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from emulator.base.errors import EmulatorError
from emulator.queues.errors import QueueError
from emulator.testing import Emulator, Metrics, message
from tests.testing.kit_workers import ACKS, FAILS, SENDS, worker

START = datetime(2027, 1, 15, 8, tzinfo=UTC)

MIXED = """
async def queue(self, batch, env, ctx):
    ack, again, rest = batch.messages
    ack.ack()
    again.retry(delaySeconds=60)
    raise ValueError("half way")
"""


GROUPS = """
async def queue(self, batch, env, ctx):
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
    except* ValueError:
        if batch.messages[0].body == "raise":
            raise
"""

TASK = """
import asyncio

async def fail():
    raise ValueError
"""


def test_what_waits_is_seen_with_body_state_and_due_time() -> None:
    with Emulator(**worker(ACKS)) as emulator:
        jobs = emulator.queue("jobs")
        jobs.send_batch([{"a": 1}, [2]])
        jobs.send("three", content_type="text", delay_seconds=90)
        assert [(each.body, each.state, each.attempts) for each in jobs.messages] == [
            ({"a": 1}, "ready", 0),
            ([2], "ready", 0),
            ("three", "delayed", 0),
        ]
        assert jobs.messages[2].content_type == "text"
        assert (jobs.messages[2].due - START).total_seconds() == 90
        assert jobs.messages[0].timestamp == START
        assert repr(jobs.messages[2]).endswith(" 'three' delayed until 08:01:30>")
        assert jobs.metrics == Metrics(3, len(b'{"a":1}[2]three'), START)
        assert repr(jobs) == "<Queue jobs 2 ready, 1 delayed>"
        assert emulator.queues == ["jobs", "dead-jobs"]


def test_a_handler_may_run_groups_of_tasks_that_fail() -> None:
    with Emulator(**worker(GROUPS, more=TASK)) as emulator:
        emulator.queue("jobs").send("catch")
        [caught] = emulator.advance(seconds=5)
        emulator.queue("jobs").send("raise")
        raised, *_ = emulator.advance(seconds=5)
        assert (caught.outcome, [each.body for each in caught.acked]) == ("ok", ["catch"])
        assert (raised.outcome, [each.body for each in raised.retried]) == ("exception", ["raise"])
        assert raised.error.startswith("ExceptionGroup: ")


def test_a_delivery_tells_what_became_of_each_message() -> None:
    with Emulator(**worker(MIXED)) as emulator:
        emulator.queue("jobs").send_batch(["ack", "again", "rest"])
        [delivery] = emulator.advance(seconds=5)
        assert (delivery.queue, delivery.worker, delivery.outcome) == ("jobs", "worker", "exception")
        assert delivery.error == "ValueError: half way"
        assert "half way" in delivery.traceback
        assert [each.body for each in delivery.messages] == ["ack", "again", "rest"]
        assert [each.body for each in delivery.acked] == ["ack"]
        assert [each.body for each in delivery.retried] == ["again", "rest"]
        assert list(delivery.retry_delays.values()) == [60, 0]
        assert list(delivery.dead_lettered) == list(delivery.dropped) == []
        assert repr(delivery) == ("<Delivery jobs at 08:00:05 1/3 acked, 2 retried exception: 'ValueError: half way'>")
        [rest, again] = emulator.queue("jobs").messages
        assert (rest.last_error, rest.attempts) == ("ValueError: half way", 1)
        assert again.state == "delayed"


def test_a_dead_letter_tells_why_it_died() -> None:
    with Emulator(**worker(FAILS)) as emulator:
        emulator.queue("jobs").send({"type": "boom"})
        deliveries = emulator.run_until_idle()
        assert [len(each.dead_lettered) for each in deliveries] == [0, 0, 0, 1]
        [dead] = emulator.queue("dead-jobs").messages
        assert dead.body == {"type": "boom"}
        assert "ConnectionError" in dead.last_error
        assert "mail server is down" in dead.last_traceback
        assert dead.dead_letter is not None
        assert dead.dead_letter.queue == "jobs"
        assert "dead letter of jobs last_error='ConnectionError: mail server is down'" in repr(dead)


def test_pausing_resuming_and_purging() -> None:
    with Emulator(**worker(ACKS)) as emulator:
        jobs = emulator.queue("jobs")
        jobs.pause()
        jobs.send("x")
        assert emulator.advance(seconds=100) == []
        assert jobs.is_paused
        assert repr(jobs) == "<Queue jobs 1 ready, paused>"
        jobs.resume()
        [delivery] = emulator.advance()
        assert [each.body for each in delivery.acked] == ["x"]
        jobs.send("late", delay_seconds=600)
        assert (jobs.promote(), jobs.promote()) == (1, 0)
        [delivery] = emulator.advance(seconds=10)
        assert [each.body for each in delivery.acked] == ["late"]
        jobs.send("y")
        jobs.send("z", delay_seconds=10)
        assert jobs.purge() == 2
        assert jobs.messages == []
        assert emulator.run_until_idle() == []
        assert repr(jobs) == "<Queue jobs empty>"


def test_what_is_in_flight_is_seen_from_within_a_delivery() -> None:
    queue = """
    async def queue(self, batch, env, ctx):
        await self.env.SPY.look()
        await fetch("https://example.com/")
    """
    seen: list[Any] = []
    with Emulator(**worker(queue)) as emulator:
        jobs = emulator.queue("jobs")

        class Spy:
            async def look(self) -> None:
                seen.extend(jobs.in_flight)
                jobs.send("from within")

        def answer(_call: object) -> str:
            seen.append(emulator.queue("jobs").in_flight[0].body)
            with pytest.raises(EmulatorError, match="is running, and has called the test"):
                emulator.advance()
            return "ok"

        emulator.override(SPY=Spy())
        emulator.outbound.get("https://example.com", answer)
        jobs.send("x")
        assert len(emulator.advance(seconds=5)) == 1
        assert (seen[0].body, seen[0].state, seen[0].attempts, seen[1]) == ("x", "in flight", 1, "x")
        assert jobs.in_flight == []
        assert [each.body for each in jobs.messages] == ["from within"]


def test_sending_is_refused_as_a_producer_would_see_it() -> None:
    with Emulator(**worker(ACKS)) as emulator:
        jobs = emulator.queue("jobs")
        with pytest.raises(TypeError):
            jobs.send(object())
        with pytest.raises(QueueError, match="10204"):
            jobs.send("x" * 200_000)
        with pytest.raises(TypeError, match="at least one"):
            jobs.send_batch([])
        with pytest.raises(TypeError, match="list of bodies, not a dict"):
            jobs.send_batch({"type": "x"})
        assert jobs.messages == []


def test_the_next_deliveries_can_be_made_to_fail() -> None:
    with Emulator(**worker(ACKS)) as emulator:
        jobs = emulator.queue("jobs")
        jobs.fail_next(2, TimeoutError("slow"))
        jobs.fail_next(error=PermissionError)
        jobs.send("x")
        deliveries = emulator.run_until_idle()
        assert [each.error for each in deliveries] == ["TimeoutError: slow"] * 2 + ["PermissionError: ", ""]
        assert deliveries[3].acked[0].attempts == 4
        assert deliveries[3].acked[0].last_error == "PermissionError: "
        with pytest.raises(ValueError, match="at least 1"):
            jobs.fail_next(0)
        with pytest.raises(EmulatorError, match="'dead-jobs' has no consumer"):
            emulator.queue("dead-jobs").fail_next()


def test_dispatching_a_batch_gives_what_the_handler_decided() -> None:
    queue = """
    async def queue(self, batch, env, ctx):
        first, second, third = batch.messages
        assert [each.id for each in batch.messages][0] == "0" * 31 + "1"
        first.ack()
        second.retry(delaySeconds=7)
        batch.ackAll()
    """
    with Emulator(**worker(queue)) as emulator:
        result = emulator.dispatch_queue("jobs", ["a", {"b": 1}, None])
        first, second = f"{1:032x}", f"{2:032x}"
        assert (result.outcome, result.ack_all, result.retry_batch.retry) == ("ok", True, False)
        assert result.explicit_acks == [first]
        assert [(each.id, each.delay_seconds) for each in result.retry_messages] == [(second, 7)]
        assert repr(result) == (f"<QueueResult ok ack_all explicit_acks=['{first}'] retry_messages=[{second} in 7 s]>")
        assert emulator.deliveries == ()


def test_dispatching_a_batch_tells_for_which_errors_the_handler_asked_for_retries() -> None:
    queue = """
    async def queue(self, batch, env, ctx):
        try:
            raise ConnectionError("busy")
        except ConnectionError:
            batch.messages[0].retry()
            batch.retryAll()
        batch.messages[1].retry()
    """
    with Emulator(**worker(queue)) as emulator:
        result = emulator.dispatch_queue("jobs", ["a", "b"])
        assert [each.error for each in result.retry_messages] == ["ConnectionError: busy", ""]
        assert result.retry_batch.error == "ConnectionError: busy"


def test_dispatching_messages_keeps_their_ids_attempts_and_times() -> None:
    queue = """
    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            events.append([message.id, message.attempts, message.timestamp.year, message.body])
        batch.retryAll(delaySeconds=3)
        raise RuntimeError(str(events))
    """
    with Emulator(**worker(queue)) as emulator:
        old = message("x", id="mine", attempts=3, timestamp=datetime(2020, 1, 1, tzinfo=UTC))
        new = message({"y": 1}, id="other")
        result = emulator.dispatch_queue("jobs", [old, new])
        assert result.outcome == "exception"
        assert result.error == "RuntimeError: [['mine', 3, 2020, 'x'], ['other', 1, 2027, {'y': 1}]]"
        assert "RuntimeError" in result.traceback
        assert (result.retry_batch.retry, result.retry_batch.delay_seconds) == (True, 3)
        assert "retry_batch in 3 s" in repr(result)


def test_a_message_that_was_looked_at_can_be_dispatched() -> None:
    with Emulator(**worker(FAILS)) as emulator:
        emulator.queue("jobs").send({"type": "boom"})
        emulator.run_until_idle()
        result = emulator.dispatch_queue("jobs", emulator.queue("dead-jobs").messages)
        assert result.error == "ConnectionError: mail server is down"


def test_dispatching_says_what_is_wrong() -> None:
    with Emulator(**worker(SENDS)) as emulator:
        with pytest.raises(EmulatorError, match="'dead-jobs' has no consumer"):
            emulator.dispatch_queue("dead-jobs", ["x"])
        with pytest.raises(TypeError, match="list of bodies or messages, not a dict"):
            emulator.dispatch_queue("jobs", {"type": "x"})
        assert "no queue handler" in emulator.dispatch_queue("jobs", ["x"]).error
        with pytest.raises(EmulatorError, match="no scheduled handler"):
            emulator.dispatch_scheduled()
        with pytest.raises(EmulatorError, match="there is no worker 'other'; the workers are: worker"):
            emulator.dispatch_scheduled(worker="other")


def test_a_scheduled_handler_is_run_at_a_time_and_raises_in_the_test() -> None:
    scheduled = """
    async def scheduled(self, controller, env, ctx):
        if controller.cron == "boom":
            raise ValueError("no report") from KeyError("cause")
        await self.env.JOBS.send([controller.cron, controller.scheduledTime])
    """
    with Emulator(**worker(scheduled)) as emulator:
        emulator.dispatch_scheduled("0 0 * * *", datetime(2030, 1, 1, tzinfo=UTC))
        emulator.dispatch_scheduled()
        assert [each.body for each in emulator.queue("jobs").messages] == [
            ["0 0 * * *", 1_893_456_000_000],
            ["", START.timestamp() * 1000],
        ]
        with pytest.raises(ValueError, match="no report") as info:
            emulator.dispatch_scheduled("boom")
        assert isinstance(info.value.__cause__, KeyError)


SHOWS = """
async def fetch(self, request):
    env = self.env
    return Response.json([env.GREETING, env.LIMITS.high, env.KEY, str(await env.DB.get("x"))])
"""


class Database:
    async def get(self, key: str) -> str:
        return f"row {key}"


def test_vars_secrets_and_bindings_can_be_given_and_overridden() -> None:
    given = worker(SHOWS)
    settings = {"vars": {"GREETING": "hello", "LIMITS": {"high": 1}, "KEY": "from vars"}}
    with Emulator(
        **given, settings=settings, vars={"GREETING": "hi"}, secrets={"KEY": "s"}, bindings={"DB": Database()}
    ) as emulator:
        assert emulator.get("/").json() == ["hi", 1, "s", "row x"]
        emulator.override(LIMITS={"high": 5}, KEY="t")
        emulator.override("worker", GREETING="hey")
        assert emulator.get("/").json() == ["hey", 5, "t", "row x"]
        with pytest.raises(EmulatorError, match="there is no worker 'x'"):
            emulator.override("x", KEY="u")
    with Emulator(**given, settings=settings, bindings={"DB": Database()}) as emulator:
        assert emulator.get("/").json() == ["hello", 1, "from vars", "row x"]


def test_the_emulator_shows_where_it_stands() -> None:
    emulator = Emulator(**worker(ACKS))
    assert repr(emulator) == "<Emulator not open>"
    with emulator:
        emulator.queue("jobs").send("x")
        emulator.advance(seconds=5)
        assert repr(emulator) == "<Emulator worker at 2027-01-15 08:00:05, 1 delivery>"
        queue = emulator.queue("jobs")
    assert repr(emulator) == "<Emulator closed>"
    assert repr(queue) == "<Queue jobs of a closed emulator>"
