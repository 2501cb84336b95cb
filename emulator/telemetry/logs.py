"""Makes log records of what workers print, log and raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.trace import NonRecordingSpan, set_span_in_context

from emulator.base.bus import Bus, Level
from emulator.hosts.events import HandlerFailed, WorkerOutput
from emulator.telemetry.resources import SCOPE, ServiceResources
from emulator.telemetry.spans import span_context

_SEVERITIES: Final[dict[Level, tuple[SeverityNumber, str]]] = {
    "debug": (SeverityNumber.DEBUG, "DEBUG"),
    "info": (SeverityNumber.INFO, "INFO"),
    "warning": (SeverityNumber.WARN, "WARN"),
    "error": (SeverityNumber.ERROR, "ERROR"),
}


class Logs:
    """Gives log records to `processor`: of what `bus` tells, with times in seconds since the epoch by `now`."""

    def __init__(
        self, bus: Bus, now: Callable[[], float], processor: LogRecordProcessor, resources: ServiceResources
    ) -> None:
        self._now = now
        self._processor = processor
        self._resources = resources
        self._providers: dict[str, LoggerProvider] = {}
        bus.subscribe(WorkerOutput, self._on_output)
        bus.subscribe(HandlerFailed, self._on_failed)

    def _on_output(self, event: WorkerOutput) -> None:
        attributes = {"emulator.trigger": event.trigger}
        self._write(event, event.level, event.text, attributes, logger=event.logger)

    def _on_failed(self, event: HandlerFailed) -> None:
        failure = event.failure
        attributes = {
            "emulator.trigger": event.trigger,
            "exception.type": failure.type,
            "exception.message": failure.summary,
            "exception.stacktrace": failure.text,
        }
        self._write(event, "error", failure.summary, attributes)

    def _write(
        self,
        event: WorkerOutput | HandlerFailed,
        level: Level,
        text: str,
        attributes: dict[str, str],
        *,
        logger: str = "",
    ) -> None:
        number, severity = _SEVERITIES[level]
        now = round(self._now() * 1_000_000) * 1000
        context = Context()
        if event.act is not None:
            context = set_span_in_context(NonRecordingSpan(span_context(event.act)), context)
        record = LogRecord(
            timestamp=now,
            observed_timestamp=now,
            context=context,
            severity_text=severity,
            severity_number=number,
            body=text,
            attributes={name: value for name, value in attributes.items() if value},
        )
        self._logger(event.worker, logger).emit(record)

    def _logger(self, worker: str, name: str) -> Logger:
        provider = self._providers.get(worker)
        if provider is None:
            provider = self._providers[worker] = LoggerProvider(self._resources.of(worker), shutdown_on_exit=False)
            provider.add_log_record_processor(self._processor)
        return provider.get_logger(name or SCOPE, "" if name else self._resources.version)
