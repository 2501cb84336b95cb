"""The REST API as its real clients use it: the official `cloudflare` SDK, and wrangler, against a real process."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import cloudflare
import httpx
import pytest
from cloudflare import Cloudflare
from cloudflare.types.queues.consumer import MqHTTPConsumerResponse, MqWorkerConsumerResponse
from cloudflare.types.queues.queue import Queue

from tests.integration.conftest import ACCOUNT, API, Running, write_worker
from tests.support.node_tools import needs_node

WORKER = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            await self.env.JOBS.send({"url": request.url})
            return Response("sent")

        async def queue(self, batch, env, ctx):
            for message in batch.messages:
                print(f"GOT {message.body}")
                if message.body == "poison":
                    raise ValueError("no luck")
"""
QUEUES = {
    "producers": [{"binding": "JOBS", "queue": "jobs"}],
    "consumers": [{"queue": "jobs", "max_batch_timeout": 0, "max_retries": 0, "dead_letter_queue": "jobs-dlq"}],
}


@pytest.fixture
def session(dev: Callable[..., Running], tmp_path: Path) -> Running:
    write_worker(tmp_path, WORKER, compatibility_flags=["python_workers"], queues=QUEUES)
    return dev(tmp_path)


@pytest.fixture
def sdk(session: Running) -> Iterator[Cloudflare]:
    with Cloudflare(api_token="x", base_url=f"{session.url}{API}", _strict_response_validation=True) as made:
        yield made


def make(sdk: Cloudflare, name: str) -> str:
    """Make a queue, and return its id."""
    made = sdk.queues.create(account_id=ACCOUNT, queue_name=name)
    assert made is not None
    assert made.queue_id is not None
    return made.queue_id


def test_the_sdk_manages_queues(sdk: Cloudflare) -> None:
    queue_id = make(sdk, "tasks")
    listed = {queue.queue_name: queue for queue in sdk.queues.list(account_id=ACCOUNT)}
    assert list(listed) == ["jobs", "jobs-dlq", "tasks"]
    jobs = listed["jobs"]
    assert (jobs.producers_total_count, jobs.consumers_total_count) == (1, 1)
    assert jobs.consumers is not None
    assert isinstance(jobs.consumers[0], MqWorkerConsumerResponse)

    got = sdk.queues.get(queue_id, account_id=ACCOUNT)
    assert isinstance(got, Queue)
    assert got.created_on is not None
    datetime.fromisoformat(got.created_on)

    edited = sdk.queues.edit(queue_id, account_id=ACCOUNT, settings={"delivery_delay": 5, "delivery_paused": True})
    assert edited is not None
    assert edited.settings is not None
    assert (edited.settings.delivery_delay, edited.settings.delivery_paused) == (5, True)
    updated = sdk.queues.update(
        queue_id, account_id=ACCOUNT, queue_name="tasks", settings={"message_retention_period": 600}
    )
    assert updated is not None
    assert updated.settings is not None
    assert (updated.settings.delivery_delay, updated.settings.message_retention_period) == (0, 600)

    assert sdk.queues.delete(queue_id, account_id=ACCOUNT).success is True
    with pytest.raises(cloudflare.NotFoundError) as refused:
        sdk.queues.get(queue_id, account_id=ACCOUNT)
    assert refused.value.errors[0].code == 10104


def test_the_sdk_pushes_pulls_and_acks(sdk: Cloudflare) -> None:
    queue_id = make(sdk, "tasks")
    consumer = sdk.queues.consumers.create(
        queue_id, account_id=ACCOUNT, type="http_pull", settings={"visibility_timeout_ms": 6000}
    )
    assert isinstance(consumer, MqHTTPConsumerResponse)

    pushed = sdk.queues.messages.push(queue_id, account_id=ACCOUNT, body={"user": 1}, content_type="json")
    assert pushed is not None
    assert pushed.metadata is not None
    assert pushed.metadata.metrics is not None
    assert pushed.metadata.metrics.backlog_count == 1
    sdk.queues.messages.bulk_push(
        queue_id, account_id=ACCOUNT, messages=[{"body": "two", "content_type": "text"}, {"body": 3}]
    )
    metrics = sdk.queues.get_metrics(queue_id, account_id=ACCOUNT)
    assert metrics is not None
    assert (metrics.backlog_count, metrics.backlog_bytes) == (3, 14)

    pulled = sdk.queues.messages.pull(queue_id, account_id=ACCOUNT, batch_size=10)
    assert pulled is not None
    assert pulled.messages is not None
    assert pulled.message_backlog_count == 3
    first, second, third = pulled.messages
    assert json.loads(b64decode(first.body or "")) == {"user": 1}
    assert (second.body, third.attempts) == ("two", 1)
    assert first.lease_id
    assert second.lease_id
    assert third.lease_id

    done = sdk.queues.messages.ack(
        queue_id,
        account_id=ACCOUNT,
        acks=[{"lease_id": first.lease_id}, {"lease_id": second.lease_id}, {"lease_id": "unknown"}],
        retries=[{"lease_id": third.lease_id, "delay_seconds": 0}],
    )
    assert done is not None
    assert (done.ack_count, done.retry_count) == (2, 1)
    assert done.warnings is not None
    assert list(done.warnings) == ["unknown"]
    again = sdk.queues.messages.pull(queue_id, account_id=ACCOUNT)
    assert again is not None
    assert again.messages is not None
    assert [message.attempts for message in again.messages] == [2]


def test_the_sdk_peeks_and_purges(sdk: Cloudflare) -> None:
    queue_id = make(sdk, "tasks")
    sdk.queues.messages.bulk_push(queue_id, account_id=ACCOUNT, messages=[{"body": number} for number in range(3)])
    peeked = sdk.queues.messages.peek(queue_id, account_id=ACCOUNT, batch_size=3)
    assert peeked is not None
    assert peeked.messages is not None
    assert len(peeked.messages) == 3
    gone = sdk.queues.messages.purge(queue_id, account_id=ACCOUNT, refs=[{"ref": peeked.messages[0].ref or ""}])
    assert gone is not None
    assert (gone.errors, gone.warnings) == ([], {})

    purged = sdk.queues.purge.start(queue_id, account_id=ACCOUNT, delete_messages_permanently=True)
    assert isinstance(purged, Queue)
    status = sdk.queues.purge.status(queue_id, account_id=ACCOUNT)
    assert status is not None
    assert status.completed == "true"
    assert status.started_at is not None
    metrics = sdk.queues.get_metrics(queue_id, account_id=ACCOUNT)
    assert metrics is not None
    assert (metrics.backlog_count, metrics.oldest_message_timestamp_ms) == (0, 0)


def test_the_sdk_manages_consumers(sdk: Cloudflare, session: Running) -> None:
    queue_id = make(sdk, "tasks")
    made = sdk.queues.consumers.create(
        queue_id,
        account_id=ACCOUNT,
        type="worker",
        script_name="shop",
        settings={"batch_size": 5, "max_wait_time_ms": 0, "max_retries": 0},
    )
    assert isinstance(made, MqWorkerConsumerResponse)
    assert made.consumer_id is not None
    assert (made.script_name, made.queue_name, made.dead_letter_queue) == ("shop", "tasks", "")
    sdk.queues.messages.push(queue_id, account_id=ACCOUNT, body="over HTTP", content_type="text")
    session.wait_for("GOT over HTTP")

    (listed,) = sdk.queues.consumers.list(queue_id, account_id=ACCOUNT)
    got = sdk.queues.consumers.get(made.consumer_id, account_id=ACCOUNT, queue_id=queue_id)
    assert listed == got == made
    with pytest.raises(cloudflare.ConflictError) as refused:
        sdk.queues.consumers.create(queue_id, account_id=ACCOUNT, type="http_pull")
    assert refused.value.errors[0].code == 11004

    updated = sdk.queues.consumers.update(
        made.consumer_id, account_id=ACCOUNT, queue_id=queue_id, type="http_pull", dead_letter_queue="dead"
    )
    assert isinstance(updated, MqHTTPConsumerResponse)
    assert updated.dead_letter_queue == "dead"
    assert sdk.queues.consumers.delete(made.consumer_id, account_id=ACCOUNT, queue_id=queue_id).success is True
    assert list(sdk.queues.consumers.list(queue_id, account_id=ACCOUNT)) == []


def test_the_sdk_hears_at_once_that_a_queue_is_paused_and_what_is_not_emulated(sdk: Cloudflare) -> None:
    queue_id = make(sdk, "tasks")
    sdk.queues.consumers.create(queue_id, account_id=ACCOUNT, type="http_pull")
    sdk.queues.edit(queue_id, account_id=ACCOUNT, settings={"delivery_paused": True})
    with pytest.raises(cloudflare.ConflictError, match="queue_delivery_paused"):
        sdk.queues.messages.pull(queue_id, account_id=ACCOUNT)
    with pytest.raises(cloudflare.InternalServerError, match="Event subscriptions are not emulated"):
        sdk.queues.subscriptions.list(account_id=ACCOUNT)


def test_a_dead_letter_of_a_worker_can_be_looked_into(sdk: Cloudflare, session: Running) -> None:
    ids = {queue.queue_name: queue.queue_id or "" for queue in sdk.queues.list(account_id=ACCOUNT)}
    sdk.queues.messages.push(ids["jobs"], account_id=ACCOUNT, body="poison", content_type="text")
    session.wait_for("moved 1 message .* to jobs-dlq")
    peeked = sdk.queues.messages.peek(ids["jobs-dlq"], account_id=ACCOUNT)
    assert peeked is not None
    assert peeked.messages is not None
    (letter,) = peeked.messages
    story: Any = letter.model_extra
    assert letter.body == "poison"
    assert story["emulator"]["dead_letter"]["queue"] == "jobs"
    assert story["emulator"]["dead_letter"]["error"] == "ValueError: no luck"


def test_on_another_address_the_token_that_is_printed_is_required(dev: Callable[..., Running], tmp_path: Path) -> None:
    write_worker(tmp_path, WORKER, compatibility_flags=["python_workers"], queues=QUEUES)
    session = dev(tmp_path, "--host", "0.0.0.0")
    token = session.wait_for(r"REST API token: (\S+)").group(1)
    url = session.url.replace("0.0.0.0", "127.0.0.1")
    assert httpx.get(url).text == "sent"
    with (
        Cloudflare(api_token="x", base_url=f"{url}{API}") as stranger,
        pytest.raises(cloudflare.AuthenticationError, match="when it was ready"),
    ):
        stranger.queues.list(account_id=ACCOUNT)
    with Cloudflare(api_token=token, base_url=f"{url}{API}") as friend:
        assert len(list(friend.queues.list(account_id=ACCOUNT))) == 2


@needs_node
@pytest.mark.parametrize("command", ["whoami", "deploy", "secret put NAME", "vectorize list", "versions upload"])
def test_wrangler_says_that_this_is_the_emulator(wrangler: Callable[..., str], tmp_path: Path, command: str) -> None:
    project = tmp_path / "deployed"
    project.mkdir()
    (project / "worker.js").write_text("export default { fetch() { return new Response() } }")
    (project / "wrangler.json").write_text(
        json.dumps({"name": "deployed", "main": "worker.js", "compatibility_date": "2026-11-01"})
    )
    output = wrangler(*command.split(), "--cwd", str(project), status=1, stdin="value")
    assert "This is the emulator, not Cloudflare, and changed nothing" in output
    assert not re.search("Deployed|Uploaded|Success", output)


@needs_node
def test_wrangler_queues_works_unchanged(wrangler: Callable[..., str]) -> None:
    queues = partial(wrangler, "queues")
    assert "Created queue 'my-app-events'" in queues("create", "my-app-events", "--delivery-delay-secs", "5")
    assert "is already taken" in queues("create", "my-app-events", status=1)
    assert re.search(r"jobs .*my-app-events", queues("list"), re.DOTALL)
    assert "Number of Consumers: 0" in queues("info", "my-app-events")
    assert "Updated queue" in queues("update", "my-app-events", "--message-retention-period-secs", "600")
    assert "Paused message delivery" in queues("pause-delivery", "my-app-events")
    assert "Resumed message delivery" in queues("resume-delivery", "my-app-events")
    settings = ("--batch-size", "7", "--batch-timeout", "2", "--dead-letter-queue", "dead", "--max-concurrency", "3")
    assert "Added consumer" in queues("consumer", "add", "my-app-events", "shop", *settings)
    assert "already has a consumer" in queues("consumer", "http", "add", "my-app-events", status=1)
    assert re.search(r"shop .*dead .*7 .*2000 .*3 ", queues("consumer", "list", "my-app-events"))
    assert "Removed consumer" in queues("consumer", "remove", "my-app-events", "shop")
    assert "Added consumer" in queues("consumer", "http", "add", "my-app-events", "--visibility-timeout-secs", "9")
    assert "HTTP Pull Consumer" in queues("info", "my-app-events")
    assert "Removed consumer" in queues("consumer", "http", "remove", "my-app-events")
    assert "Purged Queue" in queues("purge", "my-app-events", "--force")
    assert "Deleted queue" in queues("delete", "my-app-events")
    assert "not emulated" in queues("subscription", "list", "jobs", status=1)
