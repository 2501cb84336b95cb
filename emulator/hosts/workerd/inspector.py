"""Lets debuggers look into JavaScript workers: one port for all, in place of one for each process of workerd.

A debugger speaks the Chrome DevTools Protocol with a worker. Behind it the worker's process changes with each reload:
the new one is told what the debugger has asked for in general, such as breakpoints, and the debugger what a browser
tells it when a page is loaded again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from socket import socket
from time import monotonic
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import WebSocketException
from websockets.http11 import Request, Response

REPLACED: Final = 4001
"""The code with which a debugger's connection ends when another one takes its place."""

_PATH: Final = "/worker"
"""Where workerd's inspector has the worker, as its configuration names it."""

_OWN_ID: Final = 2_000_000_000
"""From here on, the numbers of commands are the emulator's own."""

_LOST: Final = {"code": -32000, "message": "The worker was reloaded meanwhile"}
_BREAKPOINT: Final = "Debugger.setBreakpointByUrl"
_LASTING: Final = re.compile(
    r"\w+\.enable|Debugger\.set(?!Breakpoint|ScriptSource|VariableValue|ReturnValue)\w+|Debugger\.setBreakpointsActive"
    r"|Runtime\.(?:addBinding|set\w+)|HeapProfiler\.startTrackingHeapObjects"
)
"""The commands whose effect lasts, so that a new process is told them, too."""

_PAGES: Final = re.compile(
    r"devtools://.*|https://devtools\.devprod\.cloudflare\.dev|https://([a-z0-9]+\.)?cloudflare-devtools\.pages\.dev"
)
"""The pages that are debuggers. Other pages are refused, unless they are this machine's own."""


class Inspector:
    """What debuggers reach of a session's JavaScript workers."""

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}
        self._servers: list[Server] = []

    def target(self, worker: str) -> Target:
        """A worker as debuggers see it."""
        return self._targets.setdefault(worker, Target(worker))

    async def start(self, sockets: Sequence[socket]) -> None:
        """Let debuggers in on `sockets`, which are closed with `close`."""
        for each in sockets:
            self._servers.append(
                await serve(
                    self._debug,
                    sock=each,
                    process_request=self._receive,
                    compression=None,
                    max_size=None,
                    ping_interval=None,
                )
            )

    async def close(self) -> None:
        """End all debugging; what a debugger holds runs on."""
        for target in self._targets.values():
            await target.leave()
        for server in self._servers:
            server.close()

    async def _debug(self, debugger: ServerConnection) -> None:
        assert debugger.request is not None
        await self._targets[_worker(debugger.request)].follow(debugger)

    def _receive(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a request; None for a WebSocket that is accepted."""
        host = request.headers.get("host", "")
        if not _is_here(host):
            return _answer(
                connection, HTTPStatus.FORBIDDEN, "The inspector is asked for by this machine's own names only.\n"
            )
        origin = request.headers.get("origin", "")
        if origin and not _PAGES.fullmatch(origin) and not _is_here(urlsplit(origin).netloc):
            return _answer(connection, HTTPStatus.FORBIDDEN, f"Pages of {origin} cannot debug workers.\n")
        path = urlsplit(request.path).path.rstrip("/")
        if path in {"/json", "/json/list"}:
            return _answer(connection, HTTPStatus.OK, [target.described(host) for target in self._targets.values()])
        if path == "/json/version":
            return _answer(connection, HTTPStatus.OK, {"Browser": "workers-emulator", "Protocol-Version": "1.3"})
        if _worker(request) not in self._targets:
            names = ", ".join(self._targets)
            return _answer(
                connection, HTTPStatus.NOT_FOUND, f"There is no JavaScript worker of that name, but: {names}\n"
            )
        if request.headers.get("upgrade", "").lower() != "websocket":
            return _answer(connection, HTTPStatus.UPGRADE_REQUIRED, "A debugger connects here with a WebSocket.\n")
        return None


class Target:
    """A worker, the process that runs it, and its debugger; a later debugger takes the place of an earlier one."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self._port: int | None = None
        self._changed = asyncio.Event()
        self._debugger: _Debugger | None = None
        self._turn = asyncio.Lock()
        self._held = 0.0
        self._held_since: float | None = None

    @property
    def is_held(self) -> bool:
        """Whether a debugger has stopped the worker at a breakpoint, say."""
        return self._held_since is not None

    def held_seconds(self) -> float:
        """For how long, all together, debuggers have stopped the worker."""
        return self._held + (0.0 if self._held_since is None else monotonic() - self._held_since)

    def hold(self, *, held: bool) -> None:
        """Take note that the worker is stopped, or runs again."""
        self._held, self._held_since = self.held_seconds(), monotonic() if held else None

    def runs_at(self, port: int | None) -> None:
        """From now on the worker's process has its inspector at this port; None if there is no process."""
        self._port = port
        self._changed.set()
        self._changed = asyncio.Event()

    def described(self, host: str) -> Mapping[str, str]:
        """What a list of targets says of it to somebody who has reached the inspector as `host`."""
        at = f"{host}/{quote(self.worker)}"
        page = f"devtools://devtools/bundled/js_app.html?experiments=true&v8only=true&ws={at}"
        return {
            "id": self.worker,
            "title": f"{self.worker} (workers-emulator)",
            "type": "node",
            "description": f"the worker {self.worker}",
            "url": "https://workers.dev",
            "faviconUrl": "https://workers.cloudflare.com/favicon.ico",
            "webSocketDebuggerUrl": f"ws://{at}",
            "devtoolsFrontendUrl": page,
            "devtoolsFrontendUrlCompat": page,
        }

    async def follow(self, connection: ServerConnection) -> None:
        """Connect a debugger with the worker, until it goes away."""
        await self.leave()
        async with self._turn:
            self._debugger = _Debugger(self, connection)
            following = asyncio.create_task(self._follow(self._debugger))
            try:
                await self._debugger.listen()
            finally:
                self._debugger = None
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following

    async def leave(self) -> None:
        """End the connection with the debugger, if there is one."""
        if self._debugger is not None:
            await self._debugger.connection.close(REPLACED, "another debugger has taken over, or the emulator ends")

    async def _follow(self, debugger: _Debugger) -> None:
        """Connect a debugger with one process after the other."""
        while True:
            port, changed = self._port, self._changed
            if port is not None:
                talking = asyncio.create_task(debugger.talk(port))
                waiting = asyncio.create_task(changed.wait())
                try:
                    await asyncio.wait((talking, waiting), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    talking.cancel()
                    waiting.cancel()
                    with suppress(asyncio.CancelledError):
                        await talking
                    self.hold(held=False)
            await changed.wait()


class _Debugger:
    """A debugger's connection, and what it has asked for."""

    def __init__(self, target: Target, connection: ServerConnection) -> None:
        self.connection = connection
        self._target = target
        self._process: ClientConnection | None = None
        self._lasting: dict[str, dict[str, Any]] = {}
        """The commands whose effect lasts, by what a later one of the same kind replaces."""
        self._asked: dict[int, dict[str, Any]] = {}
        """The commands that are not answered yet."""
        self._waiting: list[str] = []
        """Commands that came while there was no process."""
        self._has_begun = False
        self._is_paused = False
        self._own = _OWN_ID

    async def listen(self) -> None:
        """Take the debugger's commands until it goes away."""
        with suppress(WebSocketException):
            async for text in self.connection:
                command = _read(text)
                if command is None or not isinstance(command.get("id"), int):
                    continue
                self._asked[command["id"]] = command
                self._keep(command)
                if self._process is None:
                    self._waiting.append(str(text))
                else:
                    with suppress(WebSocketException):
                        await self._process.send(text)

    async def talk(self, port: int) -> None:
        """Be the debugger of the process with its inspector at this port, until that ends or this is cancelled."""
        with suppress(OSError, WebSocketException):
            address = f"ws://127.0.0.1:{port}{_PATH}"
            async with connect(
                address, compression=None, max_size=None, ping_interval=None, close_timeout=1
            ) as process:
                try:
                    await self._begin(process)
                    async for text in process:
                        await self._tell(str(text))
                finally:
                    self._process = None
                    await self._let_go(process)

    async def _begin(self, process: ClientConnection) -> None:
        """Tell a process what the debugger has asked for so far, and the debugger that everything begins anew."""
        if self._has_begun:
            unsent = {command["id"] for command in map(_read, self._waiting) if command is not None}
            lost = [number for number in self._asked if number not in unsent]
            for number in lost:
                await self._send({"id": number, "error": _LOST})
                del self._asked[number]
            if self._is_paused:
                self._is_paused = False
                await self._send({"method": "Debugger.resumed", "params": {}})
            await self._send({"method": "Runtime.executionContextsCleared", "params": {}})
            for command in list(self._lasting.values()):
                if command["id"] not in unsent:
                    self._own += 1
                    await process.send(json.dumps({**command, "id": self._own}))
        self._has_begun = True
        while self._waiting:
            await process.send(self._waiting.pop(0))
        self._process = process

    async def _let_go(self, process: ClientConnection) -> None:
        """Let a process run on that the debugger has stopped."""
        with suppress(WebSocketException):
            await process.send(json.dumps({"id": _OWN_ID, "method": "Debugger.disable"}))

    async def _tell(self, text: str) -> None:
        """Pass on what a process says."""
        message = _read(text)
        if message is None:
            return
        number = message.get("id")
        if isinstance(number, int):
            if number >= _OWN_ID:
                return
            command = self._asked.pop(number, None)
            if command is not None and command.get("method") == _BREAKPOINT:
                self._name_breakpoint(command, message)
        elif message.get("method") in {"Debugger.paused", "Debugger.resumed"}:
            self._is_paused = message["method"] == "Debugger.paused"
            self._target.hold(held=self._is_paused)
        with suppress(WebSocketException):
            await self.connection.send(text)

    async def _send(self, message: Mapping[str, Any]) -> None:
        with suppress(WebSocketException):
            await self.connection.send(json.dumps(message))

    def _keep(self, command: dict[str, Any]) -> None:
        """Remember a command whose effect lasts, or forget what one takes back."""
        method, parameters = str(command.get("method")), command.get("params") or {}
        domain, _, action = method.partition(".")
        if action == "disable":
            self._lasting.pop(f"{domain}.enable", None)
        elif method == "Debugger.removeBreakpoint":
            self._lasting.pop(f"{_BREAKPOINT} {parameters.get('breakpointId')}", None)
        elif method == _BREAKPOINT:
            self._lasting[f"{_BREAKPOINT} of {command['id']}"] = command
        elif _LASTING.fullmatch(method):
            key = f"{method} {parameters.get('name')}" if action == "addBinding" else method
            self._lasting.pop(key, None)
            self._lasting[key] = command

    def _name_breakpoint(self, command: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Remember a breakpoint by the id that it was given, or forget it if it was refused."""
        kept = self._lasting.pop(f"{_BREAKPOINT} of {command['id']}", None)
        identifier = (answer.get("result") or {}).get("breakpointId")
        if kept is not None and identifier is not None:
            self._lasting[f"{_BREAKPOINT} {identifier}"] = kept


def _read(text: str | bytes) -> dict[str, Any] | None:
    """A message of the protocol; None if it is not one."""
    try:
        message = json.loads(text)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _worker(request: Request) -> str:
    return unquote(urlsplit(request.path).path[1:])


def _is_here(netloc: str) -> bool:
    """Whether a host, with or without a port, is an address or a name that no foreign page can have."""
    name = urlsplit(f"//{netloc}").hostname or ""
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _answer(connection: ServerConnection, status: HTTPStatus, body: object) -> Response:
    if isinstance(body, str):
        return connection.respond(status, body)
    content = json.dumps(body, indent=2).encode()
    headers = Headers(
        [
            ("Content-Type", "application/json; charset=UTF-8"),
            ("Content-Length", str(len(content))),
            ("Connection", "close"),
        ]
    )
    return Response(status, status.phrase, headers, content)
