"""What a worker with routes sees of a request to this machine, and what the client sees of the answer."""

from __future__ import annotations

from typing import Any, cast

import pytest

from emulator.server.asgi import ANSWER
from emulator_runtime.hosting import Request, Response
from tests.server.test_gateway import Exchange, Fetch


def answering(*headers: tuple[str, str]) -> Fetch:
    async def fetch(request: Request) -> Response:
        unasked = {"accept", "cf-connecting-ip"}
        seen = [f"{name}: {value}" for name, value in request.headers.items() if name not in unasked]
        return Response("\n".join([request.url, *seen]), headers=list(headers))

    return fetch


async def seen(*headers: tuple[bytes, bytes], origin: str = "http://shop.example.com") -> list[str]:
    """The URL and the headers that the worker sees."""
    exchange = Exchange(answering(), origin=origin)
    exchange.scope["headers"] = list(headers)
    await exchange.run()
    return exchange.body.decode().split("\n")


@pytest.mark.parametrize(
    "host", [b"localhost:8787", b"shop.localhost:8787", b"127.0.0.1:8787", b"[::1]:8787", b"10.0.0.7"]
)
async def test_a_request_to_this_machine_has_the_host_of_production(host: bytes) -> None:
    assert await seen((b"host", host)) == ["http://shop.example.com/a", "host: shop.example.com"]


async def test_the_scheme_is_that_of_production() -> None:
    assert (await seen((b"host", b"localhost"), origin="https://shop.example.com"))[0] == "https://shop.example.com/a"


async def test_a_request_to_another_name_keeps_it() -> None:
    headers = [(b"host", b"other.example.com"), (b"origin", b"http://other.example.com")]
    assert await seen(*headers) == [
        "http://other.example.com/a",
        "host: other.example.com",
        "origin: http://other.example.com",
    ]


async def test_a_worker_without_routes_sees_what_the_client_asked_for() -> None:
    assert await seen((b"host", b"localhost:8787"), origin="") == ["http://localhost:8787/a", "host: localhost:8787"]


async def test_headers_that_name_this_server_name_that_of_production() -> None:
    headers = [
        (b"host", b"localhost:8787"),
        (b"origin", b"http://localhost:8787"),
        (b"referer", b"http://localhost:8787/b?c=localhost:8787"),
        (b"x-other", b"http://localhost:87870/ and notlocalhost:8787"),
    ]
    assert (await seen(*headers))[2:] == [
        "origin: http://shop.example.com",
        "referer: http://shop.example.com/b?c=shop.example.com",
        "x-other: http://localhost:87870/ and notlocalhost:8787",
    ]


async def test_the_answer_leads_back_here() -> None:
    headers = [
        ("location", "https://shop.example.com/b"),
        ("set-cookie", "a=shop.example.com; Domain=shop.example.com; Path=/"),
        ("set-cookie", "b=2; Domain=example.com"),
        ("link", "<http://api.shop.example.com/>, <http://shop.example.com/c>"),
    ]
    exchange = Exchange(answering(*headers), origin="http://shop.example.com")
    exchange.scope["headers"] = [(b"host", b"localhost:8787")]
    exchange.scope[ANSWER] = cast("Any", lambda *_answer: pytest.fail("the quick way sends headers as they are"))
    await exchange.run()
    got = [(name.decode(), value.decode()) for name, value in exchange.sent[0]["headers"]]
    assert [each for each in got if each[0] in {"location", "set-cookie", "link"}] == [
        ("location", "http://localhost:8787/b"),
        ("set-cookie", "a=shop.example.com; Domain=localhost; Path=/"),
        ("set-cookie", "b=2; Domain=example.com"),
        ("link", "<http://api.shop.example.com/>, <http://localhost:8787/c>"),
    ]
    assert [event.path for event in exchange.finished] == ["/a"]
