"""A server that workers of a trial report to: what they were delivered, outside of the process that is killed."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: those who report are killed in the middle of it."""


class Witness:
    """Listens on a free port of this machine. `seen` counts how often each number was reported."""

    def __init__(self) -> None:
        self.seen: Counter[int] = Counter()
        self._changed = threading.Condition()
        witness = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                numbers = json.loads(self.rfile.read(int(self.headers["content-length"])))
                witness.note(numbers)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where workers report: `POST` with a JSON array of numbers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def note(self, numbers: list[int]) -> None:
        """Count numbers that were delivered."""
        with self._changed:
            self.seen.update(numbers)
            self._changed.notify_all()

    def wait(self, timeout: float) -> None:
        """Return when something was reported, or after so many seconds."""
        with self._changed:
            self._changed.wait(timeout)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
