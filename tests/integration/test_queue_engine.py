"""`emulator dev --queue-engine`: sessions that share queues in a NATS server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import ACCOUNT, API, Running, write_worker
from tests.support.copies import run_emulator
from tests.support.nats_server import NatsServer, nats_server

PRODUCER = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            first, last = map(int, request.url.rsplit("/", 1)[1].split("-"))
            await self.env.JOBS.sendBatch([{"body": number} for number in range(first, last)])
            return Response("sent")
"""

CONSUMER = """
    from workers import WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def queue(self, batch, env, ctx):
            print(f"GOT {[message.body for message in batch.messages]} attempt {batch.messages[0].attempts}")
            if any(message.body == "dead" for message in batch.messages):
                raise ConnectionError("no")
"""

ROOT = Path(__file__).parents[2]

Dev = Callable[..., Running]


@pytest.fixture
def nats() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
def producer(tmp_path: Path) -> Path:
    directory = tmp_path / "web"
    write_worker(directory, PRODUCER, name="web", queues={"producers": [{"binding": "JOBS", "queue": "jobs"}]})
    return directory


@pytest.fixture
def consumer(tmp_path: Path) -> Path:
    directory = tmp_path / "jobs"
    consumers = [{"queue": "jobs", "max_batch_timeout": 0, "max_retries": 0, "dead_letter_queue": "jobs-dead"}]
    write_worker(directory, CONSUMER, name="jobs", queues={"consumers": consumers})
    return directory


def got(running: Running) -> list[int]:
    """What a consumer that has ended has printed that it got."""
    found = re.findall(r"GOT \[(.*?)\]", running.output)
    return [int(number) for numbers in found for number in numbers.split(",")]


def queues_command(running: Running, *arguments: str) -> str:
    return run_emulator(Path.cwd(), "queues", *arguments, "--url", running.url).stdout


def test_sessions_are_restarted_one_after_the_other_under_load_and_lose_nothing(
    nats: NatsServer, producer: Path, consumer: Path, dev: Dev, client: httpx.Client
) -> None:
    options = ("--queue-engine", nats.url)
    web = dev(producer, *options)
    assert "Queues are kept in the NATS server at nats://127.0.0.1" in web.output
    consumers = [dev(consumer, *options), dev(consumer, *options)]
    seen: Counter[int] = Counter()
    for round_number in range(4):
        first = 100 * round_number
        client.get(f"{web.url}/{first}-{first + 50}")
        leaving = consumers.pop(0)
        assert leaving.end() == 0
        seen.update(got(leaving))
        client.get(f"{web.url}/{first + 50}-{first + 100}")
        consumers.append(dev(consumer, *options))
    while re.search(r"jobs +[1-9]", queues_command(web, "list")):
        pass
    for each in consumers:
        assert each.end() == 0
        seen.update(got(each))
    assert seen == Counter(range(400))


def test_what_one_session_is_told_acts_in_all(
    nats: NatsServer, producer: Path, consumer: Path, dev: Dev, client: httpx.Client
) -> None:
    environment = {"EMULATOR_QUEUE_ENGINE": nats.url}
    web, jobs = dev(producer, environment=environment), dev(consumer, environment=environment)
    queues_command(web, "pause", "jobs")
    client.get(f"{web.url}/1-2")
    assert re.search(
        r"jobs +1 +.*jobs on \S+ \(1 session\), then jobs-dead, delivery paused", queues_command(jobs, "list")
    )
    queues_command(web, "resume", "jobs")
    jobs.wait_for(re.escape("GOT [1] attempt 1"))
    queues_command(web, "send", "jobs", '"dead"')
    jobs.wait_for("no")
    assert "ConnectionError: no" in queues_command(web, "peek", "jobs-dead")
    assert web.end() == 0
    assert "lost" not in web.output


def test_a_session_waits_for_its_server_and_can_be_stopped_meanwhile(
    start: Callable[..., Running], producer: Path
) -> None:
    web = start("dev", "-p", "0", "--queue-engine", "nats://127.0.0.1:9", cwd=producer)
    web.wait_for("The queue engine at nats://127.0.0.1:9 does not answer; it is tried again until it does")
    assert web.end() == 0


def test_a_send_fails_while_the_server_is_away(
    nats: NatsServer, producer: Path, dev: Dev, client: httpx.Client
) -> None:
    web = dev(producer, "--queue-engine", nats.url)
    nats.kill()
    web.wait_for("is away: sends fail")
    answer = client.get(f"{web.url}/1-2")
    assert answer.status_code == 500
    assert "does not answer (15000)" in answer.text
    nats.start()
    web.wait_for("is back")
    assert client.get(f"{web.url}/1-2").status_code == 200


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--queue-engine", "redis://localhost"), "it must begin with nats:// or tls://"),
        (("--queue-engine", "nats://localhost", "--persist"), "which one?"),
    ],
)
def test_options_that_cannot_be_are_an_error(
    start: Callable[..., Running], producer: Path, arguments: tuple[str, ...], text: str
) -> None:
    web = start("dev", "-p", "0", *arguments, cwd=producer)
    assert web.wait() == 2
    assert text in web.output
    assert "Traceback" not in web.output


def test_a_fleet_consumes_without_a_server_and_replaces_a_process_that_is_killed(
    nats: NatsServer, producer: Path, consumer: Path, start: Callable[..., Running], client: httpx.Client
) -> None:
    web = start("dev", "-p", "0", "--queue-engine", nats.url, cwd=producer).ready()
    fleet = start("consume", "--queue-engine", nats.url, "--processes", "2", cwd=consumer)
    wait_for_consumers(web, 2)
    client.get(f"{web.url}/0-50")
    fleet.wait_for("GOT")
    killed = int(consumers_of(web)[0])
    os.kill(killed, signal.SIGKILL)
    client.get(f"{web.url}/50-100")
    wait_for_consumers(web, 2, without=killed)
    assert fleet.end() == 0
    assert "Ready on" not in fleet.output


def test_a_fleet_that_cannot_run_ends_with_the_reason(
    start: Callable[..., Running], consumer: Path, nats: NatsServer
) -> None:
    assert start("consume", cwd=consumer).wait() == 2
    (consumer / "wrangler.jsonc").write_text("{")
    fleet = start("consume", "--queue-engine", nats.url, "--processes", "2", cwd=consumer)
    assert fleet.wait() == 2
    assert "Error:" in fleet.output


def test_the_example_of_a_fleet_does_all_jobs() -> None:
    command = [sys.executable, "examples/fleet/run.py", "--jobs", "200", "--no-harm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "200 jobs were accepted, 0 are missing, 0 were done once more"
    assert done.returncode == 0


def consumers_of(web: Running) -> list[str]:
    """The processes that consume the queue."""
    time.sleep(0.1)  # while sessions make themselves known
    queues = httpx.get(f"{web.url}{API}/accounts/{ACCOUNT}/queues").json()["result"]
    [told] = [queue.get("emulator", {}).get("consumed_by", ()) for queue in queues if queue["queue_name"] == "jobs"]
    return [found for each in told for found in re.findall(r"process (\d+)", each)]


def wait_for_consumers(web: Running, number: int, without: int = 0) -> None:
    """Wait until so many processes consume the queue, and one that is dead is not among them."""
    deadline = time.monotonic() + 40
    while len(there := consumers_of(web)) != number or str(without) in there:
        assert time.monotonic() < deadline, there
