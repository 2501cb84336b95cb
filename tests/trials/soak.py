"""Runs a session with a Python and a JavaScript worker under steady load, with reloads, and watches its memory."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import httpx

from tests.integration.conftest import Running

SAMPLE_SECONDS: Final = 0.5
RELOAD_SECONDS: Final = 10.0
CLIENTS: Final = 2
GROWTH: Final = 1.1
"""How much more memory the last quarter of a soak may take than the second one: the first is for warming up."""

PYTHON: Final = """
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await self.env.TO_JAVASCRIPT.send({"from": "python", "text": "x" * 200})
        return Response("sent")

    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            message.ack()
"""

JAVASCRIPT: Final = """
export default {
  async fetch(request, env) {
    await env.TO_PYTHON.send({ from: "javascript", text: "x".repeat(200) });
    return new Response("sent");
  },
  async queue(batch) {
    batch.messages.forEach((message) => message.ack());
  },
};
"""


@dataclass
class Report:
    """What a soak found: `samples` of the anonymous memory of the whole process tree, in megabytes, and how many
    `requests` were answered, `failed` and `reloads` made meanwhile."""

    samples: list[float] = field(default_factory=list)
    requests: int = 0
    failed: int = 0
    reloads: int = 0

    @property
    def early(self) -> float:
        """The memory in the second quarter."""
        return median(self.samples[len(self.samples) // 4 : len(self.samples) // 2])

    @property
    def late(self) -> float:
        """The memory in the last quarter."""
        return median(self.samples[len(self.samples) * 3 // 4 :])

    @property
    def is_good(self) -> bool:
        """Whether memory stayed flat and no request failed."""
        return self.late <= self.early * GROWTH and not self.failed

    def __str__(self) -> str:
        return (
            f"{self.requests:,} requests, {self.failed} failed, {self.reloads} reloads; "
            f"memory {self.early:.0f} MB in the second quarter, {self.late:.0f} MB in the last"
        )


def run(directory: Path, seconds: float, *, with_javascript: bool = True) -> Report:
    """Soak for that long, in `directory`."""
    report = Report()
    _write(directory, with_javascript)
    arguments = ["dev", "-p", "0", "--log-level", "error", "-c", "python"]
    running = Running(
        *arguments, *(["-c", "javascript"] if with_javascript else []), cwd=directory, python=sys.executable
    ).ready()
    stopping = threading.Event()
    names = ["py", "js"] if with_javascript else ["py"]
    clients = [
        threading.Thread(target=_load, args=(running.url, name, stopping, report))
        for name in names
        for _ in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    try:
        begun = time.monotonic()
        reloaded = begun
        while time.monotonic() - begun < seconds:
            stopping.wait(SAMPLE_SECONDS)
            report.samples.append(tree_megabytes(running.process.pid))
            if time.monotonic() - reloaded > RELOAD_SECONDS:
                reloaded = time.monotonic()
                report.reloads += 1
                # A reload gives JavaScript a new process. For what one collects to show, the last one stays.
                languages = ("py", "js") if time.monotonic() - begun < seconds / 8 else ("py",)
                for each in (file for language in languages for file in directory.glob(f"*/*.{language}")):
                    each.write_text(each.read_text().rstrip() + "\n" * (1 + report.reloads % 3))
    finally:
        stopping.set()
        for client in clients:
            client.join(30)
        running.end(signal.SIGTERM)
    return report


def tree_megabytes(pid: int) -> float:
    """The anonymous memory of a process and all below it, in megabytes: what they have allocated, without the
    files that they share with other processes, which are counted differently as those come and go."""
    total = 0
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
            waiting += map(int, Path(f"/proc/{each}/task/{each}/children").read_text().split())
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))
    return total / 1000


def _load(url: str, name: str, stopping: threading.Event, report: Report) -> None:
    headers = {"host": f"{name}.localhost"}
    with httpx.Client(timeout=30) as client:
        while not stopping.is_set():
            try:
                answer = client.get(url, headers=headers)
            except httpx.TransportError:
                report.failed += 1
                continue
            report.requests += 1
            report.failed += answer.status_code != 200


def _write(directory: Path, with_javascript: bool) -> None:
    to_javascript = "for-javascript" if with_javascript else "for-python"
    producer = {"binding": "TO_JAVASCRIPT", "queue": to_javascript}
    _write_worker(directory / "python", "py", "entry.py", PYTHON, producer, "for-python")
    if with_javascript:
        producer = {"binding": "TO_PYTHON", "queue": "for-python"}
        _write_worker(directory / "javascript", "js", "index.js", JAVASCRIPT, producer, "for-javascript")


def _write_worker(  # noqa: PLR0917 - what differs between the two workers
    directory: Path, name: str, main: str, code: str, producer: dict[str, str], consumed: str
) -> None:
    directory.mkdir()
    (directory / main).write_text(code)
    configuration = {
        "name": name,
        "main": main,
        "compatibility_date": "2026-04-01",
        "compatibility_flags": ["python_workers"] if main.endswith(".py") else [],
        "queues": {"producers": [producer], "consumers": [{"queue": consumed, "max_batch_timeout": 0}]},
    }
    (directory / "wrangler.jsonc").write_text(json.dumps(configuration))
