"""A collector of OpenTelemetry for tests: takes OTLP over HTTP, and keeps what it is sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

DEADLINE_SECONDS = 20.0


class Span(NamedTuple):
    """A span as it was exported. Ids are hex digits; `links` are the ids of spans, `events` names by their
    attributes, and `status` is an error's text or None."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    began: int
    ended: int
    links: list[tuple[str, str]]
    attributes: dict[str, Any]
    events: dict[str, dict[str, Any]]
    error: str | None


class Record(NamedTuple):
    """A log record as it was exported."""

    service: str
    logger: str
    severity: str
    text: str
    trace: str
    span: str
    attributes: dict[str, Any]


class Point(NamedTuple):
    """A point of a metric: its value, or of a histogram its count."""

    name: str
    value: float
    attributes: dict[str, Any]


class Collector:
    """What was exported so far."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.records: list[Record] = []
        self.points: list[Point] = []
        self.headers: list[Mapping[str, str]] = []
        self.url = ""
        self._changed = threading.Condition()

    def take(self, path: str, content: bytes, headers: Mapping[str, str]) -> None:
        with self._changed:
            self.headers.append(headers)
            if path == "/v1/traces":
                self.spans += _spans(ExportTraceServiceRequest.FromString(content))
            elif path == "/v1/logs":
                self.records += _records(ExportLogsServiceRequest.FromString(content))
            elif path == "/v1/metrics":
                self.points += _points(ExportMetricsServiceRequest.FromString(content))
            else:
                raise AssertionError(path)
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[Collector], bool]) -> None:
        """Wait until what has come satisfies `condition`."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), DEADLINE_SECONDS):
                raise AssertionError([each.name for each in self.spans], self.records)

    def named(self, name: str) -> list[Span]:
        """The spans of that name, in the order in which they began."""
        return sorted((span for span in self.spans if span.name == name), key=lambda span: span.began)

    def below(self, parent: Span) -> list[str]:
        """The names of the spans that are part of another, sorted."""
        return sorted(span.name for span in self.spans if (span.trace, span.parent) == (parent.trace, parent.id))

    def logged(self, span: Span) -> list[str]:
        """What was logged in a span."""
        return [record.text for record in self.records if (record.trace, record.span) == (span.trace, span.id)]

    def last(self, name: str, **attributes: object) -> float | None:
        """The last value of a metric."""
        values = [
            point.value
            for point in self.points
            if point.name == name and attributes.items() <= point.attributes.items()
        ]
        return values[-1] if values else None


@contextmanager
def collecting(status: int = 200) -> Iterator[Collector]:
    """A collector at `url`, which answers with `status`."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                content = gzip.decompress(content)
            collector.take(self.path, content, dict(self.headers.items()))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_values: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _service(resource: Any) -> str:
    return str(_attributes(resource.attributes)["service.name"])


def _spans(request: Any) -> Iterator[Span]:
    for of_resource in request.resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Span(
                    _service(of_resource.resource),
                    span.name,
                    span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                    _attributes(span.attributes),
                    {event.name: _attributes(event.attributes) for event in span.events},
                    span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else None,
                )


def _records(request: Any) -> Iterator[Record]:
    for of_resource in request.resource_logs:
        for of_scope in of_resource.scope_logs:
            for record in of_scope.log_records:
                yield Record(
                    _service(of_resource.resource),
                    of_scope.scope.name,
                    record.severity_text,
                    record.body.string_value,
                    record.trace_id.hex(),
                    record.span_id.hex(),
                    _attributes(record.attributes),
                )


def _points(request: Any) -> Iterator[Point]:
    for of_resource in request.resource_metrics:
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                kind = metric.WhichOneof("data")
                for point in getattr(metric, kind).data_points:
                    value = point.count if kind == "histogram" else getattr(point, point.WhichOneof("value"))
                    yield Point(metric.name, value, _attributes(point.attributes))
