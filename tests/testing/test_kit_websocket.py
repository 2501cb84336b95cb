"""WebSockets to workers under test."""

from __future__ import annotations

import pytest

from emulator.base.errors import EmulatorError
from emulator.testing import AsyncEmulator, Emulator, Response, WebSocketClosed, WebSocketRefused
from tests.testing.kit_workers import worker

CHAT = """
async def fetch(self, request):
    if "/plain" in request.url:
        return Response("no WebSocket here", status=426)
    if "/raise" in request.url:
        raise ValueError("no room")
    client, server = WebSocketPair.new().object_values()
    server.accept()
    async def hear(event):
        data = event.data
        if data == "later":
            await asyncio.sleep(3600)
            server.send("an hour has passed")
        elif data == "raise":
            raise ValueError("heard too much")
        elif data == "bye":
            server.close(4001, "as you wish")
        elif isinstance(data, str):
            server.send(f"heard {data}")
        else:
            server.send(to_js(await data.bytes()))
    server.addEventListener("message", hear)
    server.addEventListener("close", lambda event: events.append((event.code, event.reason, event.wasClean)))
    names = (request.headers.get("sec-websocket-protocol") or "").split(", ")
    return Response(None, status=101, web_socket=client, headers={"sec-websocket-protocol": names[-1]})
"""

MORE = "from js import WebSocketPair\nfrom pyodide.ffi import to_js"


def chat() -> Emulator:
    return Emulator(**worker(CHAT, more=MORE))


def test_a_conversation() -> None:
    with chat() as emulator, emulator.websocket("/room", protocols=["one", "two"]) as socket:
        assert socket.protocol == "two"
        socket.send("hello")
        assert socket.receive() == "heard hello"
        socket.send(b"\x00\xff")
        assert socket.receive() == b"\x00\xff"


def test_time_moves_as_far_as_the_worker_waits() -> None:
    with chat() as emulator, emulator.websocket("ws://localhost/room") as socket:
        before = emulator.now
        socket.send("later")
        assert emulator.now == before
        assert socket.receive() == "an hour has passed"
        assert (emulator.now - before).total_seconds() == 3600


def test_a_worker_that_closes() -> None:
    with chat() as emulator, emulator.websocket("/room") as socket:
        socket.send("bye")
        for _ in range(2):
            with pytest.raises(WebSocketClosed, match=r"closed with the code 4001: as you wish") as raised:
                socket.receive()
            assert (raised.value.code, raised.value.reason) == (4001, "as you wish")
        with pytest.raises(WebSocketClosed):
            socket.send("still there?")


def test_a_test_that_closes_or_leaves() -> None:
    with chat() as emulator:
        with emulator.websocket("/room") as socket:
            socket.close(3000, "enough")
            with pytest.raises(WebSocketClosed) as raised:
                socket.receive()
            assert raised.value.code == 3000
        with emulator.websocket("/room"):
            pass
        assert "GET /room 101" in emulator.timeline


def test_a_worker_that_answers_with_something_else() -> None:
    with chat() as emulator:
        refused = pytest.raises(WebSocketRefused, match=r"status 426: no WebSocket here")
        with refused as raised, emulator.websocket("/plain"):
            pass
        assert (raised.value.response.status_code, raised.value.response.text) == (426, "no WebSocket here")


def test_a_handler_that_raises() -> None:
    with chat() as emulator, pytest.raises(ValueError, match="no room"), emulator.websocket("/raise"):
        pass


def test_what_a_listener_raised_is_told_when_nothing_comes() -> None:
    with chat() as emulator, emulator.websocket("/room") as socket:
        socket.send("raise")
        with pytest.raises(EmulatorError, match=r"sends nothing more(?s:.*)ValueError: heard too much"):
            socket.receive()
        socket.send("hello")
        assert socket.receive() == "heard hello"


def test_a_websocket_that_is_open_at_the_end_does_not_hold_it_up() -> None:
    with chat() as emulator:
        emulator.websocket("/room").__enter__()


async def test_an_async_conversation() -> None:
    emulator = AsyncEmulator(**worker(CHAT, more=MORE))
    async with emulator, emulator.websocket("/room", protocols=["one"]) as socket:
        assert (socket.protocol, socket.headers["sec-websocket-protocol"]) == ("one", "one")
        await socket.send("hello")
        assert await socket.receive() == "heard hello"
        await socket.close()
        with pytest.raises(WebSocketClosed):
            await socket.receive()


CLIENT = """
async def fetch(self, request):
    answer = await fetch("https://prices.example/live", headers={"Upgrade": "websocket"})
    socket = answer.js_object.webSocket
    prices = asyncio.Queue()
    socket.addEventListener("message", lambda event: prices.put_nowait(event.data))
    socket.accept()
    socket.send("EUR")
    return Response(await prices.get())


async def scheduled(self, controller, env, ctx):
    socket = WebSocket.new("wss://prices.example/live")
    socket.addEventListener("open", lambda event: socket.send("USD"))
    prices = asyncio.Queue()
    socket.onmessage = lambda event: prices.put_nowait(event.data)
    print(await prices.get())
"""


def test_a_double_for_a_websocket_outside(capsys: pytest.CaptureFixture[str]) -> None:
    from emulator_runtime.js.web_socket import WebSocketPair

    def live(_call: object) -> Response:
        client, server = WebSocketPair.new()
        server.accept()
        server.addEventListener("message", lambda event: server.send(f"{event.data} 1.25"))
        return Response(None, status=101, web_socket=client)

    with Emulator(**worker(CLIENT, more="from js import WebSocket")) as emulator:
        emulator.outbound.get("https://prices.example/live", live)
        assert emulator.get("/").text == "EUR 1.25"
        emulator.dispatch_scheduled()
        assert capsys.readouterr().out == "USD 1.25\n"
        assert [call.headers["upgrade"] for call in emulator.outbound.calls] == ["websocket"] * 2
