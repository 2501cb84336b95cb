"""The spans of what happens in a session, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from emulator.base.acts import Acts, RemoteAct
from emulator.base.bus import Bus
from emulator.base.clock import VirtualClock
from emulator.queues.message import NewMessage
from emulator.queues.settings import ConsumerSettings
from emulator.session.session import Session
from emulator.telemetry import metrics
from emulator.telemetry.metrics import SessionMeter
from emulator.telemetry.resources import ServiceResources
from emulator.telemetry.spans import Spans
from tests.integration.conftest import write_worker
from tests.support.configs import load_config

WORKER = """
    from workers import WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def queue(self, batch, env, ctx):
            for message in batch.messages:
                if message.body == "again":
                    message.retry(delaySeconds=60)
            await self.env.STORE.get("key")
"""


class Traced:
    """A session whose spans are kept."""

    def __init__(self, directory: Path, sample: Callable[[str, RemoteAct | None], bool]) -> None:
        consumer = {"queue": "jobs", "max_batch_timeout": 0, "max_retries": 1}
        queues = {"consumers": [consumer], "producers": [{"binding": "PULLED", "queue": "pulled"}]}
        stores = [{"binding": "STORE", "id": "store"}]
        write_worker(directory, WORKER, queues=queues, kv_namespaces=stores)
        self.clock = VirtualClock()
        self.session = Session([load_config(directory / "wrangler.jsonc")], Bus(), clock=self.clock)
        self.session.bus.follow(Acts(self.clock.now, sample))
        self._exporter = InMemorySpanExporter()
        processor = SimpleSpanProcessor(self._exporter)
        Spans(self.session.bus, self.clock.now, processor, ServiceResources())

    async def send(self, queue: str, *bodies: str) -> None:
        messages = [NewMessage(body.encode(), "text") for body in bodies]
        await self.session.queues.send(queue, messages, source="api")

    async def advance(self, seconds: float) -> None:
        end = self.clock.now() + seconds
        while True:
            for _ in range(20):
                self.clock.run_due()
                await asyncio.sleep(0)
            due = self.clock.next_timer()
            if due is None or due > end:
                break
            self.clock.move_to(due)
        self.clock.move_to(end)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def results(self, queue: str) -> list[Any]:
        return [attributes_of(span)["emulator.result"] for span in self.named(f"attempt {queue}")]


def attributes_of(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


@pytest.fixture
async def traced(tmp_path: Path) -> AsyncIterator[Traced]:
    made = Traced(tmp_path, lambda _trace, _cause: True)
    await made.session.load()
    yield made
    await made.session.stop(0.0)


async def test_a_batch_has_one_link_to_each_send_and_a_span_for_each_message(traced: Traced) -> None:
    await traced.send("jobs", "one", "two")
    await traced.send("jobs", "again")
    await traced.advance(1)
    [delivery] = traced.named("process jobs")
    sends = traced.named("send jobs")
    assert [link.context.span_id for link in delivery.links] == [span.context.span_id for span in sends]
    assert attributes_of(sends[0])["messaging.batch.message_count"] == 2
    assert traced.results("jobs") == ["acked", "acked", "retried"]
    assert delivery.status.status_code is StatusCode.UNSET


async def test_a_message_without_a_dead_letter_queue_is_dropped_after_its_last_attempt(traced: Traced) -> None:
    await traced.send("jobs", "again")
    await traced.advance(90)
    assert traced.results("jobs") == ["retried", "dropped"]
    first, second = traced.named("attempt jobs")
    assert first.start_time is not None
    assert second.start_time is not None
    assert second.start_time - first.start_time == 60_000_000_000


async def test_an_operation_that_is_refused_is_an_error(traced: Traced) -> None:
    store: Any = traced.session.open_kinds["kv"]
    store.faults.add("store", 1, ConnectionError("not now"))
    await traced.send("jobs", "one")
    await traced.advance(1)
    get, _ = traced.named("kv_get")
    assert (get.status.status_code, get.status.description) == (StatusCode.ERROR, "not now")
    failed, again = traced.named("process jobs")
    assert failed.status.status_code is StatusCode.ERROR
    assert [event.name for event in failed.events] == ["exception"]
    assert again.status.status_code is StatusCode.UNSET
    assert traced.results("jobs") == ["retried", "acked"]


async def test_what_a_client_pulls_is_settled_in_a_span_of_its_own(traced: Traced) -> None:
    queues = traced.session.queues
    puller = ConsumerSettings("http_pull", max_retries=0, dead_letter_queue="dead")
    await queues.set_consumer("pulled", puller, "")
    await traced.send("pulled", "one", "two")
    one, two = await queues.pull("pulled")
    await traced.advance(5)
    await queues.acknowledge("pulled", [one.lease_id], [(two.lease_id, None)])
    [settled] = traced.named("settle pulled")
    [send] = traced.named("send pulled")
    assert settled.start_time is not None
    assert settled.end_time == settled.start_time + 5_000_000_000
    assert [link.context.span_id for link in settled.links] == [send.context.span_id]
    assert "faas.trigger" not in attributes_of(settled)
    assert traced.results("pulled") == ["acked", "dead"]
    [letter] = traced.named("dead letter dead")
    assert letter.parent is not None
    assert letter.parent.span_id == traced.named("attempt pulled")[1].context.span_id


async def test_what_is_not_sampled_has_no_spans(tmp_path: Path) -> None:
    traced = Traced(tmp_path, lambda _trace, _cause: False)
    await traced.session.load()
    await traced.send("jobs", "one")
    await traced.advance(1)
    assert traced.named("send jobs") == traced.named("process jobs") == traced.named("attempt jobs") == []
    await traced.session.stop(0.0)


async def test_an_event_loop_that_is_busy_is_not_waited_for_by_those_who_measure(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "LOOK_SECONDS", 0.01)
    reader = InMemoryMetricReader()
    resource = ServiceResources().of("")
    meter = SessionMeter(traced.session, asyncio.get_running_loop(), reader, resource, "1")
    await traced.send("jobs", "one")

    def names() -> set[str]:
        data = reader.get_metrics_data()
        assert data is not None
        return {
            metric.name
            for of_resource in data.resource_metrics
            for of_scope in of_resource.scope_metrics
            for metric in of_scope.metrics
        }

    assert names() == {"emulator_messages_sent"}  # on the loop's own thread, which is busy with this
    assert "emulator_queue_messages" in await asyncio.to_thread(names)
    meter.provider.shutdown()
