"""Exports what happens in a session over OTLP, with the SDK of OpenTelemetry.

Nothing waits for a collector: what is to be exported is queued and sent on threads of the SDK's, and dropped where that
takes too long.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from emulator.base.acts import Acts, RemoteAct
from emulator.base.bus import Notice
from emulator.session.session import Session
from emulator.telemetry.logs import Logs
from emulator.telemetry.metrics import SessionMeter
from emulator.telemetry.resources import ServiceResources
from emulator.telemetry.settings import TelemetrySettings
from emulator.telemetry.spans import Spans

FLUSH_SECONDS: Final = 3.0
"""How long the end of a session waits until what is left has been exported."""

_LOGGER: Final = logging.getLogger("opentelemetry")


class Telemetry:
    """Exports the signals that `settings` name, from now on; `during` ends that."""

    def __init__(self, session: Session, settings: TelemetrySettings) -> None:
        self._session = session
        self._settings = settings
        self._resources = ServiceResources()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_away = False
        self._ends: list[Callable[[], object]] = []
        """What flushes and ends each signal."""
        self._exporters: list[Any] = []
        self._restore_logger = _quieten()
        now, bus = session.clock.now, session.bus
        if "traces" in settings.endpoints or "logs" in settings.endpoints:
            bus.follow(Acts(now, _sampler(), follows=settings.follows))
        if "traces" in settings.endpoints:
            spans = BatchSpanProcessor(self._told(OTLPSpanExporter(), "traces"))
            self._ends.append(spans.shutdown)
            Spans(bus, now, spans, self._resources)
        if "logs" in settings.endpoints:
            records = BatchLogRecordProcessor(self._told(OTLPLogExporter(), "logs"))
            self._ends.append(records.shutdown)
            Logs(bus, now, records, self._resources)

    async def during(self, running: Coroutine[Any, Any, None]) -> None:
        """Await `running`, which runs the session, then export what is left."""
        self._loop = asyncio.get_running_loop()
        if "metrics" in self._settings.endpoints:
            reader = PeriodicExportingMetricReader(self._told(OTLPMetricExporter(), "metrics"))
            resource = self._resources.of(self._session.configs[0].name)
            metrics = SessionMeter(self._session, self._loop, reader, resource, self._resources.version)
            self._ends.append(metrics.provider.shutdown)
        try:
            await running
        finally:
            await self._end(self._loop)

    async def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        done = asyncio.Event()

        def end() -> None:
            for each in self._ends:
                each()
            self._restore_logger()
            with suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(done.set)

        # Not in an executor, whose threads the interpreter waits for: a collector may not answer.
        threading.Thread(target=end, name="emulator-telemetry", daemon=True).start()
        try:
            await asyncio.wait_for(done.wait(), FLUSH_SECONDS)
        except TimeoutError:
            for exporter in self._exporters:
                exporter.shutdown()

    def _told(self, exporter: Any, signal: str) -> Any:
        """The exporter, which says once that nothing takes what it exports."""
        self._exporters.append(exporter)
        original = exporter.export

        def export(*values: Any, **options: Any) -> Any:
            is_taken = False
            try:
                result = original(*values, **options)
                is_taken = result.name == "SUCCESS"
                return result
            finally:
                if not is_taken and not self._is_away and self._loop is not None:
                    self._is_away = True
                    with suppress(RuntimeError):  # the session has ended
                        self._loop.call_soon_threadsafe(self._tell_away, signal)

        exporter.export = export
        return exporter

    def _tell_away(self, signal: str) -> None:
        place = self._settings.endpoints[signal]
        text = f"OpenTelemetry: {place} does not take {signal}; what cannot be exported is dropped"
        self._session.bus.publish(Notice("warning", text))


def _sampler() -> Callable[[str, RemoteAct | None], bool]:
    """The sampler that OTEL_TRACES_SAMPLER names."""
    sampler = TracerProvider(shutdown_on_exit=False).sampler

    def sample(trace: str, cause: RemoteAct | None) -> bool:
        context = Context()
        if cause is not None:
            flags = TraceFlags(TraceFlags.SAMPLED if cause.is_sampled else TraceFlags.DEFAULT)
            remote = SpanContext(int(trace, 16), int(cause.id, 16), is_remote=True, trace_flags=flags)
            context = set_span_in_context(NonRecordingSpan(remote), context)
        return sampler.should_sample(context, int(trace, 16), "").decision is Decision.RECORD_AND_SAMPLE

    return sample


def _quieten() -> Callable[[], None]:
    """Let the SDK say nothing of its own, until the returned function is called: what matters is said once, as a
    sentence."""
    handler, propagated = logging.NullHandler(), _LOGGER.propagate
    _LOGGER.addHandler(handler)
    _LOGGER.propagate = False

    def restore() -> None:
        _LOGGER.removeHandler(handler)
        _LOGGER.propagate = propagated

    return restore
