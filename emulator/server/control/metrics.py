"""What Prometheus reads of a session: the queues as they are, and what has become of messages.

Nothing is counted before it is asked for the first time, so that a session that nobody watches is not slower.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from emulator.base.installing import install_command
from emulator.queues.errors import QueueError
from emulator.queues.events import BatchDelivered, MessagesSent
from emulator.session.session import Session

DURATION_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 900.0)
"""Upper limits of durations of deliveries, in seconds."""


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
        session.bus.subscribe(MessagesSent, self._on_sent)
        session.bus.subscribe(BatchDelivered, self._on_delivered)

    async def look(self) -> None:
        """Look at the queues as they are now."""
        queues, now = self._session.queues, self._session.clock.now()
        for gauge in (self._messages, self._bytes, self._age, self._in_flight):
            gauge.clear()
        for name in list(queues.states):
            try:
                backlog = await queues.backlog(name)
            except QueueError:
                continue  # deleted meanwhile, or its engine is away
            oldest = backlog.oldest_message_timestamp
            self._messages.labels(name).set(backlog.backlog_count)
            self._bytes.labels(name).set(backlog.backlog_bytes)
            self._age.labels(name).set(0 if oldest is None else max(0.0, now - oldest))
            self._in_flight.labels(name).set(queues.in_flight(name))

    def _on_sent(self, event: MessagesSent) -> None:
        self._sent.labels(event.queue, event.source).inc(len(event.messages))

    def _on_delivered(self, event: BatchDelivered) -> None:
        settlement = event.settlement
        for result, messages in (
            ("acked", settlement.acked),
            ("retried", settlement.retried),
            ("dead", settlement.dead),
            ("dropped", settlement.dropped),
            ("expired", settlement.expired),
        ):
            if messages:
                self._settled.labels(event.queue, result).inc(len(messages))
        self._deliveries.labels(event.queue, event.worker, event.verdict.outcome).observe(event.duration)
