"""`--persist-to` on the real program: stopped, killed, on a full disk, and two on one directory."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.integration.conftest import Running, write_worker

WORKER = """
    import os
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            path = request.url.split("/", 3)[3]
            if path.startswith("large"):
                await self.env.JOBS.send("x" * 60_000)
            else:
                await self.env.JOBS.send(int(path))
            return Response("sent")

        async def queue(self, batch, env, ctx):
            seen = "".join(f"{message.body}\\n" for message in batch.messages)
            file = os.open(self.env.SEEN, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(file, seen.encode())
            os.close(file)
            print(f"GOT {len(batch.messages)}")
            if self.env.FAIL:
                raise ConnectionError("not now")
"""

BATCH_SIZE = 10
ROUNDS = 10
CLIENTS = 4

Dev = Callable[..., Running]


def write(directory: Path, *, fail: bool = False, **consumer: object) -> Path:
    """A worker that sends the number in the path, and notes what it is delivered. Returns the file of the notes."""
    seen = directory / "seen"
    settings = {"queue": "jobs", "max_batch_size": BATCH_SIZE, "max_batch_timeout": 0, "max_concurrency": 1, **consumer}
    write_worker(
        directory,
        WORKER,
        queues={"producers": [{"binding": "JOBS", "queue": "jobs"}], "consumers": [settings]},
        vars={"SEEN": str(seen), "FAIL": fail},
    )
    return seen


def send(running: Running, client: httpx.Client, *paths: object) -> list[int]:
    return [client.get(f"{running.url}/{path}").status_code for path in paths]


def queues(running: Running, client: httpx.Client) -> dict[str, dict[str, Any]]:
    answer = client.get(f"{running.url}/cdn-cgi/emulator/client/v4/accounts/any/queues").json()
    return {queue["queue_name"]: queue for queue in answer["result"]}


def backlog(running: Running, client: httpx.Client, name: str = "jobs") -> int:
    identifier = queues(running, client)[name]["queue_id"]
    url = f"{running.url}/cdn-cgi/emulator/client/v4/accounts/any/queues/{identifier}/metrics"
    return int(client.get(url).json()["result"]["backlog_count"])


def test_messages_queues_and_settings_survive_a_stop(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    write(tmp_path, max_batch_timeout=60)
    running = dev(tmp_path, "--persist-to", "state")
    assert send(running, client, 1, 2, 3) == [200] * 3
    api = f"{running.url}/cdn-cgi/emulator/client/v4/accounts/any/queues"
    client.post(api, json={"queue_name": "made-by-rest", "settings": {"delivery_delay": 7}})
    before = queues(running, client)
    assert running.end() == 0

    running = dev(tmp_path, "--persist-to", "state")

    assert "Messages are kept in state; 3 messages were recovered" in running.output
    assert backlog(running, client) == 3
    after = queues(running, client)
    assert after == before
    assert after["made-by-rest"]["settings"] == {
        "delivery_delay": 7,
        "delivery_paused": False,
        "message_retention_period": 345_600,
    }


@pytest.mark.parametrize("death", ["os._exit(7)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_message_whose_handler_kills_the_process_ends_in_the_dead_letter_queue(
    tmp_path: Path, start: Dev, dev: Dev, client: httpx.Client, death: str
) -> None:
    code = f"""
        import os, signal
        from workers import Response

        async def on_fetch(request, env):
            await env.JOBS.send(request.url.rsplit("/", 1)[1])
            return Response("sent")

        def on_queue(batch):
            print("GOT", [message.body for message in batch.messages], [message.attempts for message in batch.messages])
            if batch.messages[0].body == "poison":
                {death}
    """
    consumer = {"queue": "jobs", "max_batch_timeout": 0, "max_retries": 2, "dead_letter_queue": "dlq"}
    write_worker(tmp_path, code, queues={"producers": [{"binding": "JOBS", "queue": "jobs"}], "consumers": [consumer]})
    running = dev(tmp_path, "--persist-to", "state")
    assert send(running, client, "poison") == [200]
    assert running.wait() != 0
    for _ in range(2):
        assert start("dev", "-p", "0", "--persist-to", "state", cwd=tmp_path).wait() != 0

    running = dev(tmp_path, "--persist-to", "state")
    assert send(running, client, "fine") == [200]
    running.wait_for(r"GOT \['fine'\] \[1\]")
    assert backlog(running, client, "dlq") == 1
    warning = (
        r"Warning: jobs moved 1 message \(\w{8}\) to dlq after 3 attempts: the emulator ended while the handler ran"
    )
    assert len(re.findall(warning, running.output)) == 1
    assert "poison" not in running.output
    assert running.end() == 0


def test_a_consumer_that_rest_has_changed_stays_until_the_configuration_says_otherwise(
    tmp_path: Path, dev: Dev, client: httpx.Client
) -> None:
    def batch_size(running: Running) -> object:
        [consumer] = queues(running, client)["jobs"]["consumers"]
        return consumer["settings"]["batch_size"]

    write(tmp_path, max_batch_timeout=60)
    running = dev(tmp_path, "--persist-to", "state")
    queue = queues(running, client)["jobs"]
    [consumer] = queue["consumers"]
    url = f"{running.url}/cdn-cgi/emulator/client/v4/accounts/any/queues/{queue['queue_id']}/consumers"
    changed = {"type": "worker", "script_name": "shop", "settings": {"batch_size": 77}}
    assert client.put(f"{url}/{consumer['consumer_id']}", json=changed).status_code == 200
    running.end(signal.SIGKILL)

    running = dev(tmp_path, "--persist-to", "state")
    assert batch_size(running) == 77
    running.end()

    write(tmp_path, max_batch_timeout=30)
    running = dev(tmp_path, "--persist-to", "state")
    assert batch_size(running) == BATCH_SIZE


def test_a_queue_whose_consumer_is_gone_from_the_configuration_keeps_its_messages(
    tmp_path: Path, dev: Dev, client: httpx.Client
) -> None:
    write(tmp_path, max_batch_timeout=60)
    running = dev(tmp_path, "--persist-to", "state")
    send(running, client, 1)
    running.end()

    write_worker(tmp_path, WORKER, vars={"SEEN": "", "FAIL": False})
    running = dev(tmp_path, "--persist-to", "state")

    assert queues(running, client)["jobs"]["consumers"] == []
    assert backlog(running, client) == 1


class Load:
    """Clients that send numbers, each of its own, until the server is gone. `sent` are those that were answered."""

    def __init__(self, numbers: count[int]) -> None:
        self.sent: list[int] = []
        self._numbers = numbers
        self._answered = threading.Semaphore(0)

    def run(self, url: str, answers: int, kill: Callable[[], object]) -> None:
        """Send until `answers` have come, then `kill`, and wait for the clients to notice."""
        threads = [threading.Thread(target=self._send, args=(url,)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for _ in range(answers):
            assert self._answered.acquire(timeout=20)
        kill()
        for thread in threads:
            thread.join(20)

    def _send(self, url: str) -> None:
        with httpx.Client(timeout=20) as client:
            while True:
                number = next(self._numbers)
                try:
                    status = client.get(f"{url}/{number}").status_code
                except httpx.TransportError:
                    return
                if status == 200:
                    self.sent.append(number)
                    self._answered.release()


@pytest.mark.parametrize("fail", [False, True], ids=["acked", "dead-lettered"])
def test_kill_9_at_any_moment_loses_nothing_and_repeats_only_what_was_in_flight(
    tmp_path: Path, dev: Dev, client: httpx.Client, fail: bool
) -> None:
    # Each kill is a failed attempt of what is in flight. With no retries, that is enough to be dead.
    seen = write(tmp_path, fail=fail, max_retries=0 if fail else 100, dead_letter_queue="dlq")
    random = Random(7)
    load = Load(count())
    rounds = ROUNDS if not fail else ROUNDS // 2
    for _ in range(rounds):
        running = dev(tmp_path, "--persist-to", "state", "--log-level", "error")
        load.run(running.url, random.randrange(1, 150), running.process.kill)
        running.wait()

    running = dev(tmp_path, "--persist-to", "state")
    while backlog(running, client):
        running.wait_for("^QUEUE jobs")
    delivered = Counter(int(line) for line in seen.read_text().splitlines())
    repeated = sum(times - 1 for times in delivered.values())
    if fail:
        assert repeated == 0
        assert backlog(running, client, "dlq") >= len({*load.sent, *delivered})
        return
    lost = set(load.sent) - set(delivered)
    print(f"{len(load.sent)} sent, {len(lost)} lost, {repeated} delivered again in {rounds} rounds")
    assert not lost
    assert repeated <= rounds * BATCH_SIZE
    assert "dlq" not in {name for name in queues(running, client) if backlog(running, client, name)}


def test_a_torn_end_is_reported_and_the_rest_is_there(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    write(tmp_path, max_batch_timeout=60)
    running = dev(tmp_path, "--persist-to", "state")
    send(running, client, 1, 2, 3)
    running.end()
    [journal] = (tmp_path / "state").glob("journal-*.log")
    journal.write_bytes(journal.read_bytes()[:-5])

    running = dev(tmp_path, "--persist-to", "state")

    assert "ends with an incomplete record at byte" in running.output
    assert "2 messages were recovered" in running.output
    assert backlog(running, client) == 2
    assert len([*(tmp_path / "state").glob("damaged-*")]) == 1


def test_a_second_session_on_the_directory_is_refused(tmp_path: Path, dev: Dev, start: Dev) -> None:
    write(tmp_path)
    running = dev(tmp_path, "--persist-to", "state")
    second = start("dev", "-p", "0", "--persist-to", "state", cwd=tmp_path)
    assert second.wait() == 2
    assert f"state is in use by another emulator (process {running.process.pid})" in second.output
    assert "Traceback" not in second.output


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path, start: Dev, small_disk: Path) -> None:
    write(tmp_path)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    running = start("dev", "-p", "0", "--persist-to", str(small_disk / "state"), cwd=tmp_path)
    assert running.wait() == 2
    assert "messages cannot be kept in" in running.output
    assert "read-only file system" in running.output


def test_on_a_full_disk_send_fails_and_all_that_was_accepted_is_kept(
    tmp_path: Path, dev: Dev, client: httpx.Client, small_disk: Path
) -> None:
    write(tmp_path, max_batch_timeout=60, max_batch_size=100)
    running = dev(tmp_path, "--persist-to", str(small_disk / "state"))
    statuses = send(running, client, *["large"] * 8)
    accepted = statuses.count(200)
    assert statuses == [200] * accepted + [500] * (8 - accepted)
    assert 1 <= accepted <= 4
    running.wait_for(r"no space left on device \(10251\)")
    identifier = queues(running, client)["jobs"]["queue_id"]
    url = f"{running.url}/cdn-cgi/emulator/client/v4/accounts/any/queues/{identifier}/messages"
    answer = client.post(url, json={"body": "x" * 60_000, "content_type": "text"})
    assert answer.json()["errors"][0]["code"] == 10251
    assert answer.status_code >= 400
    running.end()

    running = dev(tmp_path, "--persist-to", str(small_disk / "state"))
    assert backlog(running, client) == accepted


def test_files_are_the_owners_only(tmp_path: Path, dev: Dev) -> None:
    write(tmp_path)
    dev(tmp_path, "--persist-to", "deep/er/state")
    state = tmp_path / "deep/er/state"
    assert state.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in state.iterdir())
    assert state.stat().st_uid == os.getuid()


ODD = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            await self.env.JOBS.sendBatch([{"body": number} for number in range(int(request.url.rsplit("/", 1)[1]))])
            return Response("sent")

        async def queue(self, batch, env, ctx):
            batch.messages[0].ack()
            raise ValueError("half of \\ud83d" + "x" * self.env.SIZE)
"""


def write_odd(directory: Path, size: int, name: str = "shop", **consumer: object) -> None:
    """A worker that sends as many messages as the path says, and fails with an error of that size."""
    settings = {"queue": "jobs", "max_batch_timeout": 0, "dead_letter_queue": "dlq", **consumer}
    queues = {"producers": [{"binding": "JOBS", "queue": "jobs"}], "consumers": [settings]}
    write_worker(directory, ODD, name=name, queues=queues, vars={"SIZE": size})


def peek(running: Running, client: httpx.Client, name: str) -> list[dict[str, Any]]:
    identifier = queues(running, client)[name]["queue_id"]
    url = f"{running.url}/cdn-cgi/emulator/client/v4/accounts/any/queues/{identifier}/messages/peek"
    return list(client.post(url, json={}).json()["result"]["messages"])


def test_messages_whose_error_has_half_of_a_surrogate_pair_are_settled_and_kept(
    tmp_path: Path, dev: Dev, client: httpx.Client
) -> None:
    write_odd(tmp_path, 0, max_retries=1)
    running = dev(tmp_path, "--persist-to", "state")
    client.get(f"{running.url}/3")
    running.wait_for(r"QUEUE jobs 1/2 acked, 1 moved to dlq")
    assert running.end(signal.SIGKILL) == -signal.SIGKILL

    running = dev(tmp_path, "--persist-to", "state")
    assert "1 message was recovered" in running.output
    [letter] = peek(running, client, "dlq")
    told = letter["emulator"]["dead_letter"]
    assert told["error"] == "ValueError: half of \ufffd"
    assert [attempt["outcome"] for attempt in told["attempts"]] == ["exception", "exception"]


def test_a_dead_letter_with_half_of_a_surrogate_pair_in_its_error_is_forwarded(
    tmp_path: Path, dev: Dev, client: httpx.Client
) -> None:
    (tmp_path / ".git").mkdir()
    write_odd(tmp_path / "failing", 0, max_retries=0)
    letters = {"consumers": [{"queue": "dlq", "type": "http_pull"}]}
    write_worker(tmp_path / "letters", ODD, name="letters", queues=letters, vars={"SIZE": 0})
    jobs, reader = dev(tmp_path / "failing"), dev(tmp_path / "letters", "--persist-to", "state")
    jobs.wait_for("queue dlq: messages go to clients that pull from the session at")
    client.get(f"{jobs.url}/2")
    jobs.wait_for("QUEUE dlq 1/1 forwarded")
    [letter] = peek(reader, client, "dlq")
    assert letter["emulator"]["dead_letter"]["error"] == "ValueError: half of \ufffd"


def test_a_long_error_of_many_small_messages_makes_no_large_journal(
    tmp_path: Path, dev: Dev, client: httpx.Client
) -> None:
    write_odd(tmp_path, 200_000, max_batch_size=100, max_retries=3)
    running = dev(tmp_path, "--persist-to", "state")
    client.get(f"{running.url}/100")
    for _ in range(4):
        running.wait_for(r"QUEUE jobs 1/\d+ acked")
    assert running.end() == 0
    size = sum(file.stat().st_size for file in (tmp_path / "state").glob("journal-*.log"))
    assert 96 * 4 * 4_000 < size < 20_000_000
