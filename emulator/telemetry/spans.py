"""Makes spans of events. An event says what has ended, so each span is begun and ended at once, with the times and ids
of its act."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from emulator.base.acts import Act, read_traceparent
from emulator.base.bus import Bus
from emulator.base.failure import Failure
from emulator.bindings.events import BindingUsed
from emulator.hosts.events import EmailFinished, FetchFinished, HandlerFailed, ScheduledFinished
from emulator.queues.events import BatchDelivered, MessagesDeadLettered, MessagesForwarded, MessagesSent
from emulator.queues.message import QueueMessage
from emulator.server.events import RequestFinished
from emulator.telemetry.resources import SCOPE, ServiceResources

Attributes = Mapping[str, str | int | float | bool]

_SYSTEM: Final = "cloudflare_queues"
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_NOBODYS: Final = frozenset({"api", "forwarded", "test"})
"""Sources of messages that no worker has sent."""

_MOST_FAILURES: Final = 1000
"""How many failures are kept until what failed ends. Those of `waitUntil` come after that, and are only logged."""


class _Ids(IdGenerator):
    """Gives a span the ids of its act."""

    trace = span = 0

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span


class _Error(NamedTuple):
    """Why something failed. `type` and `stack` are those of an exception, if it was one."""

    text: str
    type: str = ""
    stack: str = ""


class Spans:
    """Gives spans to `processor`: of what `bus` tells, with times in seconds since the epoch by `now`."""

    def __init__(
        self, bus: Bus, now: Callable[[], float], processor: SpanProcessor, resources: ServiceResources
    ) -> None:
        self._now = now
        self._processor = processor
        self._resources = resources
        self._ids = _Ids()
        self._tracers: dict[str, Tracer] = {}
        self._failures: dict[str, Failure] = {}
        bus.subscribe(RequestFinished, self._on_request)
        bus.subscribe(ScheduledFinished, self._on_scheduled)
        bus.subscribe(EmailFinished, self._on_email)
        bus.subscribe(MessagesSent, self._on_sent)
        bus.subscribe(MessagesForwarded, self._on_forwarded)
        bus.subscribe(BatchDelivered, self._on_delivered)
        bus.subscribe(MessagesDeadLettered, self._on_dead_lettered)
        bus.subscribe(BindingUsed, self._on_used)
        bus.subscribe(FetchFinished, self._on_fetched)
        bus.subscribe(HandlerFailed, self._on_failed)

    def _on_failed(self, event: HandlerFailed) -> None:
        if event.act is not None:
            self._failures.setdefault(event.act.id, event.failure)
            if len(self._failures) > _MOST_FAILURES:
                del self._failures[next(iter(self._failures))]

    def _on_request(self, event: RequestFinished) -> None:
        path, _, query = event.path.partition("?")
        attributes = {
            **_invoked("http", "fetch"),
            "http.request.method": event.method,
            "url.path": path,
            **({"url.query": query} if query else {}),
            "http.response.status_code": event.status,
        }
        error = self._error_of(event.act)
        if error is None and event.status >= 500:
            error = _Error("")
        self._write(event.worker, event.act, f"{event.method} {path}", SpanKind.SERVER, attributes, error=error)

    def _on_scheduled(self, event: ScheduledFinished) -> None:
        attributes = {**_invoked("timer", "scheduled"), "faas.cron": event.cron, "cloudflare.outcome": event.outcome}
        error = self._error_of(event.act)
        self._write(event.worker, event.act, f"scheduled {event.cron}", SpanKind.INTERNAL, attributes, error=error)

    def _on_email(self, event: EmailFinished) -> None:
        attributes = {
            **_invoked("email", "email"),
            "cloudflare.email.from": event.sender,
            "cloudflare.email.to": event.recipient,
            "cloudflare.outcome": event.outcome,
        }
        error = self._error_of(event.act)
        self._write(event.worker, event.act, f"email {event.recipient}", SpanKind.INTERNAL, attributes, error=error)

    def _on_sent(self, event: MessagesSent) -> None:
        if event.source == "dead letter":
            return  # MessagesDeadLettered tells more of them
        is_redrive = event.source == "redrive"
        worker = "" if is_redrive or event.source in _NOBODYS else event.source
        attributes = _messaging("send", event.queue, event.messages)
        links = _links(event.messages) if is_redrive else ()
        name = f"redrive {event.queue}" if is_redrive else f"send {event.queue}"
        self._write(worker, event.act, name, SpanKind.PRODUCER, attributes, links=links)

    def _on_forwarded(self, event: MessagesForwarded) -> None:
        attributes = _messaging("send", event.queue, event.messages)
        links = _links(event.messages)
        self._write("", event.act, f"forward {event.queue}", SpanKind.PRODUCER, attributes, links=links)

    def _on_delivered(self, event: BatchDelivered) -> None:
        verdict = event.verdict
        operation = "process" if event.worker else "settle"
        attributes = {
            **(_invoked("pubsub", "queue") if event.worker else {}),
            **_messaging(operation, event.queue, event.messages),
            "cloudflare.queue.name": event.queue,
            "cloudflare.queue.batch_size": len(event.messages),
            "cloudflare.outcome": verdict.outcome,
        }
        error = self._error_of(event.act)
        if error is None and verdict.outcome != "ok":
            error = _Error(verdict.error, stack=verdict.traceback)
        name = f"{operation} {event.queue}"
        links = _links(event.messages)
        self._write(event.worker, event.act, name, SpanKind.CONSUMER, attributes, links=links, error=error)
        if event.act is not None and event.act.is_sampled:
            for result, messages in event.settlement.by_result():
                for message in messages:
                    self._attempt(event, event.act.part(message.id), result, message)

    def _attempt(self, event: BatchDelivered, act: Act, result: str, message: QueueMessage) -> None:
        attributes = {
            **_messaging("process", event.queue, (message,)),
            "emulator.attempt": message.attempts,
            "emulator.result": result,
        }
        error = None
        if result != "acked":
            last = message.failures[-1] if message.failures else None
            error = _Error("") if last is None else _Error(last.error or last.outcome)
        name = f"attempt {event.queue}"
        self._write(event.worker, act, name, SpanKind.INTERNAL, attributes, links=_links((message,)), error=error)

    def _on_dead_lettered(self, event: MessagesDeadLettered) -> None:
        if event.act is None:
            return
        for letter in event.messages:
            died = letter.dead_letter
            attributes: Attributes = {
                **_messaging("send", event.to, (letter,)),
                "emulator.dead_letter.queue": event.queue,
                "emulator.dead_letter.attempts": 0 if died is None else len(died.attempts),
                "emulator.dead_letter.error": "" if died is None else died.last_error,
            }
            act = event.act.part(letter.id).part("dead letter")
            self._write("", act, f"dead letter {event.to}", SpanKind.PRODUCER, attributes, began=self._now())

    def _on_used(self, event: BindingUsed) -> None:
        attributes: Attributes = {
            "cloudflare.binding.type": event.kind,
            "cloudflare.binding.name": event.name,
            "emulator.binding.operation": event.operation,
            "emulator.binding.key": event.key,
            "emulator.binding.bytes": event.size,
        }
        error = _Error(event.error) if event.error else None
        name = f"{event.kind}_{event.operation}"
        self._write(event.worker, event.act, name, SpanKind.CLIENT, attributes, error=error)

    def _on_fetched(self, event: FetchFinished) -> None:
        attributes: dict[str, str | int | float | bool] = {
            "http.request.method": event.method,
            "url.full": event.url,
        }
        if event.status:
            attributes["http.response.status_code"] = event.status
        error = _Error(event.error) if event.error or event.status >= 400 else None
        self._write(event.worker, event.act, f"fetch {event.method}", SpanKind.CLIENT, attributes, error=error)

    def _error_of(self, act: Act | None) -> _Error | None:
        """What a handler raised in `act`, if it did."""
        failure = None if act is None else self._failures.pop(act.id, None)
        return None if failure is None else _Error(failure.summary, failure.type, failure.text)

    def _write(
        self,
        worker: str,
        act: Act | None,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        *,
        links: Sequence[Link] = (),
        error: _Error | None = None,
        began: float | None = None,
    ) -> None:
        if act is None or not act.is_sampled:
            return
        self._ids.trace, self._ids.span = int(act.trace, 16), int(act.id, 16)
        context = Context()
        if act.cause:
            parent = SpanContext(self._ids.trace, int(act.cause, 16), kind is SpanKind.SERVER, _SAMPLED)
            context = set_span_in_context(NonRecordingSpan(parent), context)
        begun = _nanoseconds(act.began if began is None else began)
        span = self._tracer(worker).start_span(name, context, kind, attributes, links, begun)
        ended = _nanoseconds(self._now())
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error.text or None))
            if error.stack:
                raised = {"exception.message": error.text, "exception.stacktrace": error.stack}
                if error.type:
                    raised["exception.type"] = error.type
                span.add_event("exception", raised, ended)
        span.end(ended)

    def _tracer(self, worker: str) -> Tracer:
        tracer = self._tracers.get(worker)
        if tracer is None:
            provider = TracerProvider(
                ALWAYS_ON, self._resources.of(worker), shutdown_on_exit=False, id_generator=self._ids
            )
            provider.add_span_processor(self._processor)
            tracer = self._tracers[worker] = provider.get_tracer(SCOPE, self._resources.version)
        return tracer


def span_context(act: Act) -> SpanContext:
    """What OpenTelemetry knows an act by."""
    flags = _SAMPLED if act.is_sampled else TraceFlags(TraceFlags.DEFAULT)
    return SpanContext(int(act.trace, 16), int(act.id, 16), is_remote=False, trace_flags=flags)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000) * 1000


def _invoked(trigger: str, handler: str) -> dict[str, str | int | float | bool]:
    return {"faas.trigger": trigger, "cloudflare.handler_type": handler}


def _messaging(operation: str, queue: str, messages: Sequence[QueueMessage]) -> dict[str, str | int | float | bool]:
    """What the conventions for messaging say of messages."""
    attributes: dict[str, str | int | float | bool] = {
        "messaging.system": _SYSTEM,
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.destination.name": queue,
    }
    if len(messages) == 1:
        attributes["messaging.message.id"] = messages[0].id
        attributes["messaging.message.body.size"] = len(messages[0].body)
    else:
        attributes["messaging.batch.message_count"] = len(messages)
    return attributes


def _links(messages: Iterable[QueueMessage]) -> list[Link]:
    """Links to what sent the messages, each once."""
    links = []
    for traceparent in dict.fromkeys(message.traceparent for message in messages):
        sent = read_traceparent(traceparent)
        if sent is not None:
            flags = _SAMPLED if sent.is_sampled else TraceFlags(TraceFlags.DEFAULT)
            links.append(Link(SpanContext(int(sent.trace, 16), int(sent.id, 16), is_remote=True, trace_flags=flags)))
    return links
