"""WebSockets of Python workers: what a host makes of a `fetch` handler's answer, and how long they live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from emulator.base.bus import Bus
from emulator.config.model import WorkerConfig
from emulator.hosts.events import HandlerFailed, WorkerOutput
from emulator.hosts.host import HandlerError
from emulator.hosts.python.host import PythonHost
from emulator.hosts.python.output import install
from emulator.wire.websocket import Frames
from emulator_runtime.hosting import Closing, End, FetchResponse, Item, Lost, Upgrade, request_from_scope
from tests.hosts.support import fetch
from tests.runtime.asgi_calls import http_scope, playing

if TYPE_CHECKING:
    from tests.hosts.python.support import WriteFiles

HANDSHAKE = {"upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}

WORKER = """
    import asyncio
    from js import WebSocketPair
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            client, server = WebSocketPair.new()
            if "/client" in request.url:
                client.accept()
            else:
                server.accept()
            server.addEventListener("close", lambda event: print("closed", event.code, self.env.GREETING))

            async def hear(event):
                from later import answer
                if event.data == "raise":
                    raise ValueError("heard too much")
                if event.data == "work":
                    self.ctx.waitUntil(work())
                server.send(answer(event.data))

            async def work():
                await asyncio.sleep(0)
                raise ValueError("worked too much")

            server.addEventListener("message", hear)
            return Response(None, status=101, web_socket=client, headers={"x-a": "1"})
"""
LATER = """
    def answer(text):
        return f"heard {text}"
"""
NEWER = "from workers import Response\ndef fetch(request): return Response('new')\n"


class Bench:
    """A host of the worker above, what it published, and what came out of the WebSocket."""

    def __init__(self, write: WriteFiles) -> None:
        self.root = write({"src/entry.py": WORKER, "src/later.py": LATER})
        self.bus = Bus()
        self.failed: list[HandlerFailed] = []
        self.printed: list[str] = []
        self.heard: list[Item] = []
        self.bus.subscribe(HandlerFailed, self.failed.append)
        self.bus.subscribe(WorkerOutput, lambda event: self.printed.append(f"{event.trigger}: {event.text}"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[PythonHost]:
        self.config = WorkerConfig("chat", self.root / "wrangler.jsonc", self.root / "src/entry.py")
        env = SimpleNamespace(GREETING="hello")
        host = PythonHost(self.config, make_env=lambda _config: env, outbound=_no_way_out, bus=self.bus)
        restore = install(self.bus)
        await host.start()
        try:
            yield host
        finally:
            await host.stop(0.01)
            restore()

    async def connect(self, host: PythonHost) -> End:
        response = await ask(host)
        assert isinstance(response, Upgrade)
        assert (response.status, response.raw_headers) == (101, [(b"x-a", b"1")])
        response.end.receive(self.heard.append)
        return response.end


async def _no_way_out(_request: Any) -> Any:
    raise AssertionError


async def ask(
    host: PythonHost, path: str = "/room", method: str = "GET", can_upgrade: bool = True, **changes: Any
) -> FetchResponse:
    headers = {**HANDSHAKE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    raw = [(name.encode(), value.encode()) for name, value in headers.items() if value is not None]
    scope = http_scope(method, path, headers=raw)
    if can_upgrade:
        scope["extensions"] = {"emulator.websocket": {}}
    response: FetchResponse = await fetch(host, request_from_scope(scope, playing()))
    return response


async def until(condition: Callable[[], Any]) -> None:
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("it does not happen")


@pytest.fixture
def bench(write: WriteFiles) -> Bench:
    return Bench(write)


async def test_listeners_run_as_part_of_the_invocation(bench: Bench) -> None:
    async with bench.running() as host:
        end = await bench.connect(host)
        end.send("one")
        await until(lambda: bench.heard)
        end.send(Closing(1000, ""))
        await until(lambda: bench.printed)
        assert bench.heard == ["heard one", Closing(1000, "")]
        assert bench.printed == ["GET /room: closed 1000 hello"]


async def test_what_a_listener_raises_is_a_failure_with_its_place(bench: Bench) -> None:
    async with bench.running() as host:
        end = await bench.connect(host)
        end.send("raise")
        end.send("next")
        await until(lambda: bench.heard and bench.failed)
        [failed] = bench.failed
        assert (failed.worker, failed.trigger, failed.failure.message) == ("chat", "GET /room", "heard too much")
        assert failed.failure.location.endswith("entry.py:18")
        assert bench.heard == ["heard next"]


async def test_the_library_logs_nothing_in_a_workers_name(bench: Bench) -> None:
    source = bench.root.joinpath("src/entry.py")
    source.write_text(f"import logging\nlogging.basicConfig(level=logging.DEBUG)\n{source.read_text()}")
    async with bench.running() as host:
        end = await bench.connect(host)
        frames = Frames(client=False)
        end.receive(lambda item: bench.heard.append(frames.write(item).decode("latin-1")))
        end.send("one")
        await until(lambda: bench.heard)
        assert bench.heard == ["\x81\x09heard one"]
        assert bench.printed == []


async def test_work_that_a_listener_adds_is_waited_for(bench: Bench) -> None:
    async with bench.running() as host:
        end = await bench.connect(host)
        end.send("work")
        end.send(Closing(1000, ""))
        await until(lambda: bench.failed)
        assert bench.failed[0].trigger == "waitUntil GET /room"


async def test_a_reload_breaks_off_what_is_open(bench: Bench) -> None:
    async with bench.running() as host:
        await bench.connect(host)
        bench.root.joinpath("src/entry.py").write_text(NEWER)
        await host.reload(bench.config)
        assert bench.heard == [Lost()]
        await until(lambda: bench.printed)
        assert bench.printed == ["GET /room: closed 1006 hello"]
        assert (await ask(host)).status == 200


async def test_a_stop_breaks_off_what_is_open_and_listeners_still_hear_it(bench: Bench) -> None:
    source = bench.root.joinpath("src/entry.py")
    source.write_text(
        source.read_text().replace("event: print(", "event: print(__import__('later').answer('the end'), ")
    )
    async with bench.running() as host:
        await bench.connect(host)
    assert bench.heard == [Lost()]
    assert bench.printed == ["GET /room: heard the end closed 1006 hello"]
    assert bench.failed == []


async def test_code_that_does_not_load_breaks_off_what_is_open_when_it_takes_over(bench: Bench) -> None:
    async with bench.running() as host:
        end = await bench.connect(host)
        bench.root.joinpath("src/entry.py").write_text("nonsense(")
        failure = await host.try_reload(bench.config)
        end.send("still there")
        await until(lambda: bench.heard)
        assert bench.heard == ["heard still there"]
        assert failure is not None
        host.fail(failure)
        assert bench.heard[1:] == [Lost()]


async def test_a_request_that_did_not_ask_for_a_websocket_fails_at_the_handler(bench: Bench) -> None:
    async with bench.running() as host:
        for upgrade in (None, "h2c"):
            place = r"fetch \(src/entry.py:7\) returned a WebSocket: Worker tried to return"
            with pytest.raises(HandlerError, match=place):
                await ask(host, upgrade=upgrade)
        with pytest.raises(HandlerError, match=r"Can't return WebSocket in a Response after calling accept\(\)"):
            await ask(host, "/client")
        assert {failed.failure.location.rpartition("/")[2] for failed in bench.failed} == {"entry.py:7"}


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"method": "POST"}, 400, "ERROR: WebSocket must be initiated with a GET request."),
        ({"sec_websocket_version": "8"}, 426, "ERROR: The requested WebSocket version is not supported."),
        ({"sec_websocket_key": None}, 400, "ERROR: Missing Sec-WebSocket-Key"),
        ({"can_upgrade": False}, 400, 'ERROR: Missing "Connection: Upgrade"'),
    ],
)
async def test_a_handshake_that_is_not_complete_is_refused(
    bench: Bench, changes: dict[str, Any], status: int, text: str
) -> None:
    async with bench.running() as host:
        response = await ask(host, **changes)
        assert (response.status, await response.text()) == (status, text)
        assert response.headers.get("sec-websocket-version") == ("13" if status == 426 else None)
        await until(lambda: bench.printed)
        assert bench.printed[0].endswith("closed 1006 hello")
