"""`js.WebSocket` and `js.WebSocketPair`. What is expected here was compared with workerd."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest

from emulator_runtime import js
from emulator_runtime.errors import NotEmulatedError
from emulator_runtime.invocation import Invocation, Scope, current
from emulator_runtime.js.web_socket import WebSocket, WebSocketPair
from emulator_runtime.pyodide.ffi import JsException, to_js
from emulator_runtime.workers.request import Request
from emulator_runtime.workers.response import JsResponse, Response


class Running:
    """An invocation, and what its scope was told."""

    def __init__(self, when: date, outbound: Any) -> None:
        self.errors: list[BaseException] = []
        self.warnings: list[str] = []
        self.closed = 0
        self.scope = Scope(
            "chat",
            None,
            outbound,
            self.warnings.append,
            has_flag=lambda _enable, _disable, since: when >= date.fromisoformat(since),
            on_error=lambda error, _invocation: self.errors.append(error),
        )
        self.scope.on_socket_closed = self._count

    def _count(self, _invocation: Invocation) -> None:
        self.closed += 1


@contextmanager
def running(when: date = date(2026, 11, 1), outbound: Any = None) -> Iterator[Running]:
    made = Running(when, outbound)
    token = current.set(Invocation(made.scope, None))
    try:
        yield made
    finally:
        current.reset(token)


async def turns(number: int = 10) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def listen(socket: WebSocket, heard: list[Any]) -> None:
    """Note the events of a WebSocket, with its state at that moment."""
    socket.addEventListener("open", lambda _event: heard.append(("open", socket.readyState)))
    socket.addEventListener("message", lambda event: heard.append(event.data))
    socket.addEventListener(
        "close", lambda event: heard.append((event.code, event.reason, event.wasClean, socket.readyState))
    )
    socket.addEventListener("error", lambda event: heard.append((event.message, socket.readyState)))


def pair(**options: Any) -> tuple[WebSocket, WebSocket, list[Any], list[Any]]:
    """Two accepted WebSockets, and what they hear."""
    client, server = WebSocketPair.new()
    client.accept()
    server.accept(options)
    of_client: list[Any] = []
    of_server: list[Any] = []
    listen(client, of_client)
    listen(server, of_server)
    return client, server, of_client, of_server


def raised(call: Any, *arguments: Any) -> tuple[str, str]:
    with pytest.raises(JsException) as caught:
        call(*arguments)
    return caught.value.name, caught.value.message


def test_a_pair_is_taken_apart_in_the_ways_of_production() -> None:
    made = WebSocketPair.new()
    client, server = made
    assert made.object_values() == [client, server]
    assert js.Object.values(made) == [client, server]  # type: ignore[arg-type]
    assert made.object_entries() == [["0", client], ["1", server]]
    assert (getattr(made, "0"), getattr(made, "1"), made.object_keys()) == (client, server, ["0", "1"])
    assert (js.WebSocket.OPEN, js.WebSocket.READY_STATE_CLOSED, server.CONNECTING) == (1, 3, 0)


@pytest.mark.parametrize("made", [WebSocket, WebSocketPair])
def test_they_are_made_with_new(made: Any) -> None:
    with pytest.raises(TypeError, match=r"call WebSocket(Pair)?\.new"):
        made("wss://example.com")


async def test_messages_are_heard_in_order_each_in_a_turn_of_its_own() -> None:
    with running():
        client, server, of_client, of_server = pair()
        turn: list[str] = []
        server.addEventListener("message", lambda event: turn.append(f"heard {event.data}"))

        async def slow(event: Any) -> None:
            turn.append(f"async {event.data}")

        server.addEventListener("message", slow)
        for text in ("one", "two"):
            client.send(text)
        server.send("back")
        assert (of_client, of_server) == ([], [])
        await turns()
        assert (of_client, of_server) == (["back"], ["one", "two"])
        assert turn == ["heard one", "async one", "heard two", "async two"]


async def test_what_comes_before_accept_waits_for_it_and_what_finds_no_listener_is_gone() -> None:
    with running():
        client, server = WebSocketPair.new()
        server.accept()
        server.send("early")
        await turns()
        heard: list[Any] = []
        listen(client, heard)
        client.accept()
        await turns()
        assert heard == ["early"]
        client.send("lost")
        await turns()
        listen(server, heard)
        await turns()
        assert heard == ["early"]


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        ("text\ud800", "text\ufffd"),
        (to_js(b"\x00\xff"), b"\x00\xff"),
        (5, "5"),
        (5.0, "5"),
        (True, "true"),
        (None, "undefined"),
        ([1], "[1]"),
    ],
)
async def test_what_is_sent_is_text_or_bytes(sent: Any, heard: Any) -> None:
    with running() as run:
        client, server, _, of_server = pair()
        server.binaryType = "arraybuffer"
        client.send(sent)
        await turns()
        [received] = of_server
        assert (received if isinstance(received, str) else received.to_bytes()) == heard
        assert not run.warnings


async def test_bytes_of_python_are_sent_with_a_warning_as_production_sends_their_repr() -> None:
    with running() as run:
        client, _server, _, of_server = pair()
        client.send(b"\x01")
        await turns()
        assert await of_server[0].bytes() == b"\x01"
        assert "send to_js(...) of it" in run.warnings[0]


@pytest.mark.parametrize(("when", "expected"), [(date(2026, 3, 16), "arraybuffer"), (date(2026, 3, 17), "blob")])
async def test_the_binary_type_is_by_date_until_it_is_set(when: date, expected: str) -> None:
    with running(when):
        client, server, _, of_server = pair()
        assert server.binaryType == expected
        client.send(to_js(b"abc"))
        await turns()
        server.binaryType = "nonsense"
        assert server.binaryType == expected
        server.binaryType = "arraybuffer"
        client.send(to_js(b"abc"))
        await turns()
        first, second = of_server
        assert isinstance(first, js.Blob) == (expected == "blob")
        assert second.to_bytes() == b"abc"


async def test_a_close_is_answered_before_the_event() -> None:
    with running() as run:
        client, server, of_client, of_server = pair()
        client.close(4000, "enough")
        assert (client.readyState, server.readyState) == (2, 1)
        assert len(run.scope.sockets) == 2
        await turns()
        assert of_server == of_client == [(4000, "enough", True, 3)]
        assert raised(server.send, "x") == ("TypeError", "Can't call WebSocket send() after close().")
        server.close(1000)
        assert (run.scope.sockets, run.closed) == (set(), 2)


@pytest.mark.parametrize(("when", "options"), [(date(2026, 4, 6), {}), (date(2026, 11, 1), {"allowHalfOpen": True})])
async def test_a_half_open_one_goes_on_sending_until_it_closes(when: date, options: dict[str, Any]) -> None:
    with running(when):
        client, server, of_client, of_server = pair(**options)
        client.close()
        await turns()
        assert of_server == [(1005, "", True, 2)]
        server.send("the rest")
        server.close(4002, "x")
        await turns()
        assert of_client[:1] == ["the rest"]
        assert of_client[1][:3] == (4002, "x", True)
        assert (client.readyState, server.readyState) == (3, 3)


async def test_the_scope_is_told_of_the_end_after_the_listeners() -> None:
    with running() as run:
        client, server, *_ = pair()
        known: list[bool] = []
        server.addEventListener("close", lambda _event: known.append(server in run.scope.sockets))
        client.close()
        await turns()
        assert known == [True]
        assert run.scope.sockets == set()


async def test_receiving_goes_on_after_close() -> None:
    with running():
        client, server, of_client, _ = pair()
        server.close()
        client.send("still heard")
        await turns()
        assert of_client == [(1005, "", True, 3)]
        assert server.readyState == 3


@pytest.mark.parametrize("code", [999, 1004, 1005, 1006, 1015, 5000])
async def test_a_code_that_may_not_be_sent(code: int) -> None:
    with running():
        client, *_ = pair()
        assert raised(client.close, code) == ("InvalidAccessError", f"Invalid WebSocket close code: {code}.")
        assert client.readyState == 1
        client.close(1000)
        assert raised(client.close, code)[0] == "InvalidAccessError"


async def test_a_reason_needs_a_code_and_fits_into_a_frame() -> None:
    with running():
        client, *_ = pair()
        assert raised(client.close, None, "why")[1].startswith("If you specify a WebSocket close reason")
        name, text = raised(client.close, 1000, "ü" * 62)
        assert (name, text.startswith("WebSocket close reason must not be longer than 123 bytes")) == (
            "SyntaxError",
            True,
        )
    with running(date(2026, 3, 2)):
        client, *_ = pair()
        client.close(1000, "ü" * 62)


async def test_a_websocket_is_accepted_or_returned() -> None:
    with running():
        client, server = WebSocketPair.new()
        must = "You must call one of accept() or state.acceptWebSocket() on this WebSocket before sending messages."
        assert raised(server.send, "x") == raised(server.close) == ("TypeError", must)
        server.accept()
        server.accept()
        with pytest.raises(JsException, match=r"Can't return WebSocket in a Response after calling accept\(\)"):
            server.couple()
        client.couple()
        used = "that was already used in a response."
        assert raised(client.accept) == ("TypeError", f"Can't accept() WebSocket {used}")
        assert raised(client.couple) == ("TypeError", f"Can't return WebSocket {used}")
        client.send("ignored")
        client.close()
        assert client.readyState == 1


def test_accept_needs_an_invocation() -> None:
    client, _server = WebSocketPair.new()
    with pytest.raises(RuntimeError, match=r"accept\(\) can only be used while a worker runs"):
        client.accept()


async def test_what_a_listener_raises_is_reported_and_the_others_are_called() -> None:
    with running() as run:
        client, server, _, of_server = pair()

        def fail(_event: Any) -> None:
            raise ValueError("sync")

        async def fail_later(_event: Any) -> None:
            await asyncio.sleep(0)
            raise SystemExit("async")

        server.onmessage = fail
        server.addEventListener("message", fail_later)
        client.send("one")
        client.send("two")
        await turns()
        assert of_server == ["one", "two"]
        assert sorted(map(str, run.errors)) == ["async", "async", "sync", "sync"]


async def test_listeners_of_all_kinds() -> None:
    with running():
        client, server, *_ = pair()
        heard: list[str] = []

        class Listener:
            def handleEvent(self, event: Any) -> None:  # noqa: N802
                heard.append(f"object {event.type} {event.target is event.currentTarget is server}")

        def plain(event: Any) -> None:
            heard.append(f"plain {event.data}")

        server.addEventListener("message", Listener())
        server.addEventListener("message", plain)
        server.addEventListener("message", plain)
        server.addEventListener("message", lambda _event: heard.append("once"), {"once": True})
        server.addEventListener("message", None)
        server.onmessage = lambda _event: heard.append("attribute")
        client.send("a")
        await turns()
        assert heard == ["attribute", "object message True", "plain a", "once"]
        server.removeEventListener("message", plain)
        client.send("b")
        await turns()
        assert heard[4:] == ["attribute", "object message True"]
        assert raised(server.addEventListener, "message", 5)[0] == "TypeError"


async def test_one_that_is_lost_says_so_and_ignores_what_is_sent() -> None:
    with running() as run:
        client, server, of_client, of_server = pair()
        server.lose()
        await turns()
        lost = (1006, "WebSocket disconnected without sending Close frame.", False, 1)
        assert of_client == of_server == [lost]
        client.send("ignored")
        client.close()
        assert (client.readyState, run.scope.sockets) == (3, set())


async def test_a_response_takes_a_websocket_with_the_status_101() -> None:
    client, _server = WebSocketPair.new()
    response = Response(None, status=101, web_socket=client, headers={"x-a": "1"})
    assert (response.status, response.body, response.js_object.webSocket) == (101, None, client)
    assert JsResponse.new(None, {"status": 101, "webSocket": client}).webSocket is client
    assert JsResponse.new(None, status=101, webSocket=client).js_object.webSocket is client
    assert Response(response.js_object).raw_web_socket is client
    assert Response("text").js_object.webSocket is None
    assert raised(response.clone) == ("TypeError", "Cannot clone a response to a WebSocket handshake.")
    for status in (None, 200):
        assert raised(lambda status=status: Response(None, status=status, web_socket=client)) == (
            "RangeError",
            "Responses with a WebSocket must have status code 101.",
        )
    with pytest.raises(TypeError, match="cannot have a body"):
        Response("text", status=101, web_socket=client)
    assert raised(lambda: Response(None, status=101, web_socket=5))[0] == "TypeError"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nonsense"], "The url is invalid."),
        (["ftp://example.com/"], "The url scheme must be ws or wss."),
        (["https://example.com/"], "The url scheme must be ws or wss."),
        (["ws://example.com/#part"], "The url fragment must be empty."),
        (["ws://example.com/", "a b"], "The protocol header token is invalid."),
        (["ws://example.com/", ""], "The protocol header token is invalid."),
        (["ws://example.com/", ["a", "b c"]], "One of the protocol header tokens is invalid."),
        (["ws://example.com/", ["a", "a"]], "The protocols header cannot have repeating values."),
    ],
)
async def test_an_address_or_a_protocol_that_is_wrong(arguments: list[Any], text: str) -> None:
    with running():
        assert raised(WebSocket.new, *arguments) == ("SyntaxError", f"WebSocket Constructor: {text}")


async def test_a_client_connects_through_the_way_out() -> None:
    asked: list[Request] = []
    with running() as run:
        near, far = WebSocketPair.new()

        async def outbound(request: Request) -> Response:
            asked.append(request)
            return Response(None, status=101, web_socket=near, headers={"sec-websocket-protocol": "b"})

        run.scope.outbound = outbound
        socket = WebSocket.new("wss://example.com/live?x=1", to_js(["a", "b"]))
        heard: list[Any] = []
        listen(socket, heard)
        assert (socket.readyState, socket.url, socket.protocol) == (0, "wss://example.com/live?x=1", "")
        assert raised(socket.send, "x")[0] == "TypeError"
        assert raised(socket.accept)[1].startswith("Websockets obtained from the 'new WebSocket()'")
        assert raised(socket.couple)[1].startswith("Can't return WebSocket in a Response if it was created with")
        far.accept()
        far.send("first")
        await turns()
        assert heard == [("open", 1), "first"]
        assert (socket.protocol, socket.extensions, asked[0].url) == ("b", None, "https://example.com/live?x=1")
        assert (asked[0].headers["upgrade"], asked[0].headers["sec-websocket-protocol"]) == ("websocket", "a, b")
        socket.accept()
        socket.close(1000, "done")
        await turns()
        assert heard[2:] == [(1000, "done", True, 3)]


async def test_a_client_that_cannot_connect() -> None:
    async def refuse(_request: Request) -> Response:
        return Response("no", status=426)

    async def fail(_request: Request) -> Response:
        raise OSError("refused")

    closed = (1006, "Failed to establish websocket connection", False, 3)
    for outbound, error in (
        (refuse, "TypeError: Failed to establish the WebSocket connection: expected server to reply with HTTP status "),
        (fail, "Error: Network connection lost."),
    ):
        with running(outbound=outbound) as run:
            heard: list[Any] = []
            listen(WebSocket.new("ws://example.com/"), heard)
            await turns()
            assert heard[0][0].startswith(f"Uncaught {error}")
            assert heard[1] == closed
            assert run.scope.sockets == set()


async def test_a_client_that_is_closed_before_it_is_connected() -> None:
    async def never(_request: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    with running(outbound=never) as run:
        socket = WebSocket.new("ws://example.com/")
        heard: list[Any] = []
        listen(socket, heard)
        await turns()
        socket.close()
        socket.send("ignored")
        await turns()
        assert heard == [
            ("Uncaught Error: Network connection lost.", 3),
            (1006, "Failed to establish websocket connection", False, 3),
        ]
        WebSocket.new("ws://example.com/").lose()
        await turns()
        assert run.scope.sockets == set()


def test_names_of_js_that_few_use_are_listed_too() -> None:
    with pytest.raises(NotEmulatedError, match=r"js has .*WebSocketPair"):
        js.nonsense  # noqa: B018
    assert json.dumps(js.MessageEvent("a").data) == '"a"'
