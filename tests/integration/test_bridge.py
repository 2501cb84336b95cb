"""A bridge to real queues: another emulator stands for the cloud, whose REST API is called over the network."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.conftest import ACCOUNT, API, Running, write_worker

SHOP = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            try:
                await self.env.ORDERS.send({"order": 1}, delaySeconds=0)
                await self.env.ORDERS.sendBatch([{"body": "two", "contentType": "text"}, {"body": {"order": 3}}])
            except Exception as error:
                return Response(str(error), status=500)
            return Response("sent")
"""
WAREHOUSE = """
    from workers import WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def queue(self, batch, env, ctx):
            for message in batch.messages:
                body = message.body if isinstance(message.body, str) else message.body.to_py()
                print(f"GOT {body} attempt {message.attempts} of {len(batch.messages)}")
                if body == "poison" and message.attempts < 3:
                    message.retry()
"""

Dev = Callable[..., Running]


class CloudSession:
    """The emulator that stands for the cloud."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.api = f"{running.url}{API}"
        self.variables = {
            "CLOUDFLARE_API_BASE_URL": self.api,
            "CLOUDFLARE_API_TOKEN": "t",
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        }
        self._queue = ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(method, f"{self.api}/accounts/{ACCOUNT}/queues{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()["result"]

    def make(self, name: str, *, pulled: bool = False, **consumer: Any) -> None:
        self._queue = "/" + self.call("POST", "", {"queue_name": name})["queue_id"]
        if pulled:
            self.call("POST", f"{self._queue}/consumers", {"type": "http_pull", **consumer})

    def push(self, *bodies: str) -> None:
        messages = [{"body": body, "content_type": "text"} for body in bodies]
        self.call("POST", f"{self._queue}/messages/batch", {"messages": messages})

    def waiting(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("POST", f"{self._queue}/messages/peek", {"batch_size": 100})["messages"]
        return found

    def backlog(self) -> int:
        return int(self.call("GET", f"{self._queue}/metrics")["backlog_count"])


@pytest.fixture
def cloud(dev: Dev, tmp_path: Path) -> CloudSession:
    (tmp_path / "cloud").mkdir()
    write_worker(tmp_path / "cloud", "", name="cloud")
    return CloudSession(dev(tmp_path / "cloud", "--no-share"))


def shop(directory: Path, **producer: Any) -> Path:
    producers = [{"binding": "ORDERS", "queue": "orders", "remote": True, **producer}]
    write_worker(directory / "shop", SHOP, name="shop", queues={"producers": producers})
    return directory / "shop"


def warehouse(directory: Path, **consumer: Any) -> Path:
    settings = {"queue": "orders", "remote": True, "max_batch_timeout": 0, **consumer}
    write_worker(directory / "warehouse", WAREHOUSE, name="warehouse", queues={"consumers": [settings]})
    return directory / "warehouse"


def test_what_a_worker_sends_is_in_the_real_queue(cloud: CloudSession, dev: Dev, tmp_path: Path) -> None:
    cloud.make("orders")
    session = dev(shop(tmp_path), "--no-share", environment=cloud.variables)
    assert "queue orders is REAL: what shop sends goes to the account's queue" in session.output
    assert httpx.get(session.url).text == "sent"
    assert [each["metadata"]["CF-Content-Type"] for each in cloud.waiting()] == ["json", "text", "json"]
    local = httpx.get(f"{session.url}{API}/accounts/{ACCOUNT}/queues").json()["result"]
    [queue_id] = [each["queue_id"] for each in local]
    metrics = httpx.get(f"{session.url}{API}/accounts/{ACCOUNT}/queues/{queue_id}/metrics").json()["result"]
    assert metrics["backlog_count"] == 0


def test_a_send_fails_as_the_service_does(cloud: CloudSession, dev: Dev, tmp_path: Path) -> None:
    session = dev(shop(tmp_path), "--no-share", environment=cloud.variables)
    answer = httpx.get(session.url)
    assert answer.status_code == 500
    assert "the account has no queue orders: `wrangler queues create orders` makes it (10104)" in answer.text
    cloud.make("orders")
    assert httpx.get(session.url).text == "sent"
    cloud.running.end()
    assert "cannot be reached" in (away := httpx.get(session.url)).text
    assert "(15000)" in away.text


def test_a_local_session_sends_nothing_away(cloud: CloudSession, dev: Dev, tmp_path: Path) -> None:
    cloud.make("orders")
    session = dev(shop(tmp_path), "--no-share", "--local", environment=cloud.variables)
    assert httpx.get(session.url).text == "sent"
    assert cloud.backlog() == 0
    assert "REAL" not in session.output


@pytest.mark.parametrize("missing", ["CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID"])
def test_without_an_account_it_does_not_begin(start: Callable[..., Running], tmp_path: Path, missing: str) -> None:
    variables = {"CLOUDFLARE_API_TOKEN": "t", "CLOUDFLARE_ACCOUNT_ID": ACCOUNT, missing: ""}
    session = start("dev", "-p", "0", cwd=shop(tmp_path), environment=variables)
    assert session.wait() == 2
    assert f"{missing} is not set" in session.output
    assert "`emulator dev --local`" in session.output


def test_messages_are_taken_and_settled_in_the_real_queue(cloud: CloudSession, dev: Dev, tmp_path: Path) -> None:
    cloud.make("orders", pulled=True, settings={"max_retries": 5})
    cloud.push("a", "b", "poison")
    session = dev(warehouse(tmp_path, max_batch_size=3), "--no-share", environment=cloud.variables)
    assert "its messages are taken from the account's queue, and acked there" in session.output
    session.wait_for(r"GOT a attempt 1 of 3")
    session.wait_for(r"GOT poison attempt 1 of 3")
    session.wait_for(r"QUEUE orders 2/3 acked")
    session.wait_for(r"GOT poison attempt 2 of 1")
    session.wait_for(r"GOT poison attempt 3 of 1")
    session.wait_for(r"QUEUE orders 1/1 acked")
    assert cloud.backlog() == 0


def test_dead_letters_are_those_of_the_real_queue(cloud: CloudSession, dev: Dev, tmp_path: Path) -> None:
    cloud.make("dead")
    cloud.make("orders", pulled=True, settings={"max_retries": 1}, dead_letter_queue="dead")
    cloud.push("poison")
    session = dev(warehouse(tmp_path, max_retries=1), "--no-share", environment=cloud.variables)
    session.wait_for(r"GOT poison attempt 2 of 1")
    session.wait_for(r"QUEUE orders 1/1 .*retried|QUEUE orders .*retried")
    cloud.running.wait_for("dead")
    assert cloud.backlog() == 0
    listed = {each["queue_name"]: each["queue_id"] for each in cloud.call("GET", "")}
    assert cloud.call("GET", f"/{listed['dead']}/metrics")["backlog_count"] == 1


def test_copies_leave_the_real_queue_as_it_is(cloud: CloudSession, dev: Dev, tmp_path: Path) -> None:
    cloud.make("orders", pulled=True)
    cloud.push("a", "poison")
    session = dev(warehouse(tmp_path, remote="copy"), "--no-share", environment=cloud.variables)
    session.wait_for("GOT a attempt 1")
    session.wait_for("GOT poison attempt 2")  # by the settings of the local consumer
    cloud.push("b")
    session.wait_for("GOT b attempt 1")
    assert [each["attempts"] for each in cloud.waiting()] == [0, 0, 0]
    assert session.end() == 0
    assert session.output.count("GOT a ") == 1


def test_a_queue_that_cannot_be_pulled_is_told(cloud: CloudSession, dev: Dev, tmp_path: Path) -> None:
    cloud.make("orders")
    session = dev(warehouse(tmp_path), "--no-share", environment=cloud.variables)
    session.wait_for("queue orders: nothing comes from the real queue: .*http_pull")


def test_what_waits_for_its_batch_when_the_session_ends_can_be_pulled_at_once(
    cloud: CloudSession, dev: Dev, tmp_path: Path
) -> None:
    cloud.make("orders", pulled=True)
    session = dev(warehouse(tmp_path, max_batch_timeout=30), "--no-share", environment=cloud.variables)
    cloud.push("a")
    while cloud.waiting():
        assert session.process.poll() is None  # it has not been pulled yet
    assert session.end() == 0
    assert "GOT" not in session.output
    assert [each["body"] for each in cloud.waiting()] == ["a"]


def test_what_was_acked_before_the_session_was_killed_does_not_come_again(
    cloud: CloudSession, dev: Dev, tmp_path: Path
) -> None:
    cloud.make("orders", pulled=True)
    cloud.push("a")
    directory = warehouse(tmp_path)
    first = dev(directory, "--no-share", environment=cloud.variables)
    first.wait_for("GOT a")
    first.wait_for("acked")
    first.process.kill()
    cloud.push("b")
    second = dev(directory, "--no-share", environment=cloud.variables)
    second.wait_for("GOT b attempt 1")
    assert second.end() == 0
    assert "GOT a" not in second.output


def test_a_cloud_that_is_away_is_told_and_keeps_nothing_from_ending(dev: Dev, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    variables = {
        "CLOUDFLARE_API_BASE_URL": f"http://127.0.0.1:{port}",
        "CLOUDFLARE_API_TOKEN": "t",
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
    }
    session = dev(warehouse(tmp_path), "--no-share", environment=variables)
    session.wait_for(f"Cloudflare's API at 127.0.0.1:{port} cannot be reached")
    assert session.end() == 0
