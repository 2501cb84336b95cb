"""Two `emulator dev` side by side, one with the producer of a queue and one with its consumer."""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
import pytest

from emulator.queues.message import QueueMessage
from emulator.session.peers import CONTENT_TYPE, FORWARD_PATH, FROM_HEADER
from tests.integration.conftest import Running, write_worker
from tests.support.copies import run_emulator

PRODUCER = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            await self.env.JOBS.send(int(request.url.rsplit("/", 1)[1]))
            return Response("sent")
"""

CONSUMER = """
    import os
    from workers import WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def queue(self, batch, env, ctx):
            if self.env.FAIL:
                raise ConnectionError("not now")
            seen = "".join(f"{message.body}\\n" for message in batch.messages)
            file = os.open(self.env.SEEN, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(file, seen.encode())
            os.close(file)
            print(f"GOT {[message.body for message in batch.messages]} of {batch.queue} {batch.messages[0].attempts}")
"""

API = "/cdn-cgi/emulator/api"
Dev = Callable[..., Running]


@pytest.fixture(autouse=True)
def _in_one_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()


@pytest.fixture
def producer(tmp_path: Path) -> Path:
    directory = tmp_path / "web"
    write_worker(directory, PRODUCER, name="web", queues={"producers": [{"binding": "JOBS", "queue": "jobs"}]})
    return directory


@pytest.fixture
def consumer(tmp_path: Path) -> Path:
    return write_consumer(tmp_path / "jobs")


def write_consumer(directory: Path, queue: str = "jobs", *, fail: bool = False, **settings: Any) -> Path:
    consumers = [{"queue": queue, **({} if "type" in settings else {"max_batch_timeout": 0}), **settings}]
    variables = {"SEEN": str(directory / "seen"), "FAIL": fail}
    write_worker(directory, CONSUMER, name=directory.name, queues={"consumers": consumers}, vars=variables)
    return directory


def api(running: Running, client: httpx.Client, method: str, path: str, body: Any = None) -> Any:
    url = f"{running.url}/cdn-cgi/emulator/client/v4/accounts/any/queues{path}"
    return client.request(method, url, json=body).json()


def queue_id(running: Running, client: httpx.Client, name: str) -> str:
    [queue] = api(running, client, "GET", f"?name={name}")["result"]
    return str(queue["queue_id"])


def backlog(running: Running, client: httpx.Client, name: str) -> int:
    metrics = api(running, client, "GET", f"/{queue_id(running, client, name)}/metrics")
    return int(metrics["result"]["backlog_count"])


def test_the_producer_comes_first(producer: Path, consumer: Path, dev: Dev, client: httpx.Client) -> None:
    web = dev(producer)
    client.get(f"{web.url}/1")
    client.get(f"{web.url}/2")
    jobs = dev(consumer)
    web.wait_for(f"queue jobs: messages go to worker jobs of the session at {jobs.url}")
    jobs.wait_for(re.escape("GOT [1, 2] of jobs 1"))
    web.wait_for("QUEUE jobs 2/2 forwarded")
    client.get(f"{web.url}/3")
    jobs.wait_for(re.escape("GOT [3] of jobs 1"))
    assert backlog(web, client, "jobs") == 0
    listed = run_emulator(producer, "queues", "list", "--url", web.url).stdout
    assert re.search(rf"jobs +0 +worker jobs of the session at {jobs.url}", listed)


def test_the_consumer_comes_first(producer: Path, consumer: Path, dev: Dev, client: httpx.Client) -> None:
    jobs = dev(consumer)
    web = dev(producer)
    client.get(f"{web.url}/1")
    jobs.wait_for(re.escape("GOT [1] of jobs 1"))


def test_each_session_leads_to_what_happened_in_the_other(
    producer: Path, consumer: Path, dev: Dev, client: httpx.Client
) -> None:
    jobs, web = dev(consumer), dev(producer)
    client.get(f"{web.url}/1")
    jobs.wait_for(re.escape("QUEUE jobs 1/1 acked"))
    web.wait_for("QUEUE jobs 1/1 forwarded")
    [message] = client.get(f"{web.url}{API}/messages").json()["messages"]
    here, there = (client.get(f"{each.url}{API}/messages/{message['id']}").json() for each in (web, jobs))
    assert here["state"] == "forwarded"
    assert re.search(rf"forwarded at \S+ to worker jobs of the session at {jobs.url}\.", here["because"])
    assert here["lives"][0]["session"] == jobs.url
    assert here["lives"][0]["origin"]["text"] == "from worker web, in GET /1"
    assert there["state"] == "acked"
    origin = there["lives"][0]["origin"]
    assert (origin["kind"], origin["session"]) == ("request", web.url)
    assert origin["text"] == "from another session: worker web, in GET /1"
    assert re.search(r"web/src/entry.py:\d+$", origin["location"])
    assert client.get(f"{web.url}{API}/requests/{origin['id']}").json()["text"] == "GET /1"
    told = run_emulator(consumer, "why", message["id"], "--url", jobs.url).stdout
    assert "entered jobs, from another session: worker web, in GET /1 (" in told
    assert f"(at {web.url})" in told
    for one, other in ((web, jobs), (jobs, web)):
        page = client.get(f"{one.url}/cdn-cgi/emulator/messages/{message['id']}", headers={"accept": "text/html"}).text
        assert f'href="{other.url}/cdn-cgi/emulator/messages/{message["id"]}"' in page


def test_a_message_tells_what_it_knows_itself_of_a_session_that_has_ended(
    producer: Path, consumer: Path, dev: Dev, client: httpx.Client
) -> None:
    jobs, web = dev(consumer), dev(producer)
    client.get(f"{web.url}/1")
    jobs.wait_for(re.escape("QUEUE jobs 1/1 acked"))
    web.end()
    [message] = client.get(f"{jobs.url}{API}/messages").json()["messages"]
    [life] = client.get(f"{jobs.url}{API}/messages/{message['id']}").json()["lives"]
    assert (life["origin"]["kind"], life["origin"]["text"]) == ("forwarded", "from another session: worker web")


def test_a_letter_that_travels_back_and_forth_is_told_by_each_session(
    tmp_path: Path, dev: Dev, client: httpx.Client
) -> None:
    failing = write_consumer(tmp_path / "failing", fail=True, max_retries=0, dead_letter_queue="dlq")
    both = tmp_path / "both"
    queues = {
        "producers": [{"binding": "JOBS", "queue": "jobs"}],
        "consumers": [{"queue": "dlq", "type": "http_pull"}],
    }
    write_worker(both, PRODUCER, name="both", queues=queues)
    jobs, web = dev(failing), dev(both)
    client.get(f"{web.url}/1")
    jobs.wait_for("QUEUE dlq 1/1 forwarded")
    [message] = client.get(f"{web.url}{API}/messages").json()["messages"]
    here, there = (client.get(f"{each.url}{API}/messages/{message['id']}").json() for each in (web, jobs))
    assert [(life["queue"], life["origin"]["text"]) for life in here["lives"]] == [
        ("jobs", "from worker both, in GET /1"),
        ("dlq", "from another session, because it died"),
    ]
    assert [(life["queue"], life["origin"]["text"]) for life in there["lives"]] == [
        ("jobs", "from another session: worker both, in GET /1"),
        ("dlq", "because it died"),
    ]
    queue = queue_id(web, client, "dlq")
    body: dict[str, Any] = {}
    client.post(f"{web.url}/cdn-cgi/emulator/client/v4/emulator/queues/{queue}/redrive", json=body)
    jobs.wait_for("QUEUE dlq 1/1 forwarded")
    there = client.get(f"{jobs.url}{API}/messages/{message['id']}").json()
    assert [life["origin"]["text"] for life in there["lives"] if life["queue"] == "jobs"] == [
        "from another session: worker both, in GET /1",
        "from another session, because it was redriven",
    ]


def test_messages_wait_while_the_consumer_is_gone(
    producer: Path, consumer: Path, dev: Dev, client: httpx.Client
) -> None:
    web, jobs = dev(producer), dev(consumer)
    web.wait_for("messages go to")
    jobs.end()
    web.wait_for("is no longer running; messages wait here until it is back")
    client.get(f"{web.url}/1")
    assert backlog(web, client, "jobs") == 1
    dev(consumer).wait_for(re.escape("GOT [1] of jobs 1"))


def test_a_consumer_that_was_killed_is_noticed(producer: Path, consumer: Path, dev: Dev, client: httpx.Client) -> None:
    web, jobs = dev(producer), dev(consumer)
    web.wait_for("messages go to")
    jobs.process.kill()
    jobs.wait()
    client.get(f"{web.url}/1")
    web.wait_for("messages wait here|they wait here")
    dev(consumer).wait_for(re.escape("GOT [1] of jobs 1"))


def test_dead_letters_travel_with_why_they_died(tmp_path: Path, dev: Dev, client: httpx.Client) -> None:
    failing = write_consumer(tmp_path / "failing", fail=True, max_retries=0, dead_letter_queue="dlq")
    letters = write_consumer(tmp_path / "letters", "dlq", type="http_pull")
    jobs, reader = dev(failing), dev(letters)
    jobs.wait_for("queue dlq: messages go to clients that pull from the session at")
    api(jobs, client, "POST", f"/{queue_id(jobs, client, 'jobs')}/messages", {"body": "x", "content_type": "text"})
    jobs.wait_for("QUEUE dlq 1/1 forwarded")
    peeked = api(reader, client, "POST", f"/{queue_id(reader, client, 'dlq')}/messages/peek", {})
    [letter] = peeked["result"]["messages"]
    assert letter["emulator"]["dead_letter"]["queue"] == "jobs"
    assert "ConnectionError: not now" in letter["emulator"]["dead_letter"]["error"]


def test_two_consumers_are_warned_of(tmp_path: Path, dev: Dev) -> None:
    first = dev(write_consumer(tmp_path / "one"))
    dev(write_consumer(tmp_path / "two"))
    first.wait_for("queue jobs is also consumed by worker two of the session at")


def test_a_consumer_that_is_set_by_rest_is_found(
    producer: Path, tmp_path: Path, dev: Dev, client: httpx.Client
) -> None:
    web = dev(producer)
    other = dev(write_consumer(tmp_path / "other", "unrelated"))
    api(other, client, "POST", "", {"queue_name": "jobs"})
    consumer_body = {"type": "worker", "script_name": "other", "settings": {"max_wait_time_ms": 0}}
    identifier = queue_id(other, client, "jobs")
    api(other, client, "POST", f"/{identifier}/consumers", consumer_body)
    web.wait_for("queue jobs: messages go to worker other")
    client.get(f"{web.url}/1")
    other.wait_for("GOT .*1.* of jobs")


def test_a_session_that_other_machines_can_reach_takes_only_what_has_its_token(
    producer: Path, consumer: Path, dev: Dev, client: httpx.Client
) -> None:
    jobs = dev(consumer, "--host", "0.0.0.0")
    url = jobs.url.replace("0.0.0.0", "127.0.0.1") + FORWARD_PATH + "jobs"
    assert client.post(url, content=b"\x90", headers={"content-type": CONTENT_TYPE}).status_code == 401
    web = dev(producer)
    client.get(f"{web.url}/1")
    jobs.wait_for(re.escape("GOT [1] of jobs 1"))


@pytest.mark.parametrize(
    "case",
    [
        ("jobs", {"content-type": CONTENT_TYPE, "origin": "http://evil.example"}, b"\x90", 403),
        ("jobs", {"content-type": "text/plain"}, b"\x90", 415),
        ("jobs", {"content-type": CONTENT_TYPE}, b"rubbish", 400),
        ("jobs", {"content-type": CONTENT_TYPE}, b"", 400),
        ("jobs", {"content-type": CONTENT_TYPE}, b"\x90" + b" " * 30_000_000, 413),
        ("other", {"content-type": CONTENT_TYPE}, b"\x90", 409),
        ("jobs", {"content-type": CONTENT_TYPE}, b"\x90", 204),
    ],
    ids=["origin", "type", "rubbish", "empty", "large", "not consumed", "good"],
)
def test_what_is_no_batch_for_this_session_is_refused(
    consumer: Path, dev: Dev, client: httpx.Client, case: tuple[str, dict[str, str], bytes, int]
) -> None:
    queue, headers, content, status = case
    url = dev(consumer).url + FORWARD_PATH + queue
    try:
        answer = client.post(url, headers=headers, content=content)
    except httpx.WriteError:
        assert status == 413  # it was refused while it was being sent
        return
    assert answer.status_code == status


def test_only_an_address_of_a_session_is_believed(consumer: Path, dev: Dev, client: httpx.Client) -> None:
    jobs = dev(consumer)
    message = QueueMessage("1" * 32, b"1", "json", 1.0, 1.0, 1.0)
    headers = {"content-type": CONTENT_TYPE, FROM_HEADER: 'javascript:alert(1)//http://x"'}
    body = msgspec.msgpack.encode([message])
    assert client.post(f"{jobs.url}{FORWARD_PATH}jobs", content=body, headers=headers).status_code == 204
    jobs.wait_for(re.escape("QUEUE jobs 1/1 acked"))
    [life] = client.get(f"{jobs.url}{API}/messages/{message.id}").json()["lives"]
    assert (life["origin"]["session"], life["origin"]["text"]) == ("", "from another session")


def test_a_message_is_taken_over_as_it_is(consumer: Path, dev: Dev, client: httpx.Client) -> None:
    jobs = dev(consumer)
    sent = 1_700_000_000.5
    message = QueueMessage(bytes(range(16)).hex(), b'"body"', "json", sent, sent, sent, source="web")
    url = jobs.url + FORWARD_PATH + "jobs"
    client.post(url, headers={"content-type": CONTENT_TYPE}, content=msgspec.msgpack.encode([message]))
    jobs.wait_for(re.escape("GOT ['body'] of jobs 1"))


def seen_by(consumer: Path) -> Counter[int]:
    """How often each number was delivered."""
    seen = consumer / "seen"
    return Counter(map(int, seen.read_text().split())) if seen.exists() else Counter()


class Load:
    """A client that sends numbers to the producer. It goes on when the server is gone for a moment."""

    def __init__(self, numbers: count[int]) -> None:
        self.sent: list[int] = []
        self.url = ""
        self._numbers = numbers
        self._answered = threading.Semaphore(0)
        self._stop = threading.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def resume(self, url: str) -> None:
        self.url = url
        self._up.set()

    def pause(self) -> None:
        self._up.clear()

    def wait_for(self, answers: int) -> None:
        for _ in range(answers):
            assert self._answered.acquire(timeout=20)

    def end(self) -> None:
        self._stop.set()
        self._up.set()
        self._thread.join(20)

    def _send(self) -> None:
        with httpx.Client(timeout=20) as client:
            while not self._stop.is_set():
                assert self._up.wait(20)
                number = next(self._numbers)
                try:
                    status = client.get(f"{self.url}/{number}").status_code
                except httpx.TransportError:
                    continue
                if status == 200:
                    self.sent.append(number)
                    self._answered.release()


@pytest.mark.parametrize(
    "case",
    [(who, how) for who in ("consumer", "producer") for how in ("stopped", "killed")],
    ids="-".join,
)
def test_nothing_is_lost_when_either_comes_and_goes_under_load(
    producer: Path, consumer: Path, dev: Dev, case: tuple[str, str]
) -> None:
    who, how = case
    persist = ("--persist-to", "state", "--log-level", "info")
    sessions = {"producer": dev(producer, *persist), "consumer": dev(consumer, *persist)}
    directories = {"producer": producer, "consumer": consumer}
    random = Random(3)
    load = Load(count())
    load.resume(sessions["producer"].url)
    try:
        for _ in range(2):
            load.wait_for(random.randrange(10, 80))
            if who == "producer":
                load.pause()
            if how == "killed":
                sessions[who].process.kill()
                sessions[who].wait()
            else:
                sessions[who].end()
            if who == "consumer":
                load.wait_for(10)
            sessions[who] = dev(directories[who], *persist)
            load.resume(sessions["producer"].url)
        load.wait_for(10)
    finally:
        load.end()
    while set(load.sent) - set(delivered := seen_by(consumer)):
        sessions["consumer"].wait_for("GOT")
    repeated = sum(times - 1 for times in delivered.values())
    print(f"{len(load.sent)} sent, {repeated} delivered again", os.linesep)
    assert repeated <= (2 * 110 if how == "killed" else 0)


def test_two_projects_do_not_mix_unless_they_are_told_to(
    dev: Dev, producer: Path, consumer: Path, tmp_path: Path
) -> None:
    (tmp_path / ".git").rmdir()
    jobs = dev(consumer)
    web = dev(producer)
    web.wait_for(rf"queue jobs: the session at {jobs.url} consumes a queue of that name, but is of another project")
    assert httpx.get(f"{web.url}/1").text == "sent"
    assert web.end() == 0
    jobs.end()
    jobs = dev(consumer, "--share", "shop")
    web = dev(producer, environment={"EMULATOR_SHARE": "shop"})
    web.wait_for("queue jobs: messages go to worker jobs of the session at")
    assert httpx.get(f"{web.url}/2").text == "sent"
    jobs.wait_for(r"GOT \[2\] of jobs")


def test_a_session_may_keep_to_itself(dev: Dev, producer: Path, consumer: Path) -> None:
    dev(consumer)
    web = dev(producer, "--no-share")
    web.wait_for("is of another project")
