"""Pages that reload themselves, on the real program: what a browser asks for and is told."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from emulator.server.addresses import LIVE_ADDRESS, LIVE_SCRIPT_ADDRESS
from emulator.server.live import SCRIPT_TAG
from tests.integration.conftest import Running, write_worker

WORKER = """
    from workers import Response, WorkerEntrypoint

    HTML = {"content-type": "text/html;charset=UTF-8"}

    async def pieces():
        yield b"<p>one"
        yield b"<p>two"

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            if request.url.endswith("/stream"):
                return Response(pieces(), headers=HTML)
            if request.url.endswith("/json"):
                return Response.json({"a": 1})
            if request.url.endswith("/coded"):
                return Response(b"zipped", headers={**HTML, "content-encoding": "x-own"})
            if request.url.endswith("/fails"):
                raise ValueError("no")
            return Response("<h1>Hello</h1>", headers=HTML)
"""


def events(response: httpx.Response) -> Iterator[str]:
    """The names of the events of a stream, with their data."""
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data:"):
            yield f"{name} {line.removeprefix('data:').strip()}".strip()


def test_a_page_is_told_of_each_reload_and_does_not_hold_up_the_end(
    dev: Callable[..., Running], tmp_path: Path
) -> None:
    entry = write_worker(tmp_path, WORKER)
    running = dev(tmp_path)
    with httpx.Client(base_url=running.url) as client, client.stream("GET", LIVE_ADDRESS) as response:
        coming = events(response)
        assert next(coming).startswith("session ")
        entry.write_text(entry.read_text().replace("Hello", "Hallo"))
        assert next(coming) == "reload"
        begun = time.monotonic()
        running.process.send_signal(signal.SIGINT)
        assert list(coming) == []
        assert running.wait() == 0
        assert time.monotonic() - begun < 5


def test_a_page_is_told_of_assets_that_change_and_the_worker_is_not_reloaded(
    dev: Callable[..., Running], tmp_path: Path
) -> None:
    entry = write_worker(tmp_path, WORKER, assets={"directory": "src/dist", "run_worker_first": False})
    dist = entry.parent / "dist"
    running = dev(tmp_path, "--live-reload")
    with httpx.Client(base_url=running.url) as client, client.stream("GET", LIVE_ADDRESS) as response:
        coming = events(response)
        assert next(coming).startswith("session ")

        def write(name: str, content: str) -> None:
            (dist / name).parent.mkdir(parents=True, exist_ok=True)
            (dist / name).write_text(content)
            assert next(coming) == "reload"

        write("build/page.html", "<p>made late")
        assert client.get("/build/page").text == f"<p>made late{SCRIPT_TAG.decode()}"
        write("build/page.html", "<p>changed")
        assert client.get("/build/page").text == f"<p>changed{SCRIPT_TAG.decode()}"
        navigation = {"sec-fetch-dest": "document", "if-none-match": client.get("/build/page").headers["etag"]}
        assert client.get("/build/page", headers=navigation).text.endswith(SCRIPT_TAG.decode())
    running.end()
    assert not [line for line in running.lines if "Reloaded" in line]


def test_only_pages_get_the_script_and_only_when_asked_for(dev: Callable[..., Running], tmp_path: Path) -> None:
    write_worker(tmp_path, WORKER)
    tag = SCRIPT_TAG.decode()
    plain, live = dev(tmp_path), dev(tmp_path, "--live-reload")
    assert httpx.get(plain.url).text == "<h1>Hello</h1>"
    assert httpx.get(live.url).text == f"<h1>Hello</h1>{tag}"
    assert httpx.get(f"{live.url}/stream").text == f"<p>one<p>two{tag}"
    assert httpx.get(f"{live.url}/json").json() == {"a": 1}
    assert httpx.get(f"{live.url}/coded").content == b"zipped"
    head = httpx.head(live.url)
    assert (head.headers["content-length"], head.content) == ("14", b"")
    assert "EventSource" in httpx.get(f"{live.url}{LIVE_SCRIPT_ADDRESS}").text


def test_the_error_page_has_its_policy(dev: Callable[..., Running], tmp_path: Path) -> None:
    write_worker(tmp_path, WORKER)
    page = httpx.get(f"{dev(tmp_path).url}/fails", headers={"accept": "text/html", "cookie": "a=secret"})
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert tmp_path.name in page.text
    assert "<summary>hidden</summary>a=secret" in page.text
