"""WebSockets of Python workers in the real program."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.integration.test_javascript import DEADLINE_SECONDS
from tests.integration.test_javascript import write as write_worker
from tests.support.node_tools import needs_node

if TYPE_CHECKING:
    from tests.integration.conftest import Running

WORKER = """
    from fastapi import FastAPI, WebSocket as Socket
    from js import WebSocket, WebSocketPair
    from workers import Response, WorkerEntrypoint, asgi, fetch

    app = FastAPI()

    @app.websocket("/app")
    async def talk(socket: Socket):
        await socket.accept()
        while True:
            await socket.send_text(f"app {await socket.receive_text()}")

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            path = "/" + request.url.split("/", 3)[3]
            if path == "/app":
                return await asgi.websocket(app, request, self.env)
            if path == "/relay":
                return await fetch(request.url.replace("/relay", "/room"), headers=request.headers.items())
            if request.headers.get("upgrade") != "websocket":
                return Response("no WebSocket", status=426)
            client, server = WebSocketPair.new()
            server.accept()

            def hear(event):
                if event.data == "raise":
                    raise ValueError("heard too much")
                server.send(f"VERSION {event.data}")

            server.addEventListener("message", hear)
            return Response(None, status=101, web_socket=client)
"""


def write(tmp_path: Path, source: str = WORKER, date: str = "2026-11-01") -> Path:
    """Write a worker into a directory of its own, where nothing else changes, and return that."""
    directory = tmp_path / "chat"
    directory.mkdir()
    (directory / "entry.py").write_text(textwrap.dedent(source))
    settings = {"name": "chat", "main": "entry.py", "compatibility_date": date}
    (directory / "wrangler.jsonc").write_text(json.dumps({**settings, "compatibility_flags": ["python_workers"]}))
    return directory


def open_at(running: Running, path: str) -> ClientConnection:
    return connect(f"{running.url.replace('http', 'ws')}{path}", open_timeout=20, close_timeout=20, max_size=None)


def test_websockets_of_a_python_worker(start: Callable[..., Running], tmp_path: Path) -> None:
    running = start("dev", "-p", "0", cwd=write(tmp_path)).ready()
    with open_at(running, "/room?x=1") as socket:
        socket.send("hello")
        assert socket.recv(20) == "VERSION hello"
        socket.send("x" * 2_000_000)
        assert socket.recv(20) == "VERSION " + "x" * 2_000_000
        socket.send("raise")
        running.wait_for(r"Error in GET /room\?x=1: ValueError: heard too much")
        running.wait_for(r"entry.py:\d+ in hear")
        socket.send("again")
        assert socket.recv(20) == "VERSION again"
    running.wait_for(re.escape("GET /room?x=1 101 Switching Protocols"))
    with open_at(running, "/app") as socket:
        socket.send("one")
        assert socket.recv(20) == "app one"
    with open_at(running, "/relay") as socket:
        socket.send("passed on")
        assert socket.recv(20) == "VERSION passed on"
    assert httpx.get(f"{running.url}/room").status_code == 426
    with pytest.raises(InvalidStatus, match="404"):
        open_at(running, "/cdn-cgi/nothing")
    assert running.end() == 0


def test_a_reload_breaks_websockets_off_and_the_end_closes_them(start: Callable[..., Running], tmp_path: Path) -> None:
    directory = write(tmp_path)
    running = start("dev", "-p", "0", cwd=directory).ready()
    with open_at(running, "/room") as socket:
        source = directory / "entry.py"
        source.write_text(source.read_text().replace("VERSION", "new"))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(20)
        assert closed.value.rcvd is None  # as for JavaScript
    running.wait_for("Reloaded chat")
    with open_at(running, "/room") as socket, open_at(running, "/app") as app:
        socket.send("hello")
        assert socket.recv(20) == "new hello"
        assert running.end() == 0
        for each in (socket, app):
            with pytest.raises(ConnectionClosed) as closed:
                each.recv(20)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001


def test_who_has_no_websockets_does_not_pay_for_them(start: Callable[..., Running], tmp_path: Path) -> None:
    source = """
        import sys
        from js import Response
        from workers import WorkerEntrypoint

        class Default(WorkerEntrypoint):
            def fetch(self, request):
                return Response.new(" ".join(name for name in sys.modules if "socket" in name and "web" in name))
    """
    running = start("dev", "-p", "0", cwd=write(tmp_path, source), python=sys.executable).ready()
    assert httpx.get(running.url).text == "emulator.server.websocket"
    assert running.end() == 0


JAVASCRIPT = """
    const attempt = (f) => { try { f(); return "ok"; } catch (e) { return e.message; } };
    export default {
      async fetch(request) {
        const [client, server] = Object.values(new WebSocketPair());
        const half = request.url.includes("half");
        const notes = [attempt(() => server.send("x")), server.readyState];
        server.accept(half ? { allowHalfOpen: true } : {});
        server.addEventListener("message", (event) => {
          if (event.data === "close") return server.close(4001, "as you wish");
          if (event.data === "notes") return server.send(JSON.stringify(notes));
          server.send(typeof event.data === "string" ? `heard ${event.data}` : `heard ${event.data.size} bytes`);
        });
        server.addEventListener("close", (event) => {
          notes.push(event.code, event.reason, event.wasClean, server.readyState);
          notes.push(attempt(() => server.close(4002, "again")), attempt(() => server.send("x")), server.readyState);
          console.log(JSON.stringify(notes));
        });
        return new Response(null, { status: 101, webSocket: client, headers: { "sec-websocket-protocol": "b" } });
      },
    };
"""
PYTHON = """
    import json
    from js import WebSocketPair
    from workers import Response, WorkerEntrypoint

    def attempt(f, *arguments):
        try:
            f(*arguments)
        except Exception as error:
            return error.message
        return "ok"

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            client, server = WebSocketPair.new()
            half = "half" in request.url
            notes = [attempt(server.send, "x"), server.readyState]
            server.accept(allowHalfOpen=True) if half else server.accept()

            def hear(event):
                data = event.data
                if data == "close":
                    server.close(4001, "as you wish")
                elif data == "notes":
                    server.send(json.dumps(notes, separators=(",", ":")))
                else:
                    server.send(f"heard {data}" if isinstance(data, str) else f"heard {data.size} bytes")

            def hear_close(event):
                notes.extend([event.code, event.reason, event.wasClean, server.readyState])
                notes.extend([attempt(server.close, 4002, "again"), attempt(server.send, "x"), server.readyState])
                print(json.dumps(notes, separators=(",", ":")))

            server.addEventListener("message", hear)
            server.addEventListener("close", hear_close)
            return Response(None, status=101, web_socket=client, headers={"sec-websocket-protocol": "b"})
"""


def heard_in(running: Running, path: str, *said: str | bytes) -> list[object]:
    """What a client hears that says all of this and closes, and what the worker has printed."""
    heard: list[object] = []
    address = f"{running.url.replace('http', 'ws')}{path}"
    with connect(address, subprotocols=[Subprotocol("a"), Subprotocol("b")], compression=None) as socket:
        heard.append(socket.subprotocol)
        for each in said:
            socket.send(each)
            if each != "close":
                heard.append(socket.recv(DEADLINE_SECONDS))
        if "close" not in said:
            socket.close(3000, "bye")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(DEADLINE_SECONDS)
        heard.append(closed.value.rcvd)
    return [*heard, running.wait_for(r"(\[\"You must call.*\])").group(1)]


@needs_node
@pytest.mark.usefixtures("javascript")
def test_the_same_is_heard_from_javascript_and_from_python(start: Callable[..., Running], tmp_path: Path) -> None:
    date = "2026-04-20"
    config = write_worker(tmp_path, "script", "index.js", JAVASCRIPT, compatibility_date=date)
    javascript = start("dev", "-c", str(config), "-p", "0", "--no-reload", cwd=tmp_path).ready()
    python = start("dev", "-p", "0", "--no-reload", cwd=write(tmp_path, PYTHON, date)).ready()
    for path, said in (
        ("/", ("hello", b"abc", "notes")),
        ("/", ("one", "close")),
        ("/half", ("one",)),
    ):
        assert heard_in(python, path, *said) == heard_in(javascript, path, *said)
