"""Kills `emulator dev` at random moments, and counts what was lost and what came back.

Clients send numbers. The last digit of a number says what becomes of it: 0 is retried once, 1 fails until it is dead
lettered, 2 goes to a queue that a client pulls from, and all others are acked. The process is killed while it is under
load, while it starts and recovers, while it cleans its journal, and while it reloads; then it is started again on the
same directory. At the end the queues are emptied: every number that was accepted must have been delivered, or be dead
because the kills used up its attempts, and no message whose ack a client was told of may ever come back.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final, Literal

import httpx

from tests.integration.conftest import Running
from tests.trials.witness import Witness

Language = Literal["python", "javascript"]
Moment = Literal["load", "recovery", "cleaning", "reload"]

MOMENTS: Final[tuple[Moment, ...]] = ("load", "recovery", "cleaning", "reload")
BATCH_SIZE: Final = 10
MAX_CONCURRENCY: Final = 2
CLIENTS: Final = 3
DEADLINE_SECONDS: Final = 60.0
PADDING: Final = {"load": 0, "recovery": 0, "reload": 0, "cleaning": 50_000}
"""How many bytes each message has beside its number: large ones make the journal clean itself."""

PYTHON: Final = """
import json

from workers import Response, WorkerEntrypoint, fetch


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        number, padding = request.url.rsplit("/", 1)[1].split("-")
        queue = self.env.PULLED if number.endswith("2") else self.env.JOBS
        await queue.send({"number": int(number), "padding": "x" * int(padding)})
        return Response("sent")

    async def queue(self, batch, env, ctx):
        numbers = [message.body["number"] for message in batch.messages]
        await fetch(self.env.WITNESS, method="POST", body=json.dumps(numbers))
        for message in batch.messages:
            number = message.body["number"]
            if number % 10 == 1 or (number % 10 == 0 and message.attempts == 1):
                message.retry()
            else:
                message.ack()
"""

JAVASCRIPT: Final = """
export default {
  async fetch(request, env) {
    const [number, padding] = request.url.split("/").pop().split("-");
    const queue = number.endsWith("2") ? env.PULLED : env.JOBS;
    await queue.send({ number: Number(number), padding: "x".repeat(Number(padding)) });
    return new Response("sent");
  },
  async queue(batch, env) {
    const numbers = batch.messages.map((message) => message.body.number);
    await fetch(env.WITNESS, { method: "POST", body: JSON.stringify(numbers) });
    for (const message of batch.messages) {
      const digit = message.body.number % 10;
      if (digit === 1 || (digit === 0 && message.attempts === 1)) {
        message.retry();
      } else {
        message.ack();
      }
    }
  },
};
"""


@dataclass
class Report:
    """What a trial found.

    `accepted` counts the sends that were answered, and `lost` are the numbers of those that were never delivered and
    are not dead.
    `repeated` counts deliveries beyond those that the worker asked for, and `allowed` how many of them at-least-once
    delivery allows: what was in flight at each kill. `returned` are the ids of messages that came back after a client
    had been told that its ack was taken.
    """

    rounds: int = 0
    accepted: int = 0
    dead: int = 0
    pulled: int = 0
    lost: list[int] = field(default_factory=list)
    repeated: int = 0
    allowed: int = 0
    returned: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost and nothing came back that should not."""
        return not self.lost and not self.returned and self.repeated <= self.allowed

    def __str__(self) -> str:
        return (
            f"{self.rounds} kills: {self.accepted:,} accepted, {len(self.lost)} lost, {self.dead:,} dead-lettered, "
            f"{self.pulled:,} pulled, {self.repeated} delivered again ({self.allowed} allowed), "
            f"{len(self.returned)} came back after their ack"
        )


class Trial:
    """One worker, killed again and again, in `directory`. Everything random follows from `seed`."""

    def __init__(self, directory: Path, language: Language, seed: int) -> None:
        self.directory = directory
        self.language = language
        self.random = Random(seed)
        self.witness = Witness()
        self.report = Report()
        self._numbers = count()
        self._accepted: list[int] = []
        self._acked: set[str] = set()
        self._pulled: set[int] = set()
        self._lock = threading.Lock()
        self._answers = threading.Semaphore(0)
        self._write()

    def round(self, moment: Moment) -> None:
        """Run the program, kill it at a random instant of `moment`, and note what clients were told."""
        self.report.rounds += 1
        self.report.allowed += BATCH_SIZE * MAX_CONCURRENCY
        if moment == "recovery":
            running = self._start()
            self._let_pass(0.4)
            running.process.kill()
            running.wait()
            return
        running = self._start().ready()
        with self._load(running.url, PADDING[moment]):
            self._until_accepted(self.random.randrange(1, 120))
            if moment == "reload":
                self._touch()
                self._let_pass(0.15)
            running.process.kill()
        running.wait()

    def finish(self) -> Report:
        """Empty the queues, and compare what was accepted with what was delivered."""
        running = self._start().ready()
        try:
            with httpx.Client(base_url=f"{running.url}/cdn-cgi/emulator/client/v4", timeout=30) as client:
                queues = _queue_ids(client)
                deadline = time.monotonic() + DEADLINE_SECONDS
                while _backlog(client, queues["jobs"]) and time.monotonic() < deadline:
                    self.witness.wait(0.2)
                while self._pull_once(client, queues["pulled"]):
                    pass
                dead = self._pull_all(client, queues["dead"])
        finally:
            running.end(signal.SIGTERM)
            self.witness.close()
        return self._compare(dead)

    def _compare(self, dead: set[int]) -> Report:
        report, seen = self.report, self.witness.seen
        report.accepted = len(self._accepted)
        report.dead, report.pulled = len(dead), len(self._pulled)
        for number in self._accepted:
            digit = number % 10
            done = digit != 1 and (number in self._pulled if digit == 2 else bool(seen[number]))
            if not done and number not in dead:
                report.lost.append(number)
        wanted = {number: 2 if number % 10 in (0, 1) else 1 for number in seen}
        report.repeated = sum(max(0, times - wanted[number]) for number, times in seen.items())
        return report

    def _write(self) -> None:
        main, code = ("entry.py", PYTHON) if self.language == "python" else ("index.js", JAVASCRIPT)
        (self.directory / main).write_text(code)
        jobs = {"queue": "jobs", "max_batch_size": BATCH_SIZE, "max_batch_timeout": 0, "max_retries": 1}
        jobs |= {"dead_letter_queue": "dead", "max_concurrency": MAX_CONCURRENCY}
        configuration = {
            "name": "trial",
            "main": main,
            "compatibility_date": "2026-04-01",
            "compatibility_flags": ["python_workers"] if self.language == "python" else [],
            "vars": {"WITNESS": self.witness.url},
            "queues": {
                "producers": [{"binding": "JOBS", "queue": "jobs"}, {"binding": "PULLED", "queue": "pulled"}],
                "consumers": [
                    jobs,
                    {"queue": "pulled", "type": "http_pull", "visibility_timeout_ms": 500, "max_retries": 100},
                    {"queue": "dead", "type": "http_pull"},
                ],
            },
        }
        (self.directory / "wrangler.jsonc").write_text(json.dumps(configuration))

    def _touch(self) -> None:
        """Save the worker's file, so that it is reloaded."""
        file = next(self.directory.glob("entry.py" if self.language == "python" else "index.js"))
        file.write_text(file.read_text() + "\n")

    def _start(self) -> Running:
        arguments = ("dev", "-p", "0", "--persist-to", "state", "--log-level", "error")
        return Running(*arguments, cwd=self.directory, python=sys.executable)

    @contextmanager
    def _load(self, url: str, padding: int) -> Iterator[None]:
        """Clients that send and pull until the server is gone."""
        threads = [threading.Thread(target=self._send, args=(url, padding)) for _ in range(CLIENTS)]
        threads.append(threading.Thread(target=self._pull, args=(url,)))
        for thread in threads:
            thread.start()
        yield
        for thread in threads:
            thread.join(30)

    def _until_accepted(self, more: int) -> None:
        for _ in range(more):
            assert self._answers.acquire(timeout=DEADLINE_SECONDS), "the emulator accepts nothing"

    def _let_pass(self, most_seconds: float) -> None:
        """Choose an instant. Nothing is waited for: when the program is killed is what is tried."""
        threading.Event().wait(self.random.uniform(0.0, most_seconds))

    def _send(self, url: str, padding: int) -> None:
        with httpx.Client(timeout=30) as client:
            while True:
                number = next(self._numbers)
                try:
                    status = client.get(f"{url}/{number}-{padding}").status_code
                except httpx.TransportError:
                    return
                if status == 200:
                    self._accepted.append(number)
                    self._answers.release()

    def _pull(self, url: str) -> None:
        try:
            with httpx.Client(base_url=f"{url}/cdn-cgi/emulator/client/v4", timeout=30) as client:
                queue = _queue_ids(client)["pulled"]
                while True:
                    self._pull_once(client, queue)
        except httpx.TransportError:
            return

    def _pull_once(self, client: httpx.Client, queue: str) -> int:
        """Pull and ack a batch. Returns how many messages it had."""
        path = f"/accounts/any/queues/{queue}/messages"
        messages = client.post(f"{path}/pull", json={"batch_size": 20}).json()["result"]["messages"]
        with self._lock:
            self.report.returned += [message["id"] for message in messages if message["id"] in self._acked]
            # Before the ack, which may be taken although the process is killed before it says so.
            self._pulled |= {_number(message) for message in messages}
        acks = [{"lease_id": message["lease_id"]} for message in messages]
        if acks and client.post(f"{path}/ack", json={"acks": acks}).status_code == 200:
            with self._lock:
                self._acked |= {message["id"] for message in messages}
        return len(messages)

    def _pull_all(self, client: httpx.Client, queue: str) -> set[int]:
        """The numbers of all messages in a queue, which is empty afterwards."""
        path = f"/accounts/any/queues/{queue}/messages"
        numbers: set[int] = set()
        while messages := client.post(f"{path}/pull", json={"batch_size": 100}).json()["result"]["messages"]:
            numbers |= {_number(message) for message in messages}
            client.post(f"{path}/ack", json={"acks": [{"lease_id": message["lease_id"]} for message in messages]})
        return numbers


def _queue_ids(client: httpx.Client) -> dict[str, str]:
    result = client.get("/accounts/any/queues").json()["result"]
    return {queue["queue_name"]: queue["queue_id"] for queue in result}


def _backlog(client: httpx.Client, queue: str) -> int:
    return int(client.get(f"/accounts/any/queues/{queue}/metrics").json()["result"]["backlog_count"])


def _number(message: dict[str, Any]) -> int:
    from base64 import b64decode

    return int(json.loads(b64decode(message["body"]))["number"])


def run(directory: Path, language: Language, rounds: int, seed: int) -> Report:
    """A whole trial of `rounds` kills, at moments that follow from `seed`."""
    trial = Trial(directory, language, seed)
    for number in range(rounds):
        trial.round(MOMENTS[number % len(MOMENTS)])
    return trial.finish()
