"""Virtual time, as a test moves it."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from emulator.base.errors import EmulatorError
from emulator.testing import Emulator
from tests.testing.kit_workers import ACKS, FAILS, SENDS, worker

START = datetime(2027, 1, 15, 8, tzinfo=UTC)


def seconds(moment: datetime) -> float:
    return (moment - START).total_seconds()


def test_time_stands_still_unless_it_is_moved() -> None:
    with Emulator(**worker(SENDS, ACKS)) as emulator:
        assert emulator.now == START
        emulator.post("/", json="x")
        emulator.queue("jobs").send("y")
        assert emulator.advance() == []
        assert emulator.now == START
        assert len(emulator.queue("jobs").messages) == 2


def test_a_batch_goes_out_when_its_timeout_has_passed_and_not_before() -> None:
    with Emulator(**worker(SENDS, ACKS)) as emulator:
        emulator.post("/", json="x")
        assert emulator.advance(seconds=4.999) == []
        [delivery] = emulator.advance(seconds=0.001)
        assert seconds(delivery.at) == 5
        assert seconds(emulator.now) == 5


def test_deliveries_are_returned_in_order_and_once() -> None:
    with Emulator(**worker(ACKS)) as emulator:
        jobs = emulator.queue("jobs")
        jobs.send("late", delay_seconds=60)
        jobs.send("early", delay_seconds=10)
        first, second = emulator.advance(seconds=100)
        assert [seconds(each.at) for each in (first, second)] == [15, 65]
        assert [each.body for each in (*first.messages, *second.messages)] == ["early", "late"]
        assert seconds(emulator.now) == 100
        assert emulator.advance() == emulator.run_until_idle() == []
        assert list(emulator.deliveries) == jobs.deliveries == [first, second]


def test_a_handler_that_sleeps_takes_no_time_and_its_delivery_is_under_way_meanwhile() -> None:
    sleeps = "async def queue(self, batch, env, ctx):\n    await asyncio.sleep(30)"
    with Emulator(**worker(sleeps)) as emulator:
        begun = time.monotonic()
        emulator.queue("jobs").send("x")
        assert emulator.advance(seconds=34) == []
        assert [message.body for message in emulator.queue("jobs").in_flight] == ["x"]
        [delivery] = emulator.advance(seconds=1)
        assert (delivery.duration, delivery.outcome) == (30, "ok")
        assert time.monotonic() - begun < 5


def test_timeouts_and_timers_of_worker_code_follow_virtual_time() -> None:
    fetch = """
    async def fetch(self, request):
        loop = asyncio.get_running_loop()
        fired = loop.create_future()
        loop.call_later(20, fired.set_result, "fired")
        try:
            async with asyncio.timeout(5):
                await asyncio.sleep(60)
        except TimeoutError:
            return Response("timed out, then " + await fired)
    """
    with Emulator(**worker(fetch)) as emulator:
        assert emulator.get("/").text == "timed out, then fired"
        assert seconds(emulator.now) == 20


def test_run_until_idle_follows_retries_delays_and_wait_until_work() -> None:
    queue = """
    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            if message.attempts < 3:
                message.retry(delaySeconds=3600)
        self.ctx.waitUntil(asyncio.sleep(100))
    """
    with Emulator(**worker(queue)) as emulator:
        emulator.queue("jobs").send("x")
        deliveries = emulator.run_until_idle()
        assert [len(each.retried) for each in deliveries] == [1, 1, 0]
        assert [each.messages[0].attempts for each in deliveries] == [1, 2, 3]
        assert emulator.now - START > timedelta(hours=2)


def test_run_until_idle_leaves_dead_letters_where_they_are() -> None:
    with Emulator(**worker(FAILS)) as emulator:
        emulator.queue("jobs").send({"type": "boom"})
        assert len(emulator.run_until_idle()) == 4
        [dead] = emulator.queue("dead-jobs").messages
        assert dead.body == {"type": "boom"}
        assert emulator.now - START < timedelta(minutes=1)
        emulator.advance(seconds=4 * 86_400)
        assert emulator.queue("dead-jobs").messages == []


def test_run_until_idle_tells_of_deliveries_without_an_end() -> None:
    again = "async def queue(self, batch, env, ctx):\n    await self.env.JOBS.send('again')"
    with Emulator(**worker(again)) as emulator:
        emulator.queue("jobs").send("first")
        with pytest.raises(EmulatorError, match=r"never becomes idle: 21 deliveries \(21 on jobs\)") as info:
            emulator.run_until_idle(limit=20)
        assert "<Delivery jobs at 08:01:45" in str(info.value)
        assert "run_until_idle(limit=)" in str(info.value)
        assert len(emulator.advance(seconds=5)) == 22


def test_deliveries_without_an_end_while_time_stands_still_are_told_of() -> None:
    given = worker("async def queue(self, batch, env, ctx):\n    await self.env.JOBS.send('again')")
    given["queues"] = {
        "producers": [{"binding": "JOBS", "queue": "jobs"}],
        "consumers": [{"queue": "jobs", "max_batch_timeout": 0}],
    }
    with Emulator(**given) as emulator:
        emulator.queue("jobs").send("first")
        with pytest.raises(EmulatorError, match="never becomes idle: 11 deliveries"):
            emulator.run_until_idle(limit=10)


def test_worker_code_that_waits_for_what_cannot_happen_is_told_of() -> None:
    waits = "async def fetch(self, request):\n    await asyncio.Event().wait()"
    with Emulator(**worker(waits)) as emulator, pytest.raises(EmulatorError, match="can never happen"):
        emulator.get("/")


def test_worker_code_that_never_stops_waiting_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.testing.loop.MOST_TURNS", 1_000)
    polls = "async def fetch(self, request):\n    while True:\n        await asyncio.sleep(1)"
    with Emulator(**worker(polls)) as emulator, pytest.raises(EmulatorError, match="never finishes"):
        emulator.get("/")


def test_background_work_without_an_end_keeps_it_from_being_idle() -> None:
    beats = """
    async def fetch(self, request):
        self.ctx.waitUntil(beat())
        return Response("ok")
    """
    beat = "async def beat():\n    while True:\n        await asyncio.sleep(60)"
    with Emulator(**worker(beats, more=beat)) as emulator:
        emulator.get("/")
        with pytest.raises(EmulatorError, match="one timer after another"):
            emulator.run_until_idle(limit=1)
        assert emulator.advance(seconds=3600) == []


@pytest.mark.parametrize("amount", [-1, -0.001, float("nan"), float("inf")])
def test_time_moves_forward_only(amount: float) -> None:
    with Emulator(**worker(ACKS)) as emulator, pytest.raises(ValueError, match="time only moves forward"):
        emulator.advance(seconds=amount)


def test_threads_of_worker_code_work_while_time_waits() -> None:
    fetch = """
    async def fetch(self, request):
        timer = asyncio.create_task(asyncio.sleep(5))
        answer = await asyncio.to_thread(slow)
        return Response(f"{answer} {timer.done()}")
    """
    slow = "def slow():\n    import time\n    time.sleep(0.02)\n    return 'from a thread'"
    with Emulator(**worker(fetch, more=slow)) as emulator:
        assert emulator.get("/").text == "from a thread False"
        assert emulator.now == START


@pytest.fixture
def server() -> Iterator[str]:
    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "4")
            self.end_headers()
            for _ in range(2):
                time.sleep(0.05)
                self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{listening.server_address[1]}/"
    listening.shutdown()
    listening.server_close()
    thread.join()


def test_the_real_network_works_and_no_timeout_fires_while_it_is_waited_for(server: str) -> None:
    get = """
    async def fetch(self, request):
        async with asyncio.timeout(5):
            response = await fetch(self.env.URL)
            return Response(await response.text())
    """
    with Emulator(**worker(get), vars={"URL": server}) as emulator:
        emulator.outbound.allow("http://127.0.0.1:*")
        assert emulator.get("/").text == "okok"
        assert emulator.now == START
        assert [call.url for call in emulator.outbound.calls] == [server]


def test_a_client_of_the_workers_own_reaches_the_network(server: str) -> None:
    get = """
    async def fetch(self, request):
        import httpx
        async with httpx.AsyncClient() as client:
            return Response((await client.get(self.env.URL)).text)
    """
    with Emulator(**worker(get), vars={"URL": server}) as emulator:
        assert emulator.get("/").text == "okok"
        assert emulator.now == START


def test_real_time_is_the_clock_on_the_wall() -> None:
    given = worker(SENDS, "async def queue(self, batch, env, ctx):\n    await asyncio.sleep(0.03)")
    given["queues"] = {
        "producers": [{"binding": "JOBS", "queue": "jobs"}],
        "consumers": [{"queue": "jobs", "max_batch_timeout": 0}],
    }
    with Emulator(**given, real_time=True) as emulator:
        assert abs(emulator.now - datetime.now(UTC)) < timedelta(seconds=10)
        emulator.post("/", json="x")
        [delivery] = emulator.run_until_idle()
        assert delivery.duration >= 0.03
        emulator.queue("jobs").send("y")
        [delivery] = emulator.advance(seconds=0.2)
        assert delivery.outcome == "ok"
