"""Load on one URL: many connections, one request at a time on each, as fast as the answers come.

`wrk` does it where it is installed. Otherwise this module does, in a process of its own (`python -m bench.load URL
SECONDS`). It needs more of the processor than wrk does, so its numbers only compare with each other.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import Final, cast
from urllib.parse import urlsplit

import httptools

from bench.sides import BenchError

CONNECTIONS: Final = 32
_GRACE_SECONDS: Final = 30.0


def generator() -> str:
    """What makes the load on this machine, for people."""
    if shutil.which("wrk") is not None:
        return f"wrk, 1 thread, {CONNECTIONS} connections"
    return f"bench/load.py, 1 process, {CONNECTIONS} connections (wrk is not installed)"


def requests_per_second(url: str, seconds: int) -> float:
    """The rate at which `GET url` is answered over `seconds`. Raises BenchError when an answer is not a success."""
    if shutil.which("wrk") is not None:
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", url]
    else:
        command = [sys.executable, "-m", "bench.load", url, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + _GRACE_SECONDS)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    trouble = re.search(r"Non-2xx.*|Socket errors.*", done.stdout)
    if done.returncode or rate is None or trouble is not None or not float(rate.group(1)):
        said = (done.stderr.strip() or done.stdout.strip() or "it does not say why").splitlines()
        reason = said[-1] if trouble is None else trouble.group()
        raise BenchError(f"the load on {url} did not go through: {reason}")
    return float(rate.group(1))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a load has come to: answers, those among them that failed, and connections that the server closed."""

    answers: int
    failures: int
    lost: int
    seconds: float

    def __str__(self) -> str:
        """What wrk would print, as far as `requests_per_second` reads it."""
        lines = []
        if self.failures:
            lines.append(f"Non-2xx or 3xx responses: {self.failures}")
        if self.lost:
            lines.append(f"Socket errors: {self.lost} connections were closed by the server")
        lines.append(f"Requests/sec: {self.answers / self.seconds:.2f}")
        return "\n".join(lines)


class _Client(asyncio.Protocol):
    """One connection, which asks again as soon as it is answered."""

    def __init__(self, request: bytes) -> None:
        self.answers = 0
        self.failures = 0
        self.lost = False
        self._request = request
        self._transport: asyncio.WriteTransport | None = None
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._transport.write(self._request)

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.answers += 1
        self.failures += not 200 <= self._parser.get_status_code() < 300
        if self._transport is not None and not self._transport.is_closing():
            self._parser = httptools.HttpResponseParser(self)
            self._transport.write(self._request)


async def generate(url: str, seconds: float) -> Outcome:
    """Ask for `url` on all connections for `seconds`. Raises OSError when it cannot connect."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    connections = [await loop.create_connection(partial(_Client, request), host, port) for _ in range(CONNECTIONS)]
    await asyncio.sleep(seconds)
    outcome = Outcome(
        answers=sum(client.answers for _, client in connections),
        failures=sum(client.failures for _, client in connections),
        lost=sum(client.lost for _, client in connections),
        seconds=time.perf_counter() - started,
    )
    for transport, _ in connections:
        transport.close()
    # The transports close in the next turn of the loop.
    await asyncio.sleep(0)
    return outcome


if __name__ == "__main__":
    import uvloop

    print(uvloop.run(generate(sys.argv[1], float(sys.argv[2]))))
