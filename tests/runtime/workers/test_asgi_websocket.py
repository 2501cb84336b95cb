"""`asgi.websocket`: ASGI applications on a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from emulator_runtime import asgi
from emulator_runtime.invocation import Invocation, Scope, current
from emulator_runtime.web_socket_pipe import Closing, End, Item, Lost
from emulator_runtime.workers import Context
from tests.runtime.asgi_calls import incoming

APP = FastAPI()
lifespans: list[str] = []


@APP.websocket("/rooms/{room}")
async def talk(socket: WebSocket, room: str) -> None:
    await socket.accept(subprotocol="ignored")
    greeting = socket.scope["env"]["GREETING"]
    await socket.send_text(f"{greeting} in {room} {socket.query_params['q']}")
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message["code"], message.get("reason"))
            text = message.get("text")
            if text == "close":
                await socket.close(4001, "as you wish")
                return
            if text == "leave":
                return
            if text == "raise":
                raise ZeroDivisionError("in the route")
            if text is not None:
                await socket.send_json({"heard": text})
            else:
                await socket.send_bytes(message["bytes"][::-1])
    except WebSocketDisconnect as gone:
        lifespans.append(f"gone {gone.code} {gone.reason}")


class Talk:
    """A WebSocket to an application: the end of the client."""

    def __init__(self, end: End, invocation: Invocation) -> None:
        self.end = end
        self.invocation = invocation
        self._heard: asyncio.Queue[Item] = asyncio.Queue()
        end.receive(self._heard.put_nowait)

    async def hear(self) -> Item:
        return await asyncio.wait_for(self._heard.get(), 10)

    async def ended(self) -> BaseException | None:
        """How the application ended, which runs under `waitUntil`."""
        [task] = self.invocation.context.take_tasks()
        await asyncio.wait((task,), timeout=10)
        return task.exception()


@asynccontextmanager
async def talking(app: Any = APP, path: str = "/rooms/blue") -> AsyncIterator[Talk]:
    async def outbound(_request: Any) -> Any:
        raise AssertionError

    invocation = Invocation(Scope("chat", None, outbound), None)
    token = current.set(invocation)
    try:
        request = incoming(method="GET", path=path, query=b"q=1", headers=[(b"upgrade", b"websocket")])
        default = asgi.entrypoint(app)(Context(), {"GREETING": "hello"})
        response = await default.fetch(request)  # type: ignore[attr-defined]
        assert response.status == 101
        yield Talk(response.raw_web_socket.couple(), invocation)
    finally:
        current.reset(token)


async def test_text_and_bytes_both_ways() -> None:
    async with talking() as talk:
        assert await talk.hear() == "hello in blue 1"
        talk.end.send("a")
        assert await talk.hear() == '{"heard":"a"}'
        talk.end.send(b"\x01\x02")
        assert await talk.hear() == b"\x02\x01"


async def test_the_application_closes() -> None:
    async with talking() as talk:
        await talk.hear()
        talk.end.send("close")
        assert await talk.hear() == Closing(4001, "as you wish")
        assert await talk.ended() is None


async def test_it_is_closed_when_the_application_ends() -> None:
    async with talking() as talk:
        await talk.hear()
        talk.end.send("leave")
        assert await talk.hear() == Closing(1000, "")
        assert await talk.ended() is None


async def test_an_application_that_raises_closes_with_1011_and_its_work_fails() -> None:
    async with talking() as talk:
        await talk.hear()
        talk.end.send("raise")
        assert await talk.hear() == Closing(1011, "")
        assert isinstance(await talk.ended(), ZeroDivisionError)


@pytest.mark.parametrize(
    ("end", "told"),
    [(Closing(3000, "bye"), "gone 3000 bye"), (Closing(1005, ""), "gone 1005 "), (Lost(), "gone 1006 WebSocket")],
)
async def test_the_application_is_told_that_the_client_has_gone(end: Item, told: str) -> None:
    async with talking() as talk:
        await talk.hear()
        talk.end.send(end)
        assert await talk.ended() is None
        assert lifespans.pop().startswith(told)


async def test_a_client_that_breaks_a_rule_is_gone() -> None:
    async with talking() as talk:
        await talk.hear()
        talk.end.send(Lost("WebSocket protocol error"))
        assert await talk.ended() is None
        assert lifespans.pop() == "gone 1006 "


async def test_the_scope_and_what_is_not_known() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        assert await receive() == {"type": "websocket.connect"}
        await send({"type": "websocket.http.response.start"})

    async with talking(app) as talk:
        assert await talk.hear() == Closing(1000, "")
    [scope] = scopes  # no lifespan
    assert (scope["type"], scope["path"], scope["query_string"]) == ("websocket", "/rooms/blue", b"q=1")
    assert "state" not in scope


async def test_a_route_that_is_not_there_closes() -> None:
    async with talking(path="/nowhere") as talk:
        assert await talk.hear() == Closing(1000, "")
