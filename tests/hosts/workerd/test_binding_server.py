"""The server that answers the bindings of JavaScript workers: who answers whom, and what failures look like."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from emulator.bindings.wiring import Answered, OtherWorker, WireRequest, WireResponse, Wiring
from emulator.hosts.workerd.binding_server import BindingServer
from tests.hosts.workerd.socket_client import ask


def wiring(name: str, answer: Any, service: str = "") -> tuple[str, Wiring]:
    return "counter", Wiring(name, {}, {service: Answered(answer)})


def says(text: str) -> Any:
    return lambda _request: WireResponse(text.encode())


@pytest.fixture
async def server() -> AsyncIterator[BindingServer]:
    server = BindingServer()
    yield server
    server.disconnect("a")
    server.disconnect("b")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "b"


async def test_a_request_is_answered_by_what_its_header_names(server: BindingServer, path: Path) -> None:
    await server.connect(
        "a", [wiring("X", says("a x")), wiring("Y", says("a y")), wiring("X", says("more"), "s")], path
    )
    await server.connect("b", [wiring("X", says("b x")), ("service", Wiring("W", {}, {"": OtherWorker("a")}))], path)
    for binding, text in (("a/counter/X", "a x"), ("a/counter/Y", "a y"), ("a/counter/X/s", "more")):
        assert (await ask(path, binding))[1] == text.encode()
    assert (await ask(path, "b/counter/X"))[1] == b"b x"


async def test_an_answer_is_given_the_request_and_sent_as_it_is(server: BindingServer, path: Path) -> None:
    seen: list[WireRequest] = []

    def answer(request: WireRequest) -> WireResponse:
        seen.append(request)
        return WireResponse(b"no", 418, b"No tea", [(b"X-Pot", b"short"), (b"X-Pot", b"stout")])

    await server.connect("a", [wiring("X", answer)], path)
    head, body = await ask(path, "a/counter/X", target="/pour?cups=2", body=b"please")
    assert (head, body) == (
        b"HTTP/1.1 418 No tea\r\nX-Pot: short\r\nX-Pot: stout\r\nContent-Length: 2",
        b"no",
    )
    (request,) = seen
    assert (request.method, request.target, request.body) == (b"POST", "/pour?cups=2", b"please")
    assert request.headers[b"x-emulator-binding"] == b"a/counter/X"


async def test_a_worker_may_ask_for_much_at_once_while_the_session_is_busy(server: BindingServer, path: Path) -> None:
    await server.connect("a", [wiring("X", says("a x"))], path)
    with ExitStack() as sockets:
        for _ in range(500):  # nobody accepts meanwhile
            client = sockets.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            client.connect(str(path))


async def test_answers_may_take_their_time_while_others_are_given(server: BindingServer, path: Path) -> None:
    may_end = asyncio.Event()

    async def slow(_request: WireRequest) -> WireResponse:
        await may_end.wait()
        return WireResponse(b"slow")

    await server.connect("a", [wiring("X", slow), wiring("Y", says("quick"))], path)
    asked = asyncio.ensure_future(ask(path, "a/counter/X"))
    assert (await ask(path, "a/counter/Y"))[1] == b"quick"
    assert not asked.done()
    may_end.set()
    assert (await asked)[1] == b"slow"


async def test_a_binding_that_is_gone_is_refused_by_name_and_the_others_stay(server: BindingServer, path: Path) -> None:
    await server.connect("a", [wiring("X", says("x")), wiring("Y", says("y"))], path)
    await server.connect("a", [wiring("Y", says("new y"))], path)
    head, _ = await ask(path, "a/counter/X")
    assert head.startswith(
        b"HTTP/1.1 503 the binding env.X is gone: the configuration does not declare it any more\r\n"
    )
    assert (await ask(path, "a/counter/Y"))[1] == b"new y"


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_answer_that_raises_is_reported_as_a_bug(server: BindingServer, path: Path, is_async: bool) -> None:
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["exception"]))

    async def late(_request: WireRequest) -> WireResponse:
        raise KeyError("oh\r\nno")

    def now(_request: WireRequest) -> WireResponse:
        raise KeyError("oh\r\nno")

    await server.connect("a", [wiring("X", late if is_async else now)], path)
    head, _ = await ask(path, "a/counter/X")
    assert head.split(b"\r\n")[0] == (
        rb"HTTP/1.1 500 the emulator failed to answer a/counter/X, which is a bug: KeyError: 'oh\r\nno'"
    )
    assert [type(error) for error in reported] == [KeyError]


async def test_it_ends_with_the_last_worker_and_can_begin_again(path: Path, tmp_path: Path) -> None:
    server = BindingServer()
    await server.connect("a", [wiring("X", says("a"))], path)
    await server.connect("b", [wiring("X", says("b"))], path)
    server.disconnect("a")
    assert (await ask(path, "b/counter/X"))[1] == b"b"
    server.disconnect("b")
    with pytest.raises(OSError):  # noqa: PT011 - which of them is the system's choice
        await ask(path, "b/counter/X")
    await server.connect("a", [wiring("X", says("again"))], tmp_path / "c")
    assert (await ask(tmp_path / "c", "a/counter/X"))[1] == b"again"
    server.disconnect("a")


async def test_workers_may_connect_at_the_same_time(server: BindingServer, path: Path) -> None:
    await asyncio.gather(*(server.connect(name, [wiring("X", says(name))], path) for name in ("a", "b")))
    assert [(await ask(path, f"{name}/counter/X"))[1] for name in ("a", "b")] == [b"a", b"b"]
