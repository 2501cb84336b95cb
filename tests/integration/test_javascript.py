"""JavaScript workers in the real program: served, reloaded, beside Python workers, and never left behind."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.node_tools import needs_node

if TYPE_CHECKING:
    from tests.integration.conftest import Running

DEADLINE_SECONDS = 20.0

pytestmark = [needs_node, pytest.mark.usefixtures("javascript")]

SENDER = """
    export default {
      async fetch(request, env) {
        const { pathname } = new URL(request.url);
        if (pathname === "/send") await env.JOBS.send({ from: "JavaScript" });
        if (pathname === "/throw") throw new TypeError("boom");
        return new Response("VERSION");
      },
    };
"""
CONSUMER = """
    from workers import WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def queue(self, batch, env, ctx):
            print("got", dict(batch.messages[0].body))
"""


def write(directory: Path, name: str, main: str, source: str, **settings: Any) -> Path:
    """Write a worker and its configuration, and return the path of the latter."""
    root = directory / name
    root.mkdir(exist_ok=True)
    (root / main).write_text(textwrap.dedent(source))
    path = root / "wrangler.jsonc"
    path.write_text(json.dumps({"name": name, "main": main, "compatibility_date": "2026-04-01", **settings}))
    return path


def producer(queue: str) -> dict[str, Any]:
    return {"producers": [{"binding": "JOBS", "queue": queue}]}


def consumer(queue: str) -> dict[str, Any]:
    return {"consumers": [{"queue": queue, "max_batch_timeout": 0}]}


def descendants(pid: int) -> dict[int, str]:
    """The processes that `pid` has started and that they have started: process ids and commands."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,comm="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    found: dict[int, str] = {}
    parents = {pid}
    while parents:
        parents = {int(own) for own, parent, _ in rows if int(parent) in parents}
        found |= {int(own): name for own, _, name in rows if int(own) in parents}
    return found


def test_a_javascript_worker_sends_to_a_python_worker(start: Callable[..., Running], tmp_path: Path) -> None:
    sender = write(tmp_path, "sender", "index.js", SENDER, queues=producer("jobs"))
    receiver = write(tmp_path, "receiver", "entry.py", CONSUMER, queues=consumer("jobs"))
    running = start("dev", "-p", "0", "-c", str(sender), "-c", str(receiver), cwd=tmp_path).ready()
    assert httpx.get(f"{running.url}/send").text == "VERSION"
    running.wait_for(r"\[receiver QUEUE jobs\] got \{'from': 'JavaScript'\}")
    running.wait_for("1/1 acked")
    assert running.end() == 0


def test_a_saved_javascript_file_is_served_and_a_broken_one_is_explained(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    path = write(tmp_path, "app", "index.js", SENDER, queues=producer("jobs"))
    main = path.parent / "index.js"
    running = start("dev", "-p", "0", cwd=path.parent).ready()
    main.write_text(textwrap.dedent(SENDER.replace("VERSION", "two")))
    running.wait_for(r"Reloaded app in \d+ ms \(index\.js\)")
    assert httpx.get(running.url).text == "two"
    main.write_text("export default {\n  fetch( {\n};\n")
    running.wait_for("SyntaxError")
    answer = httpx.get(running.url)
    assert answer.status_code == 500
    assert "The worker's code failed to load" in answer.text
    assert "index.js:" in answer.text
    main.write_text(textwrap.dedent(SENDER.replace("VERSION", "three")))
    running.wait_for(r"Reloaded app")
    assert httpx.get(running.url).text == "three"
    assert running.end() == 0


def test_an_exception_is_shown_with_the_line_it_came_from(start: Callable[..., Running], tmp_path: Path) -> None:
    path = write(tmp_path, "app", "index.js", SENDER, queues=producer("jobs"))
    running = start("dev", "-p", "0", cwd=path.parent).ready()
    answer = httpx.get(f"{running.url}/throw")
    assert answer.status_code == 500
    assert f"TypeError: boom\n    at Object.fetch ({path.parent}/index.js:6:" in answer.text
    page = httpx.get(f"{running.url}/throw", headers={"accept": "text/html"}).text
    assert 'throw new TypeError("boom")' in re.sub("</?span[^>]*>", "", page)
    running.wait_for("Error in GET /throw: TypeError: boom")
    running.wait_for(r"index\.js:6 in Object\.fetch")


def test_answers_keep_their_headers_and_the_urls_their_host(start: Callable[..., Running], tmp_path: Path) -> None:
    source = """
        export default {
          fetch(request) {
            const headers = new Headers([["set-cookie", "a=1"], ["set-cookie", "b=2"]]);
            return new Response(request.url, { headers });
          },
        };
    """
    path = write(tmp_path, "app", "index.js", source)
    running = start("dev", "-p", "0", cwd=path.parent).ready()
    with httpx.Client() as client:
        answer = client.get(f"{running.url}/path?a=1", headers={"host": "shop.example"})
        assert answer.text == "http://shop.example/path?a=1"
        assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
        head = client.head(f"{running.url}/path")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(f"{running.url}/path"))


@pytest.mark.skipif(sys.platform != "linux", reason="waits for processes by their pidfd")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workerd_does_not_outlive_the_emulator(start: Callable[..., Running], tmp_path: Path, number: int) -> None:
    path = write(tmp_path, "app", "index.js", SENDER, queues=producer("jobs"))
    running = start("dev", "-p", "0", cwd=path.parent).ready()
    assert httpx.get(running.url).status_code == 200
    below = descendants(running.process.pid)
    assert "workerd" in " ".join(below.values())
    handles = [os.pidfd_open(pid) for pid in below]
    try:
        running.end(number)
        for handle in handles:
            assert select.select([handle], [], [], DEADLINE_SECONDS)[0], "it is still there"
    finally:
        for handle in handles:
            os.close(handle)


def test_ctrl_c_in_the_terminal_lets_a_request_finish(start: Callable[..., Running], tmp_path: Path) -> None:
    source = """
        export default {
          async fetch() {
            console.log("began");
            await scheduler.wait(300);
            return new Response("finished");
          },
        };
    """
    path = write(tmp_path, "app", "index.js", source)
    running = start("dev", "-p", "0", cwd=path.parent).ready()
    answers: list[str] = []
    with httpx.Client() as client:
        thread = threading.Thread(target=lambda: answers.append(client.get(running.url).text))
        thread.start()
        running.wait_for("began")
        assert running.end(signal.SIGINT) == 0
        thread.join(DEADLINE_SECONDS)
        assert answers == ["finished"]


def test_a_python_session_imports_nothing_of_it(start: Callable[..., Running], tmp_path: Path) -> None:
    source = """
        import sys
        from workers import Response, WorkerEntrypoint

        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                loaded = [name for name in sys.modules if "workerd" in name or "hosts.javascript" in name]
                return Response.json(loaded)
    """
    path = write(tmp_path, "app", "entry.py", source)
    running = start("dev", "-p", "0", cwd=path.parent, python=sys.executable).ready()
    assert httpx.get(running.url).json() == []


@pytest.mark.parametrize(("source", "status"), [(SENDER, 0), ("export default {", 1)])
def test_check_exits_with_whether_the_javascript_loads(
    start: Callable[..., Running], tmp_path: Path, source: str, status: int
) -> None:
    path = write(tmp_path, "app", "index.js", source, queues=producer("jobs"))
    running = start("check", cwd=path.parent)
    assert running.wait() == status
    assert ("fetch" if status == 0 else "SyntaxError") in running.output


WEBSOCKET = """
    export default {
      async fetch(request) {
        const { search, pathname } = new URL(request.url);
        if (request.headers.get("upgrade") !== "websocket" || pathname === "/refuse") {
          return new Response("no WebSocket", { status: 426 });
        }
        const [client, server] = Object.values(new WebSocketPair());
        server.accept();
        server.addEventListener("message", (event) => server.send(`VERSION ${event.data} ${search}`));
        return new Response(null, { status: 101, webSocket: client });
      },
    };
"""
WEBSOCKET_SCRIPT = (
    WEBSOCKET.replace(
        "export default {", 'addEventListener("fetch", (event) => event.respondWith(answer(event.request)));'
    )
    .replace("async fetch(", "async function answer(")
    .replace("      },\n    };", "      }")
)
"""The same in service-worker syntax."""


class WebSocket:
    """A WebSocket, as far as the tests need one: short texts."""

    def __init__(self, url: str, path: str, **headers: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=DEADLINE_SECONDS)
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {headers.get('host', 'localhost')}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        self.socket.sendall("\r\n".join((*lines, "", "")).encode())
        self.answer = self.socket.recv(4_096).decode()

    def send(self, text: str) -> None:
        mask = b"mask"
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(text.encode()))
        self.socket.sendall(bytes([0x81, 0x80 | len(masked)]) + mask + masked)

    def receive(self) -> str:
        frame = self.socket.recv(4_096)
        return frame[2 : 2 + frame[1]].decode() if frame else ""


@pytest.fixture
def connect() -> Iterator[Callable[..., WebSocket]]:
    """Asks for a WebSocket."""
    with ExitStack() as opened:

        def connect_to(url: str, path: str, **headers: str) -> WebSocket:
            channel = WebSocket(url, path, **headers)
            opened.callback(channel.socket.close)
            return channel

        yield connect_to


@pytest.mark.parametrize("code", [WEBSOCKET, WEBSOCKET_SCRIPT], ids=["module", "script"])
def test_websockets_are_let_through(
    start: Callable[..., Running], connect: Callable[..., WebSocket], tmp_path: Path, code: str
) -> None:
    config = write(tmp_path, "chat", "index.js", code)
    running = start("dev", "-c", str(config), "-p", "0", cwd=tmp_path).ready()
    channel = connect(running.url, "/chat?room=1")
    assert channel.answer.startswith("HTTP/1.1 101 ")
    assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in channel.answer
    for text in ("hello", "again"):
        channel.send(text)
        assert channel.receive() == f"VERSION {text} ?room=1"
    assert "426" in connect(running.url, "/refuse").answer.partition("\r\n")[0]
    assert httpx.get(running.url).status_code == 426
    assert "403" in connect(running.url, "/cdn-cgi/handler/scheduled", host="evil.example").answer

    source = tmp_path / "chat/index.js"
    source.write_text(source.read_text().replace("VERSION", "new"))
    running.wait_for("Reloaded chat")
    assert channel.receive() == ""  # as a new version does in production
    running.wait_for(re.escape("GET /chat?room=1 101 Switching Protocols"))
    channel = connect(running.url, "/chat?room=2")
    channel.send("hello")
    assert channel.receive() == "new hello ?room=2"
    assert running.end() == 0


def test_a_reload_under_load_fails_no_request(start: Callable[..., Running], tmp_path: Path) -> None:
    config = write(tmp_path, "busy", "index.js", SENDER, queues=producer("jobs"))
    running = start("dev", "-c", str(config), "-p", "0", "--log-level", "warning", cwd=tmp_path).ready()
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=DEADLINE_SECONDS) as client:
            while not stop.is_set():
                statuses.append(client.get(f"{running.url}/send").status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    source = tmp_path / "busy/index.js"
    for number in range(5):
        source.write_text(textwrap.dedent(SENDER).replace("VERSION", f"version {number}"))
        deadline = time.monotonic() + DEADLINE_SECONDS
        while httpx.get(running.url).text != f"version {number}":
            assert time.monotonic() < deadline
    stop.set()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert len(statuses) > 50
    assert set(statuses) == {200}


def test_a_module_outside_of_the_directory_of_main_is_watched_too(
    start: Callable[..., Running], client: httpx.Client, tmp_path: Path
) -> None:
    shared = tmp_path / "shared/text.ts"
    shared.parent.mkdir()
    shared.write_text('export const text: string = "one";')
    source = 'import { text } from "../shared/text";\nexport default { fetch: () => new Response(text) };'
    config = write(tmp_path, "app", "index.ts", source)
    running = start("dev", "-c", str(config), "-p", "0", cwd=tmp_path).ready()
    assert client.get(running.url).text == "one"
    shared.write_text('export const text: string = "two";')
    running.wait_for("Reloaded app")
    assert client.get(running.url).text == "two"
