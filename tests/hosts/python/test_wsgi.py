"""WSGI applications in a worker: what an application is given, and what becomes of its answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from emulator.hosts.host import HandlerError
from emulator_runtime.http import send_response
from emulator_runtime.incoming import IncomingRequest
from tests.hosts.python.test_stacks import Bench
from tests.hosts.support import fetch
from tests.runtime.asgi_calls import Sent, http_scope, incoming

if TYPE_CHECKING:
    from emulator.hosts.python.host import PythonHost
    from tests.hosts.python.support import WriteFiles

WORKER = """
from pyodide.ffi import run_sync
from workers import Request, Response, WorkerEntrypoint, wsgi
import asyncio, json

seen = []

class Closing:
    def __init__(self, chunks): self.chunks = chunks
    def __iter__(self): return iter(self.chunks)
    def close(self): seen.append("closed")

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/seen"):
            return Response.json(seen)
        return await wsgi.fetch(app, request, self.env)

"""


@pytest.fixture
def bench(write: WriteFiles) -> Bench:
    return Bench(write, asyncio.new_event_loop)


def files(app: str) -> dict[str, str]:
    return {"src/entry.py": WORKER + dedent(app)}


async def sent(host: PythonHost, request: IncomingRequest, *, head: bool = False) -> Sent:
    send = Sent()
    await send_response(await fetch(host, request), send, head=head)
    return send


async def seen(host: PythonHost) -> Any:
    return json.loads((await sent(host, incoming(method="GET", path="/seen"))).body)


def answer(bench: Bench, app: str, request: IncomingRequest | None = None, *, head: bool = False) -> Sent:
    async def test(host: PythonHost) -> Sent:
        return await sent(host, request or incoming(method="GET"), head=head)

    return bench.run(files(app), test)


ENVIRON = """
def app(environ, start_response):
    start_response("200 OK", [])
    shown = {key: value for key, value in environ.items() if isinstance(value, (str, bool, tuple))}
    return [json.dumps({**shown, "env": environ["workers.env"].GREETING}).encode()]
"""


def test_the_environ_is_that_of_pep_3333(bench: Bench) -> None:
    request = incoming(
        b"x",
        path="/caf%C3%A9/a%20b",
        query=b"q=a%20b&q=1",
        headers=[(b"content-type", b"text/plain"), (b"x-a-b", b"1"), (b"x-a-b", b"2"), (b"x-utf", "日".encode())],
    )
    environ = json.loads(answer(bench, ENVIRON, request).body)
    assert environ["REQUEST_METHOD"] == "POST"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["PATH_INFO"].encode("latin-1") == "/café/a b".encode()
    assert environ["QUERY_STRING"] == "q=a%20b&q=1"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", "8787")
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["CONTENT_TYPE"] == "text/plain"
    assert "CONTENT_LENGTH" not in environ
    assert environ["HTTP_X_A_B"] == "1, 2"
    assert environ["HTTP_X_UTF"].encode("latin-1") == "日".encode()
    assert environ["HTTP_HOST"] == "localhost:8787"
    assert environ["wsgi.version"] == [1, 0]
    assert environ["wsgi.url_scheme"] == "http"
    assert not environ["wsgi.multithread"]
    assert not environ["wsgi.multiprocess"]
    assert not environ["wsgi.run_once"]
    assert environ["env"] == "hello"


def test_wsgi_is_importable_by_both_names_unless_the_worker_has_one_of_its_own(bench: Bench) -> None:
    entry = """
        import wsgi
        import workers.wsgi
        from workers import Response

        async def on_fetch(request):
            return Response(f"{wsgi is workers.wsgi} {getattr(wsgi, 'mine', False)}")
    """
    assert bench.text({"src/entry.py": entry}) == "True False"
    assert bench.text({"src/entry.py": entry, "src/wsgi.py": "mine = True"}) == "False True"


ECHO = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    body = environ["wsgi.input"]
    return [body.read(3), b"|", body.readline(), b"|", body.read()]
"""


def test_the_body_is_a_file(bench: Bench) -> None:
    assert answer(bench, ECHO, incoming(b"abcde\n", b"f", b"gh")).body == b"abc|de\n|fgh"
    assert answer(bench, ECHO, incoming(method="GET")).body == b"||"


def test_the_body_is_read_only_as_far_as_the_application_reads(bench: Bench) -> None:
    received = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        received.append(1)
        return {"type": "http.request", "body": b"x" * 10_000, "more_body": True}

    app = """
        def app(environ, start_response):
            start_response("200 OK", [])
            return [str(len(environ["wsgi.input"].read(9_000))).encode()]
    """
    request = IncomingRequest(http_scope("POST", headers=[(b"transfer-encoding", b"chunked")]), receive)
    assert answer(bench, app, request).body == b"9000"
    assert len(received) == 1


def test_status_and_headers_with_duplicates(bench: Bench) -> None:
    app = """
        def app(environ, start_response):
            start_response("418 I'm a teapot", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Name", "caf\\xe9")])
            return [b"short"]
    """
    send = answer(bench, app)
    assert send.status == 418
    assert send.headers == [
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"x-name", b"caf\xe9"),
        (b"content-length", b"5"),
    ]
    assert send.body == b"short"


CHUNKS = """
def app(environ, start_response):
    start_response("200 OK", [])
    async def later(): await asyncio.sleep(0)
    def chunks():
        yield b""
        for number in range(3):
            seen.append(number)
            run_sync(later())
            yield str(number).encode()
    return Closing(chunks())
"""


def test_an_answer_streams_as_it_is_made_and_is_closed_at_its_end(bench: Bench) -> None:
    async def test(host: PythonHost) -> None:
        response = await fetch(host, incoming(method="GET"))
        assert await seen(host) == [0]
        send = Sent()
        await send_response(response, send)
        assert [chunk for chunk in send.chunks if chunk] == [b"0", b"1", b"2"]
        assert send.header(b"content-length") is None
        assert await seen(host) == [0, 1, 2, "closed"]

    bench.run(files(CHUNKS), test)


def test_an_answer_whose_reader_goes_away_is_closed(bench: Bench) -> None:
    async def test(host: PythonHost) -> None:
        response = await fetch(host, incoming(method="GET"))
        assert response.body is not None
        await response.body.cancel()
        assert await seen(host) == [0, "closed"]

    bench.run(files(CHUNKS), test)


def test_an_answer_of_the_length_that_it_said_is_sent_in_one_piece(bench: Bench) -> None:
    app = """
        def app(environ, start_response):
            start_response("200 OK", [("Content-Length", "5")])
            return Closing(iter([b"whole"]))
    """

    async def test(host: PythonHost) -> None:
        response = await fetch(host, incoming(method="GET"))
        assert not response.is_streaming
        assert await response.text() == "whole"
        assert await seen(host) == ["closed"]

    bench.run(files(app), test)


def test_head_is_answered_without_a_body(bench: Bench) -> None:
    app = """
        def app(environ, start_response):
            start_response("200 OK", [("Content-Length", "5")])
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"whole"]
    """
    send = answer(bench, app, incoming(method="HEAD"), head=True)
    assert (send.header(b"content-length"), send.body) == (b"5", b"")


def test_a_status_without_a_body_has_none_and_its_iterable_is_closed(bench: Bench) -> None:
    app = """
        def app(environ, start_response):
            start_response("204 No Content", [("X-A", "1")])
            return Closing([b"dropped"])
    """

    async def test(host: PythonHost) -> None:
        response = await fetch(host, incoming(method="GET"))
        assert (response.status, response.body) == (204, None)
        assert await seen(host) == ["closed"]

    bench.run(files(app), test)


def test_what_is_written_comes_before_what_is_returned(bench: Bench) -> None:
    app = """
        def app(environ, start_response):
            write = start_response("200 OK", [])
            write(b"one ")
            write(b"two ")
            return [b"three"]
    """
    assert answer(bench, app).body == b"one two three"


def test_start_response_may_wait_for_the_first_piece(bench: Bench) -> None:
    app = """
        def app(environ, start_response):
            start_response("201 Created", [])
            yield b"made"
    """
    send = answer(bench, app)
    assert (send.status, send.body) == (201, b"made")


BROKEN = {
    "in the application": ("raise ZeroDivisionError('here')", "here"),
    "before the first piece": ("start_response('200 OK', []); return Closing(1 / 0 for _ in [1])", "division by zero"),
    "without start_response": ("return Closing([b'x'])", "did not call start_response"),
    "by a second start_response": (
        "start_response('200 OK', []); start_response('200 OK', [])",
        "called more than once",
    ),
    "by a status that is none": ("start_response('999 X', []); return []", "range 200 to 599"),
    "by text": ("start_response('200 OK', []); return ['text']", "must be bytes, not str"),
    "by exc_info after a start": (
        (
            "import sys\n    start_response('200 OK', [])\n    try: 1 / 0\n"
            "    except Exception: start_response('500 X', [], sys.exc_info())"
        ),
        "division by zero",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_fails_before_the_first_piece_is_raised(bench: Bench, how: str) -> None:
    code, expected = BROKEN[how]

    async def test(host: PythonHost) -> None:
        with pytest.raises(HandlerError, match=expected):
            await fetch(host, incoming(method="GET"))
        assert await seen(host) == (["closed"] if "Closing" in code else [])

    bench.run({"src/entry.py": f"{WORKER}\ndef app(environ, start_response):\n    {code}\n"}, test)


def test_exc_info_with_the_first_start_is_an_answer(bench: Bench) -> None:
    app = """
        import sys
        def app(environ, start_response):
            try:
                1 / 0
            except ZeroDivisionError:
                start_response("500 Oops", [], sys.exc_info())
            return [b"sorry"]
    """
    send = answer(bench, app)
    assert (send.status, send.body) == (500, b"sorry")


def test_what_fails_after_the_first_piece_breaks_the_answer_off_and_is_reported(bench: Bench) -> None:
    app = """
        def app(environ, start_response):
            start_response("200 OK", [])
            def chunks():
                yield b"half"
                raise ZeroDivisionError("in the middle")
            return Closing(chunks())
    """

    async def test(host: PythonHost) -> None:
        response = await fetch(host, incoming(method="GET"))
        send = Sent()
        with pytest.raises(ZeroDivisionError, match="in the middle"):
            await send_response(response, send)
        assert send.chunks == [b"half"]
        assert await seen(host) == ["closed"]

    bench.run(files(app), test)
    assert [failed.failure.summary for failed in bench.failed] == ["ZeroDivisionError: in the middle"]


def test_a_close_that_fails_does_not_spoil_the_answer(bench: Bench) -> None:
    app = """
        class Fails(Closing):
            def close(self): raise ZeroDivisionError
        def app(environ, start_response):
            start_response("200 OK", [])
            return Fails([b"good"])
    """
    assert answer(bench, app).body == b"good"


def test_applications_go_on_side_by_side(bench: Bench) -> None:
    async def upload(gate: asyncio.Event, opens: asyncio.Event) -> AsyncIterator[bytes]:
        opens.set()
        await gate.wait()
        yield b"abc"

    app = """
        def app(environ, start_response):
            start_response("200 OK", [])
            return [environ["wsgi.input"].read()]
    """

    async def test(host: PythonHost) -> list[bytes]:
        first, second = asyncio.Event(), asyncio.Event()
        requests = []
        for gate, opens in ((first, second), (second, first)):
            chunks = upload(gate, opens)

            async def receive(chunks: AsyncIterator[bytes] = chunks) -> dict[str, Any]:
                async for chunk in chunks:
                    return {"type": "http.request", "body": chunk, "more_body": True}
                return {"type": "http.request", "body": b"", "more_body": False}

            requests.append(IncomingRequest(http_scope("POST", headers=[(b"transfer-encoding", b"chunked")]), receive))
        return [send.body for send in await asyncio.gather(*[sent(host, request) for request in requests])]

    assert bench.run(files(app), test) == [b"abc", b"abc"]
