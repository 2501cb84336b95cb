"""Measures a session: its queues as they are, what becomes of messages, and how long handlers take. The names are those
of the page for Prometheus, where that has the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError
from typing import Final

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource

from emulator.bindings.events import BindingUsed
from emulator.hosts.events import ScheduledFinished
from emulator.queues.events import BatchDelivered, SendCounted
from emulator.server.events import RequestFinished
from emulator.session.depths import DURATION_BUCKETS, Depth, depths
from emulator.session.session import Session
from emulator.telemetry.resources import SCOPE

LOOK_SECONDS: Final = 2.0
"""How long the thread that exports waits for the event loop, which a handler may block."""

_GAUGES: Final[Mapping[str, tuple[str, str, Callable[[Depth], float]]]] = {
    "emulator_queue_messages": ("", "Messages that are not acked yet", lambda depth: depth.messages),
    "emulator_queue_bytes": ("By", "Bytes of their bodies", lambda depth: depth.bytes),
    "emulator_queue_oldest_seconds": ("s", "How long ago the oldest of them was sent", lambda it: it.oldest_seconds),
    "emulator_queue_in_flight": ("", "Messages that handlers of this session have now", lambda depth: depth.in_flight),
}


class SessionMeter:
    """Counts what happens in `session` from now on, and reads the depth of its queues on `loop` when `reader` asks, on
    a thread of its own."""

    def __init__(
        self, session: Session, loop: asyncio.AbstractEventLoop, reader: MetricReader, resource: Resource, version: str
    ) -> None:
        self.provider = MeterProvider([reader], resource, shutdown_on_exit=False)
        self._session = session
        self._loop = loop
        meter = self.provider.get_meter(SCOPE, version)
        for name, (unit, text, value) in _GAUGES.items():
            meter.create_observable_gauge(name, [self._observing(value)], unit, text)
        self._sent = meter.create_counter("emulator_messages_sent", "", "Messages that entered a queue")
        self._settled = meter.create_counter(
            "emulator_messages_settled", "", "Attempts that ended, by what became of the message"
        )

        def histogram(name: str, text: str) -> Callable[[float, dict[str, str | int]], None]:
            made = meter.create_histogram(name, "s", text, explicit_bucket_boundaries_advisory=DURATION_BUCKETS)
            return made.record

        self._delivery = histogram("emulator_delivery_seconds", "How long deliveries of batches took")
        self._request = histogram("emulator_request_seconds", "How long answers to requests took")
        self._scheduled = histogram("emulator_scheduled_seconds", "How long scheduled handlers took")
        self._binding = histogram("emulator_binding_seconds", "How long operations on bindings took")
        session.bus.subscribe(SendCounted, self._on_sent)
        session.bus.subscribe(BatchDelivered, self._on_delivered)
        session.bus.subscribe(RequestFinished, self._on_request)
        session.bus.subscribe(ScheduledFinished, self._on_scheduled)
        session.bus.subscribe(BindingUsed, self._on_used)

    def _observing(self, value: Callable[[Depth], float]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            return [Observation(value(depth), {"queue": name}) for name, depth in self._look().items()]

        return observe

    def _look(self) -> Mapping[str, Depth]:
        """How deep the queues are; nothing while the event loop is blocked, or has ended."""
        looking = depths(self._session)
        try:
            found = asyncio.run_coroutine_threadsafe(looking, self._loop)
        except RuntimeError:
            looking.close()
            return {}
        try:
            return found.result(LOOK_SECONDS)
        except (TimeoutError, CancelledError):
            found.cancel()
            return {}

    def _on_sent(self, event: SendCounted) -> None:
        self._sent.add(event.count, {"queue": event.queue, "source": event.source})

    def _on_delivered(self, event: BatchDelivered) -> None:
        for result, messages in event.settlement.by_result():
            if messages:
                self._settled.add(len(messages), {"queue": event.queue, "result": result})
        labels: dict[str, str | int] = {"queue": event.queue, "worker": event.worker, "outcome": event.verdict.outcome}
        self._delivery(event.duration, labels)

    def _on_request(self, event: RequestFinished) -> None:
        self._request(event.duration, {"worker": event.worker, "method": event.method, "status": event.status})

    def _on_scheduled(self, event: ScheduledFinished) -> None:
        self._scheduled(event.duration, {"worker": event.worker, "cron": event.cron, "outcome": event.outcome})

    def _on_used(self, event: BindingUsed) -> None:
        labels: dict[str, str | int] = {"worker": event.worker, "kind": event.kind, "operation": event.operation}
        self._binding(event.duration, labels)
