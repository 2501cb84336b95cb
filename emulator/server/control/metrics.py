"""What Prometheus reads of a session: the queues as they are, and what has become of messages.

Nothing is counted before it is asked for the first time, so that a session that nobody watches is not slower.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from emulator.base.installing import install_command
from emulator.queues.events import BatchDelivered, SendCounted
from emulator.session.depths import DURATION_BUCKETS, depths
from emulator.session.session import Session


class MetricsPage:
    """Answers with the metrics of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._metrics: SessionMetrics | None = None

    async def answer(self, _request: Request) -> Response:
        """The metrics in the text format of Prometheus."""
        try:
            from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
        except ModuleNotFoundError:
            command = install_command("prometheus-client")
            text = f"Metrics need the package prometheus-client: install it with `{command}`\n"
            return PlainTextResponse(text, 501)
        if self._metrics is None:
            self._metrics = SessionMetrics(self._session)
        await self._metrics.look()
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)


class SessionMetrics:
    """Counts what happens in a session from now on."""

    def __init__(self, session: Session) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        registry = self.registry = CollectorRegistry()
        self._session = session
        queue = ["queue"]
        self._messages = Gauge("emulator_queue_messages", "Messages that are not acked yet", queue, registry=registry)
        self._bytes = Gauge("emulator_queue_bytes", "Bytes of their bodies", queue, registry=registry)
        self._age = Gauge(
            "emulator_queue_oldest_seconds", "How long ago the oldest of them was sent", queue, registry=registry
        )
        self._in_flight = Gauge(
            "emulator_queue_in_flight", "Messages that handlers of this session have now", queue, registry=registry
        )
        self._sent = Counter(
            "emulator_messages_sent",
            "Messages that entered a queue, by who sent them",
            ["queue", "source"],
            registry=registry,
        )
        self._settled = Counter(
            "emulator_messages_settled",
            "Messages whose delivery ended in this session, by what became of them",
            ["queue", "result"],
            registry=registry,
        )
        self._deliveries = Histogram(
            "emulator_delivery_seconds",
            "How long deliveries of batches took, by how the handler ended",
            ["queue", "worker", "outcome"],
            registry=registry,
            buckets=DURATION_BUCKETS,
        )
        session.bus.subscribe(SendCounted, self._on_sent)
        session.bus.subscribe(BatchDelivered, self._on_delivered)

    async def look(self) -> None:
        """Look at the queues as they are now."""
        for gauge in (self._messages, self._bytes, self._age, self._in_flight):
            gauge.clear()
        for name, depth in (await depths(self._session)).items():
            self._messages.labels(name).set(depth.messages)
            self._bytes.labels(name).set(depth.bytes)
            self._age.labels(name).set(depth.oldest_seconds)
            self._in_flight.labels(name).set(depth.in_flight)

    def _on_sent(self, event: SendCounted) -> None:
        self._sent.labels(event.queue, event.source).inc(event.count)

    def _on_delivered(self, event: BatchDelivered) -> None:
        for result, messages in event.settlement.by_result():
            if messages:
                self._settled.labels(event.queue, result).inc(len(messages))
        self._deliveries.labels(event.queue, event.worker, event.verdict.outcome).observe(event.duration)
