"""A client of the Chrome DevTools Protocol, which DevTools and VS Code speak with JavaScript workers."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from websockets.sync.client import ClientConnection, connect

from emulator.hosts.workerd.sourcemap import SourceMap

DEADLINE_SECONDS = 20.0


@contextmanager
def debugger(address: str) -> Iterator[Debugger]:
    """A debugger of the worker at `address`, in which everything that it needs is on."""
    with connect(address, max_size=None, compression=None, close_timeout=1) as connection:
        made = Debugger(connection)
        made.ask("Runtime.enable")
        made.ask("Debugger.enable")
        yield made


class Debugger:
    """What a debugger knows of a worker. `scripts` are those that were parsed, by their ids."""

    def __init__(self, connection: ClientConnection) -> None:
        self.scripts: dict[str, dict[str, Any]] = {}
        self.connection = connection
        self._numbers = itertools.count(1)
        self._put_off: list[dict[str, Any]] = []

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and return its result."""
        number = self.send(method, **parameters)
        answer = self._next(lambda each: each.get("id") == number)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def send(self, method: str, **parameters: Any) -> int:
        """Send a command without waiting for its answer. Returns its number."""
        number = next(self._numbers)
        self.connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        return number

    def event(self, method: str) -> dict[str, Any]:
        """Wait for an event, and return what it says."""
        parameters: dict[str, Any] = self._next(lambda each: each.get("method") == method)["params"]
        return parameters

    def find(self, file: Path, line: int) -> tuple[str, int]:
        """The script and its line, counted from 0, that a line of a file has become, by the script's source map."""
        while True:
            for script in self.scripts.values():
                scheme, _, content = script["sourceMapURL"].partition(":application/json;base64,")
                if scheme != "data":
                    continue
                encoded = base64.b64decode(content)
                described = json.loads(encoded)
                assert all(each.startswith("file:///") for each in described["sources"])
                described["sources"] = [unquote(urlsplit(each).path) for each in described["sources"]]
                places = SourceMap(json.dumps(described).encode(), Path("/"))
                for number in range(1, script["endLine"] + 1):
                    if (place := places.locate(number, 400)) is not None and place[:2] == (file, line):
                        return script["url"], number - 1
            self._take(self._receive())

    def break_at(self, file: Path, line: int) -> str:
        """Set a breakpoint at a line of a file. Returns its id."""
        url, number = self.find(file, line)
        identifier: str = self.ask("Debugger.setBreakpointByUrl", url=url, lineNumber=number)["breakpointId"]
        return identifier

    def paused(self) -> dict[str, Any]:
        """Wait until the worker stops, and return its innermost frame."""
        frame: dict[str, Any] = self.event("Debugger.paused")["callFrames"][0]
        return frame

    def value(self, frame: dict[str, Any], expression: str) -> Any:
        """The value of an expression in a frame of a worker that has stopped."""
        asked = {"callFrameId": frame["callFrameId"], "expression": expression, "returnByValue": True}
        return self.ask("Debugger.evaluateOnCallFrame", **asked)["result"]["value"]

    def _next(self, is_meant: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for index, each in enumerate(self._put_off):
            if is_meant(each):
                return self._put_off.pop(index)
        while True:
            each = self._receive()
            if is_meant(each):
                return each
            self._take(each)

    def _take(self, message: dict[str, Any]) -> None:
        self._put_off.append(message)

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.connection.recv(DEADLINE_SECONDS))
        if message.get("method") == "Debugger.scriptParsed":
            self.scripts[message["params"]["scriptId"]] = message["params"]
        elif message.get("method") == "Runtime.executionContextsCleared":
            self.scripts.clear()
            self._put_off = [each for each in self._put_off if each.get("method") != "Runtime.executionContextCreated"]
        return message
