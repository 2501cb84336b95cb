"""How each row is measured. A measure takes a server that runs, and gives one value in the unit of its row.

All sides are measured in the same way, from outside, over loopback. The exception is the rate of messages, where the
worker notes when the first was sent and the last was consumed, so that nobody's polling slows what is measured.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.load import requests_per_second
from bench.sides import BenchError, Server

_TIMEOUT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How long the measures of one run take: seconds of load, how often the short things are repeated, how many
    messages pass through the journal, how often the dashboard is looked at, and how many pairs of emulators show what
    the recorder takes."""

    load_seconds: int
    warm_up_seconds: int
    floods: int
    roundtrips: int
    saves: int
    starts: int
    pairs: int
    passing: int
    pages: int
    recordings: int


FULL: Final = Effort(
    load_seconds=5,
    warm_up_seconds=2,
    floods=20,
    roundtrips=300,
    saves=10,
    starts=3,
    pairs=40,
    passing=10_000_000,
    pages=3,
    recordings=4,
)
QUICK: Final = Effort(
    load_seconds=2,
    warm_up_seconds=1,
    floods=6,
    roundtrips=100,
    saves=3,
    starts=1,
    pairs=10,
    passing=1_000_000,
    pages=1,
    recordings=1,
)


class _Client:
    """One keep-alive connection to a server. It connects again after it was closed."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_TIMEOUT_SECONDS)

    def get(self, path: str) -> bytes:
        """The body of the answer. Raises BenchError when it is not a success, OSError when there is none."""
        status, body = self._exchange(path)
        if status != 200:
            said = " / ".join(line.strip() for line in body.decode(errors="replace").splitlines() if line.strip())
            raise BenchError(f"GET {path} was answered with {status}: {said[:300]}")
        return body

    def poll(self, path: str) -> bytes | None:
        """The body of the answer; None when it is not a success, or there is none."""
        try:
            status, body = self._exchange(path)
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return None
        return body if status == 200 else None

    def close(self) -> None:
        self._connection.close()

    def _exchange(self, path: str) -> tuple[int, bytes]:
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def idle_memory(server: Server, _: Effort) -> float:
    """MB (a million bytes), the sum of PSS over the processes of the server, after one request and two idle seconds."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise BenchError("the memory of a process is only told by Linux")
    client = _Client(server)
    client.get("/ok")
    client.close()
    time.sleep(2)
    return sum(_pss_bytes(process) for process in _processes_of(server.pid)) / 1e6


def _processes_of(leader: int) -> list[Path]:
    """A process and all that it started, directly or not. One that is no child of it any more counts while it is in
    the session that `leader` began."""
    parents: dict[int, int] = {}
    members = {leader}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if os.getsid(int(entry.name)) == leader:
                    members.add(int(entry.name))
    while more := {process for process, parent in parents.items() if parent in members} - members:
        members |= more
    return [Path("/proc") / str(process) for process in sorted(members & parents.keys())]


def _pss_bytes(process: Path) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB$", (process / "smaps_rollup").read_text(), re.MULTILINE)
    return int(found.group(1)) * 1024 if found is not None else 0


def ok_rate(server: Server, effort: Effort) -> float:
    """Requests a second for an answer that takes no work."""
    return _rate(server, "/ok", effort)


def send_rate(server: Server, effort: Effort) -> float:
    """Requests a second that each send one message, while the consumer takes them in batches of 100."""
    rate = _rate(server, "/send", effort)
    _wait_until_quiet(server)
    return rate


def kv_get_rate(server: Server, effort: Effort) -> float:
    """Requests a second that each read a value of 112 bytes, always the same one."""
    client = _Client(server)
    client.get("/kv-put")
    client.close()
    return _rate(server, "/kv-get", effort)


def kv_put_rate(server: Server, effort: Effort) -> float:
    """Requests a second that each write a value of 112 bytes, always to the same key."""
    return _rate(server, "/kv-put", effort)


def d1_select_rate(server: Server, effort: Effort) -> float:
    """Requests a second that each select a row by its key, always the same one."""
    _make_table(server)
    return _rate(server, "/d1-select", effort)


def d1_insert_rate(server: Server, effort: Effort) -> float:
    """Requests a second that each insert a row."""
    _make_table(server)
    return _rate(server, "/d1-insert", effort)


def _make_table(server: Server) -> None:
    client = _Client(server)
    client.get("/d1-make")
    client.close()


def asset_rate(server: Server, effort: Effort) -> float:
    """Requests a second for a file of 10,240 bytes."""
    return _rate(server, "/page.txt", effort)


def small_object_rate(server: Server, effort: Effort) -> float:
    """Requests a second that each read an object of 1,000 bytes, always the same one."""
    return _object_rate(server, 1_000, effort)


def large_object_rate(server: Server, effort: Effort) -> float:
    """Megabytes a second of requests that each read an object of ten million bytes, always the same one."""
    return _object_rate(server, 10_000_000, effort) * 10


def _object_rate(server: Server, size: int, effort: Effort) -> float:
    client = _Client(server)
    client.get(f"/put?bytes={size}")
    client.close()
    return _rate(server, f"/get?bytes={size}", effort)


def _rate(server: Server, path: str, effort: Effort) -> float:
    requests_per_second(server.url(path), effort.warm_up_seconds)
    return requests_per_second(server.url(path), effort.load_seconds)


def _wait_until_quiet(server: Server) -> None:
    """Wait until no message was consumed for two seconds. The consumer waits one second at most for a batch to fill."""
    client = _Client(server)
    acked, since = -1, time.monotonic()
    deadline = since + 2 * _TIMEOUT_SECONDS
    while time.monotonic() - since < 2:
        if time.monotonic() > deadline:
            raise BenchError("the messages of the load were still being consumed a minute later")
        now_acked = _stats(client)["acked"]
        if now_acked != acked:
            acked, since = now_acked, time.monotonic()
        time.sleep(0.2)
    client.close()
    if acked == 0:
        raise BenchError("none of the messages that were sent was consumed")


def flood_rate(server: Server, effort: Effort) -> float:
    """Messages a second, the median of several floods: from the first `sendBatch` of 100 to the last batch consumed. A
    flood is 5,000 messages."""
    client = _Client(server)
    rates = [_flood(client, batches=50) for _ in range(effort.floods + 2)]
    client.close()
    return statistics.median(rates[2:])


def _flood(client: _Client, batches: int) -> float:
    client.get(f"/flood?batches={batches}")
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        stats = _stats(client)
        if stats["acked"] == stats["sent"] == batches * 100:
            return float(stats["acked"] / (stats["last"] - stats["first"]))
        if time.monotonic() > deadline:
            raise BenchError(f"of {stats['sent']} messages, {stats['acked']} were consumed in {_TIMEOUT_SECONDS:g} s")
        time.sleep(0.05)


def _stats(client: _Client) -> dict[str, Any]:
    stats = json.loads(client.get("/stats"))
    assert isinstance(stats, dict)
    return stats


def latency(server: Server, effort: Effort) -> float:
    """Milliseconds, p50, from a `send` to the consumer with `max_batch_timeout` 0.

    `GET /roundtrip` sends a message and answers when the consumer has it; `GET /ok` takes the same way without the
    message. The two alternate on one connection, and the difference of their medians is the message's part. A clock in
    the worker would be simpler, but workerd's stands still while code runs, and counts in milliseconds.
    """
    client = _Client(server)
    with_message, without = [], []
    for repetition in range(effort.roundtrips + 20):
        whole, rest = _milliseconds(client, "/roundtrip"), _milliseconds(client, "/ok")
        if repetition >= 20:
            with_message.append(whole)
            without.append(rest)
    client.close()
    return statistics.median(with_message) - statistics.median(without)


def _milliseconds(client: _Client, path: str) -> float:
    started = time.perf_counter()
    client.get(path)
    return (time.perf_counter() - started) * 1e3


def reload_time(server: Server, effort: Effort) -> float:
    """Milliseconds, p50, from the moment that a changed source file is written to the first answer of the new code.

    One connection asks for the version again a millisecond after each answer.
    """
    client = _Client(server)
    times = []
    for number in range(1, effort.saves + 1):
        source = server.source.read_text()
        changed = re.sub(r'^((?:const )?VERSION) = "\d+"', rf'\1 = "{number}"', source, count=1, flags=re.MULTILINE)
        # Not in step with anybody's timers, and long enough for a reload to be over in all its parts.
        time.sleep(0.5 + 0.037 * (number % 7))
        client.poll("/version")
        server.source.write_text(changed)
        written = time.perf_counter()
        while client.poll("/version") != str(number).encode():
            if time.perf_counter() - written > _TIMEOUT_SECONDS:
                raise BenchError(f"the saved file was not served within {_TIMEOUT_SECONDS:g} seconds")
            time.sleep(0.001)
        times.append((time.perf_counter() - written) * 1e3)
    client.close()
    return statistics.median(times)


SERVER_MEASURES: Final[Mapping[str, Callable[[Server, Effort], float]]] = {
    "memory": idle_memory,
    "ok": ok_rate,
    "send": send_rate,
    "kv-get": kv_get_rate,
    "kv-put": kv_put_rate,
    "d1-select": d1_select_rate,
    "d1-insert": d1_insert_rate,
    "asset": asset_rate,
    "r2-small": small_object_rate,
    "r2-large": large_object_rate,
    "flood": flood_rate,
    "latency": latency,
    "reload": reload_time,
}
"""The measures of a running server, in the order in which they are made: memory first, while it is as it started."""
