"""A client of the Debug Adapter Protocol, which VS Code and other editors speak with debugpy."""

from __future__ import annotations

import json
import queue
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

DEADLINE_SECONDS = 30.0


@contextmanager
def launched() -> Iterator[Client]:
    """A client of an adapter that it has started, as an editor does that launches a program itself."""
    command = [sys.executable, "-m", "debugpy.adapter"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as adapter:
        assert adapter.stdin is not None
        assert adapter.stdout is not None
        client = Client(adapter.stdin, adapter.stdout)
        try:
            yield client
            client.ask("disconnect", terminateDebuggee=True)
            adapter.stdin.close()
            adapter.wait(DEADLINE_SECONDS)
        finally:
            adapter.kill()


@contextmanager
def attached(port: int) -> Iterator[Client]:
    """A client of the adapter that listens on a port of this machine."""
    with (
        socket.create_connection(("127.0.0.1", port)) as connection,
        connection.makefile("wb") as to,
        connection.makefile("rb") as source,
    ):
        client = Client(to, source)
        yield client
        client.ask("disconnect", terminateDebuggee=False)


class Client:
    """What an editor is to debugpy's adapter. `output` is what the debugged program has printed so far."""

    def __init__(self, to: IO[bytes], source: IO[bytes]) -> None:
        self.output = ""
        self._to = to
        self._source = source
        self._sent = 0
        self._unread: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._put_off: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()
        self.ask("initialize", adapterID="debugpy", linesStartAt1=True, columnsStartAt1=True, pathFormat="path")

    def begin(self, breakpoints: Mapping[Path, Sequence[int]], request: str, **arguments: Any) -> None:
        """Launch a program or attach to one, with breakpoints at lines of files, and wait until it runs."""
        number = self.send(request, **arguments)
        self.event("initialized")
        for path, lines in breakpoints.items():
            self.break_at(path, *lines)
        self.ask("configurationDone")
        self._answer(number)

    def break_at(self, path: Path, *lines: int) -> None:
        """Set the breakpoints of a file; they replace those that it had."""
        source = {"path": str(path)}
        answer = self.ask("setBreakpoints", source=source, breakpoints=[{"line": line} for line in lines])
        assert all(each["verified"] for each in answer["breakpoints"]), answer

    def stopped(self) -> Stop:
        """Wait until the program stops at a breakpoint."""
        thread = self.event("stopped")["threadId"]
        return Stop(self, thread, self.ask("stackTrace", threadId=thread)["stackFrames"])

    def event(self, name: str) -> dict[str, Any]:
        """Wait for an event, and return its body."""
        body: dict[str, Any] = self._next(lambda each: each["type"] == "event" and each["event"] == name).get(
            "body", {}
        )
        return body

    def printed(self, pattern: str) -> re.Match[str]:
        """Wait until the program has printed what matches `pattern`, and return the first match."""
        while (match := re.search(pattern, self.output)) is None:
            self._put_off.append(self._receive())
        return match

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a request, and return the body of its answer."""
        return self._answer(self.send(command, **arguments))

    def send(self, command: str, **arguments: Any) -> int:
        """Send a request without waiting for the answer. Returns its number."""
        self._sent += 1
        request = {"seq": self._sent, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(request).encode()
        self._to.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._to.flush()
        return self._sent

    def _answer(self, number: int) -> dict[str, Any]:
        answer = self._next(lambda each: each["type"] == "response" and each["request_seq"] == number)
        assert answer["success"], answer
        body: dict[str, Any] = answer.get("body") or {}
        return body

    def _next(self, is_meant: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for index, each in enumerate(self._put_off):
            if is_meant(each):
                return self._put_off.pop(index)
        while True:
            each = self._receive()
            if is_meant(each):
                return each
            self._put_off.append(each)

    def _receive(self) -> dict[str, Any]:
        try:
            message = self._unread.get(timeout=DEADLINE_SECONDS)
        except queue.Empty:
            message = None
        assert message is not None, (
            f"the debugger says nothing more; it put off {self._put_off}; output:\n{self.output}"
        )
        if message["type"] == "event" and message["event"] == "output" and message["body"]["category"] != "telemetry":
            self.output += message["body"].get("output", "")
        return message

    def _read(self) -> None:
        with suppress(OSError, ValueError):  # the connection has ended, or the file is closed
            while header := self._source.readline():
                self._source.readline()
                self._unread.put(json.loads(self._source.read(int(header.partition(b":")[2]))))
        self._unread.put(None)


class Stop:
    """The program stands still. `line` and `path` are where."""

    def __init__(self, client: Client, thread: int, frames: Sequence[dict[str, Any]]) -> None:
        self._client = client
        self._thread = thread
        self.frames = frames
        self.line: int = frames[0]["line"]
        self.path = Path(frames[0]["source"]["path"])

    def evaluate(self, expression: str) -> str:
        """The value of an expression where the program stands, as the debugger shows it."""
        frame = self.frames[0]["id"]
        result: str = self._client.ask("evaluate", expression=expression, frameId=frame, context="watch")["result"]
        return result

    def go_on(self) -> None:
        """Let the program run on."""
        self._client.ask("continue", threadId=self._thread)

    def step(self) -> Stop:
        """Run the next line, and wait until the program stands still again."""
        self._client.ask("next", threadId=self._thread)
        return self._client.stopped()
