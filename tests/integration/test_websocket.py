"""WebSockets of Python workers in the real program."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

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


def write(tmp_path: Path, source: str = WORKER) -> Path:
    """Write a worker into a directory of its own, where nothing else changes, and return that."""
    directory = tmp_path / "chat"
    directory.mkdir()
    (directory / "entry.py").write_text(textwrap.dedent(source))
    settings = {"name": "chat", "main": "entry.py", "compatibility_date": "2026-11-01"}
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
    running = start("dev", "-p", "0", cwd=write(tmp_path, source)).ready()
    assert httpx.get(running.url).text == "emulator.server.websocket"
    assert running.end() == 0
