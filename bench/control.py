"""The rows about the control plane, the journal, queues in a NATS server, the recorder and open pages: the emulator
measured against a number.

Each measure gives values by the name of the row.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bench.load import requests_per_second
from bench.measures import Effort, flood_rate, send_rate
from bench.pages import watched
from bench.sides import BenchError, Server, emulator_side, running

_API: Final = "/cdn-cgi/emulator/client/v4/accounts/bench/queues"
_BATCH: Final = 100


def backlog(_: Effort) -> dict[str, float]:
    """The two rows about a million waiting messages, each measured in a process of its own."""
    many = _program("bench.backlog", 1_000_000)
    few = statistics.median(_program("bench.backlog", 10_000)["seconds_per_message"] for _ in range(9))
    return {"backlog-memory": many["bytes_per_message"], "backlog-time": many["seconds_per_message"] / few}


def journal(effort: Effort) -> dict[str, float]:
    """How long a million messages take to recover, and how large the files are while ten million pass through."""
    return _program("bench.journal", 1_000_000, effort.passing)


def nats(effort: Effort) -> dict[str, float]:
    """Queues in a NATS server, to a bare program of nats-py, and with a million waiting messages."""
    return _program("bench.jetstream", effort.passing // 100, effort.passing // 10)


def persistence(effort: Effort) -> dict[str, float]:
    """What `--persist-to` leaves of the rates of `send` and `flood`. The two sides take turns."""
    plain = emulator_side()
    assert plain.keeping is not None
    sides = {plain.name: plain, "persistent": replace(plain, name="persistent", command=plain.keeping)}
    rates: dict[str, tuple[float, float]] = {}
    for name, side in sides.items():
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch, running(side, Path(scratch)) as server:
            rates[name] = (send_rate(server, effort), flood_rate(server, effort))
    (send, flood), (kept_send, kept_flood) = rates[plain.name], rates["persistent"]
    return {"persistent-send": kept_send / send, "persistent-flood": kept_flood / flood}


def recorder(effort: Effort) -> dict[str, float]:
    """What recording leaves of the rates of `ok` and `send`. An emulator that records and one that does not take turns,
    a second each, on one processor, and the load has another one, so that what else the machine does is the same for
    both; each pair is of new emulators."""
    plain = emulator_side()
    unrecorded = replace(plain, name="unrecorded", command=lambda *given: [*plain.command(*given), "--no-record"])
    left: dict[str, list[float]] = {"/ok": [], "/send": []}
    for pair in range(effort.recordings):
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch, ExitStack() as ending:
            sides = (plain, unrecorded) if pair % 2 == 0 else (unrecorded, plain)
            servers = [ending.enter_context(running(side, Path(scratch))) for side in sides]
            ending.enter_context(_apart(*servers))
            for path, ratios in left.items():
                for server in servers:
                    requests_per_second(server.url(path), effort.warm_up_seconds)
                for turn in range(2 * effort.load_seconds):
                    order = servers if turn % 2 == 0 else servers[::-1]
                    rates = {server.side.name: requests_per_second(server.url(path), 1) for server in order}
                    ratios.append(rates[plain.name] / rates[unrecorded.name])
    return {"recorded-ok": statistics.median(left["/ok"]), "recorded-send": statistics.median(left["/send"])}


@contextmanager
def _apart(*servers: Server) -> Iterator[None]:
    """Keep servers on the first processor and the load on the last one, where the system can and there are two."""
    if not hasattr(os, "sched_setaffinity") or len(everywhere := sorted(os.sched_getaffinity(0))) < 2:
        yield
        return
    for server in servers:
        os.sched_setaffinity(server.pid, everywhere[:1])
    os.sched_setaffinity(0, everywhere[-1:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, everywhere)


def rest(effort: Effort) -> dict[str, float]:
    """Messages a second that one client pushes, pulls and acks, each in batches of 100, over one connection."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, running(emulator_side(), Path(scratch)) as server:
        client = _RestClient(server)
        queue = client.call("POST", _API, {"queue_name": "bench-rest"})["queue_id"]
        client.call("POST", f"{_API}/{queue}/consumers", {"type": "http_pull"})
        batch = [{"body": {"number": number}, "content_type": "json"} for number in range(_BATCH)]
        pushed = json.dumps({"messages": batch}).encode()
        count = 0
        started = time.perf_counter()
        while (seconds := time.perf_counter() - started) < effort.load_seconds:
            client.exchange("POST", f"{_API}/{queue}/messages/batch", pushed)
            pulled = client.call("POST", f"{_API}/{queue}/messages/pull", {"batch_size": _BATCH})["messages"]
            acks = [{"lease_id": message["lease_id"]} for message in pulled]
            done = client.call("POST", f"{_API}/{queue}/messages/ack", {"acks": acks})
            if done["ackCount"] != _BATCH:
                raise BenchError(f"of {_BATCH} messages, {done['ackCount']} were acked")
            count += _BATCH
        return {"rest": count / seconds}


class _RestClient:
    """One connection to the REST API."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    def call(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """The result of a call. Raises BenchError when it fails."""
        return json.loads(self.exchange(method, path, json.dumps(body).encode()))["result"]

    def exchange(self, method: str, path: str, body: bytes) -> bytes:
        self._connection.request(method, path, body, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise BenchError(f"{method} {path} was answered with {answer.status}: {content[:200]!r}")
        return content


def _program(module: str, *arguments: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"{module} failed: {done.stderr.strip().splitlines()[-1:]}")
    values: dict[str, float] = json.loads(done.stdout)
    return values


OwnMeasure = Callable[[Effort], dict[str, float]]

OWN_MEASURES: Final[Mapping[str, OwnMeasure]] = {
    "backlog": backlog,
    "rest": rest,
    "persistence": persistence,
    "journal": journal,
    "nats": nats,
    "pages": watched,
    "recorder": recorder,
}
