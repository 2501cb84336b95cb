"""Outgoing `fetch()` against a real HTTP server on this machine."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

import pytest

from emulator.hosts.outbound import HttpOutbound
from emulator_runtime.workers.request import Request
from emulator_runtime.workers.response import Response

T = TypeVar("T")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/moved":
            self._answer(b"", 302, {"location": "/hello"})
        elif self.path == "/cookie":
            self._answer(str(self.headers["cookie"]).encode(), 200, {"set-cookie": "seen=yes; path=/"})
        elif self.path == "/empty":
            self.send_response(204)
            self.end_headers()
        elif self.path == "/zipped":
            self._answer(gzip.compress(b"unzipped"), 200, {"content-encoding": "gzip"})
        else:
            self._answer(f"hello {self.headers['x-name']} at {self.headers['host']}".encode(), 200, {"x-answer": "yes"})

    def do_POST(self) -> None:
        if self.path == "/moved":
            self.rfile.read(int(self.headers["content-length"]))
            self._answer(b"", 307, {"location": "/echo"})
        elif self.headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            self._answer(b"chunked " + b"".join(parts), 200, {})
        else:
            self._answer(self.rfile.read(int(self.headers["content-length"])), 200, {})

    def _answer(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _fetch(request: Request, then: Callable[[Response], Awaitable[T]]) -> T:
    async def run() -> T:
        outbound = HttpOutbound()
        try:
            return await then(await outbound(request))
        finally:
            await outbound.close()

    return asyncio.run(run())


def test_headers_and_body_come_back(url: str) -> None:
    async def check(response: Response) -> None:
        assert response.status == 200
        assert response.headers["x-answer"] == "yes"
        assert response.url == f"{url}/hello"
        assert not response.redirected
        assert await response.text() == f"hello shop at {url.removeprefix('http://')}"

    _fetch(Request(f"{url}/hello", headers={"x-name": "shop"}), check)


def test_a_compressed_answer_is_decoded_and_no_longer_says_that_it_is_compressed(url: str) -> None:
    async def check(response: Response) -> None:
        assert "content-encoding" not in response.headers
        assert "content-length" not in response.headers
        assert await response.text() == "unzipped"

    _fetch(Request(f"{url}/zipped"), check)


def test_redirects_are_followed_unless_asked_not_to(url: str) -> None:
    async def followed(response: Response) -> None:
        assert response.redirected
        assert response.url == f"{url}/hello"

    async def shown(response: Response) -> None:
        assert response.status == 302
        assert response.headers["location"] == "/hello"

    _fetch(Request(f"{url}/moved"), followed)
    _fetch(Request(f"{url}/moved", redirect="manual"), shown)
    with pytest.raises(OSError, match="redirects"):
        _fetch(Request(f"{url}/moved", redirect="error"), shown)


def test_no_cookies_are_kept(url: str) -> None:
    async def check() -> list[str]:
        outbound = HttpOutbound()
        try:
            answers = [
                await outbound(Request(f"{url}/cookie", headers=headers)) for headers in ({}, {}, {"cookie": "a=b"})
            ]
            return [await answer.text() for answer in answers]
        finally:
            await outbound.close()

    assert asyncio.run(check()) == ["None", "None", "a=b"]


def test_a_body_in_memory_survives_a_redirect(url: str) -> None:
    async def check(response: Response) -> None:
        assert await response.bytes() == b"data"

    _fetch(Request(f"{url}/moved", method="POST", body=b"data"), check)


def test_a_stream_is_sent_as_it_comes(url: str) -> None:
    async def parts() -> object:
        yield b"one "
        yield b"two"

    async def check(response: Response) -> None:
        assert await response.text() == "chunked one two"

    _fetch(Request(f"{url}/echo", method="POST", body=parts()), check)


def test_an_answer_without_a_body_has_none(url: str) -> None:
    async def check(response: Response) -> None:
        assert response.status == 204
        assert await response.text() == ""

    _fetch(Request(f"{url}/empty"), check)


def test_an_answer_that_is_not_read_leaves_nothing_open(url: str) -> None:
    async def check(response: Response) -> None:
        assert response.ok

    _fetch(Request(f"{url}/hello"), check)


@pytest.mark.parametrize("target", ["http://127.0.0.1:1/", "http://no-such-host.invalid/", "ftp://127.0.0.1/"])
def test_a_failure_is_an_os_error_that_names_the_url(target: str) -> None:
    async def check(response: Response) -> None: ...

    with pytest.raises(OSError, match="fetch failed: GET") as raised:
        _fetch(Request(target), check)
    assert target in str(raised.value)
