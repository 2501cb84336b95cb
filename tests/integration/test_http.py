"""HTTP at the real port: methods, bodies, streams, clients that leave, errors, and who may reach `/cdn-cgi/`."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.conftest import Running, write_worker

WORKER = """
    import asyncio
    from urllib.parse import urlsplit
    from starlette.responses import StreamingResponse
    from workers import Response, WorkerEntrypoint, asgi

    async def chunks():
        for number in range(3):
            yield f"chunk {number};".encode()
            await asyncio.sleep(0)

    async def endless():
        try:
            while True:
                yield b"tick\\n" * 1000
                await asyncio.sleep(0)
        finally:
            print("the stream was closed")

    async def restless():
        try:
            while True:
                yield b"x"
        finally:
            print("the restless stream was closed")

    def numbers():
        while True:
            yield b"1"

    async def application(scope, receive, send):
        if scope["type"] == "http":
            try:
                await StreamingResponse(numbers())(scope, receive, send)
            finally:
                print("the application has ended")

    async def broken():
        yield b"one "
        raise RuntimeError("no second one")

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            path = urlsplit(request.url).path
            if path == "/method":
                return Response(f"{request.method}", headers={"x-method": request.method})
            if path == "/size":
                total = 0
                async for chunk in request.body:
                    total += len(chunk)
                return Response(str(total))
            if path == "/pipe":
                return Response(request.body)
            if path == "/echo":
                return Response(await request.bytes(), headers=[("set-cookie", "a=1"), ("set-cookie", "b=2")])
            if path == "/stream":
                return Response(chunks(), headers={"content-type": "text/plain"})
            if path == "/endless":
                return Response(endless())
            if path == "/restless":
                return Response(restless())
            if path == "/application":
                return await asgi.fetch(application, request, self.env)
            if path == "/broken":
                return Response(broken())
            if path == "/signal":
                signal = request.js_object.signal
                signal.addEventListener("abort", lambda event: print("aborted:", event.target.reason))
                print("listening")
                await asyncio.sleep(0 if "complete" in request.url else 5)
                return Response("answered" if "stream" not in request.url else endless())
            if path == "/slow":
                print("slowly")
                await asyncio.sleep(0.2)
                return Response("late")
            if path == "/raise":
                raise ValueError("<b>odd</b> value")
            if path == "/none":
                return None
            return Response("ok")

        async def scheduled(self, controller, env, ctx):
            if controller.cron == "bad":
                raise RuntimeError("no such job")
            print("cron", controller.cron, controller.scheduledTime)
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One process for all tests of this module: none of them leaves anything behind in it."""
    directory = tmp_path_factory.mktemp("http")
    write_worker(directory, WORKER, compatibility_flags=["python_workers", "enable_request_signal"])
    running = Running("dev", "-p", "0", cwd=directory)
    try:
        yield running.ready()
        assert running.end() == 0, running.output
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.wait()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_reaches_the_worker(emulator: Running, client: httpx.Client, method: str) -> None:
    assert client.request(method, f"{emulator.url}/method").text == method


def test_head_has_the_headers_of_get_and_no_body(emulator: Running, client: httpx.Client) -> None:
    answer = client.head(f"{emulator.url}/method")
    assert answer.headers["x-method"] == "HEAD"
    assert answer.headers["content-length"] == "4"
    assert answer.content == b""
    # The connection is still in step.
    assert client.get(f"{emulator.url}/ok").text == "ok"


def test_a_large_upload_is_streamed(emulator: Running, client: httpx.Client) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * 1_000_000

    assert client.post(f"{emulator.url}/size", content=body()).text == "64000000"


def test_an_upload_can_be_streamed_back(emulator: Running, client: httpx.Client) -> None:
    parts = [bytes([number]) * 100_000 for number in range(20)]
    assert client.post(f"{emulator.url}/pipe", content=iter(parts)).content == b"".join(parts)


def test_a_binary_body_comes_back_and_cookies_stay_apart(emulator: Running, client: httpx.Client) -> None:
    data = bytes(range(256)) * 1000
    answer = client.post(f"{emulator.url}/echo", content=data)
    assert answer.content == data
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_an_answer_streams(emulator: Running, client: httpx.Client) -> None:
    with client.stream("GET", f"{emulator.url}/stream") as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.read() == b"chunk 0;chunk 1;chunk 2;"


def test_a_client_that_leaves_ends_the_stream(emulator: Running, client: httpx.Client) -> None:
    with client.stream("GET", f"{emulator.url}/endless") as answer:
        next(answer.iter_bytes())
    emulator.wait_for("the stream was closed")
    emulator.wait_for(r"GET /endless 499")
    assert client.get(f"{emulator.url}/ok").text == "ok"


@pytest.mark.parametrize(
    ("path", "told"), [("/restless", "the restless stream was closed"), ("/application", "the application has ended")]
)
def test_a_client_that_leaves_ends_a_stream_that_never_waits(
    emulator: Running, client: httpx.Client, path: str, told: str
) -> None:
    with client.stream("GET", f"{emulator.url}{path}") as answer:
        next(answer.iter_bytes())
    assert client.get(f"{emulator.url}/method", timeout=5).status_code == 200
    emulator.wait_for(told)


def test_a_client_that_leaves_before_the_answer_is_told_of(emulator: Running) -> None:
    port = httpx.URL(emulator.url).port or 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        emulator.wait_for("slowly")
    emulator.wait_for(r"GET /slow 499")


def test_a_handler_whose_client_has_left_sees_its_request_aborted(emulator: Running) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{emulator.url}/signal", timeout=0.3)
    emulator.wait_for("aborted: The client has disconnected")


def test_a_stream_whose_client_has_left_sees_its_request_aborted(emulator: Running, client: httpx.Client) -> None:
    with client.stream("GET", f"{emulator.url}/signal?complete=1&stream=1") as answer:
        next(answer.iter_bytes())
    emulator.wait_for("aborted: The client has disconnected")


def test_a_request_that_was_answered_is_not_aborted(emulator: Running, client: httpx.Client) -> None:
    assert client.get(f"{emulator.url}/signal?complete=1").text == "answered"
    assert client.get(f"{emulator.url}/ok").text == "ok"
    emulator.wait_for(r"GET /ok 200")
    assert "aborted:" not in emulator.output.rpartition("listening")[2]


def test_an_answer_that_breaks_off_breaks_the_connection_and_is_told_once(
    emulator: Running, client: httpx.Client
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(f"{emulator.url}/broken")
    emulator.wait_for("Error in GET /broken: RuntimeError: no second one")
    emulator.wait_for(r"GET /broken 200")
    client.get(f"{emulator.url}/method")
    emulator.wait_for("GET /method")
    assert "Exception in ASGI application" not in emulator.output


def test_a_browser_gets_a_page_with_the_users_source_line(emulator: Running, client: httpx.Client) -> None:
    answer = client.get(f"{emulator.url}/raise", headers={"accept": "text/html,application/xhtml+xml"})
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/html")
    assert "&lt;b&gt;odd&lt;/b&gt; value" in answer.text
    assert "<b>odd</b> value" not in answer.text
    assert "entry.py" in answer.text
    assert "raise ValueError(" in answer.text


def test_anything_but_a_browser_gets_plain_text(emulator: Running, client: httpx.Client) -> None:
    answer = client.get(f"{emulator.url}/raise")
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/plain")
    assert "ValueError: <b>odd</b> value" in answer.text
    assert "entry.py" in answer.text
    assert "emulator/hosts" not in answer.text


@pytest.mark.parametrize("host", ["192.168.1.5:8787", "my-app.trycloudflare.com", "localhost.evil.example", ""])
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_code_is_not_shown_to_who_asks_another_name_than_this_machines(
    emulator: Running, client: httpx.Client, host: str, accept: str
) -> None:
    answer = client.get(f"{emulator.url}/raise", headers={"host": host, "accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/plain;charset=UTF-8")
    assert answer.text == "The worker raised an exception\n\nValueError: <b>odd</b> value\n"


def test_an_image_on_a_foreign_page_does_not_run_a_handler(emulator: Running, client: httpx.Client) -> None:
    url = f"{emulator.url}/cdn-cgi/handler/scheduled"
    image = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
    assert client.get(url, params={"cron": "from an image"}, headers=image).status_code == 403
    assert client.get(url, params={"cron": "from curl \x1b[2J\r\nReady \u202e"}).text == "ok"
    emulator.wait_for(re.escape("SCHEDULED from curl \\x1b[2J\\r\\nReady \\u202e ok"))
    assert "from an image" not in emulator.output
    assert "\x1b" not in emulator.output


def test_a_handler_that_returns_no_response_is_told_so(emulator: Running, client: httpx.Client) -> None:
    answer = client.get(f"{emulator.url}/none")
    assert answer.status_code == 500
    assert "Response" in answer.text
    assert "None" in answer.text


def test_scheduled_runs_by_http(emulator: Running, client: httpx.Client) -> None:
    url = f"{emulator.url}/cdn-cgi/handler/scheduled"
    answer = client.get(url, params={"cron": "*/5 * * * *", "time": "1700000000000"})
    assert (answer.status_code, answer.text) == (200, "ok")
    emulator.wait_for(r"cron \*/5 \* \* \* \* 1700000000000")
    assert client.get(f"{emulator.url}/__scheduled", params={"cron": "0 0 * * *"}).text == "Ran scheduled event"
    emulator.wait_for(r"cron 0 0 \* \* \* \d+")
    failed = client.get(url, params={"cron": "bad"})
    assert failed.status_code == 500
    assert "RuntimeError: no such job" in failed.text
    assert client.get(url, params={"time": "soon"}).status_code == 400
    assert client.get(f"{emulator.url}/cdn-cgi/nothing").status_code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("shop.localhost:8787", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8787", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("192.168.1.5", 403),
        ("127.0.0.1.evil.example:8787", 403),
    ],
)
def test_the_control_plane_answers_only_to_a_loopback_host(
    emulator: Running, client: httpx.Client, host: str, status: int
) -> None:
    answer = client.get(f"{emulator.url}/cdn-cgi/handler/scheduled", headers={"host": host})
    assert answer.status_code == status


def test_user_traffic_takes_any_host(emulator: Running, client: httpx.Client) -> None:
    assert client.get(f"{emulator.url}/ok", headers={"host": "shop.example"}).text == "ok"


def test_garbage_on_the_wire_does_no_harm(emulator: Running, client: httpx.Client) -> None:
    port = httpx.URL(emulator.url).port or 0
    for garbage in (
        b"\x00\xff\x16\x03\x01" * 20,
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    assert client.get(f"{emulator.url}/ok").text == "ok"
