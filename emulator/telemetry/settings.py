"""What the `OTEL_*` variables of the specification ask for. The SDK reads the others itself: headers, time limits,
batches, samplers, attributes of the resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

SIGNALS: Final = ("traces", "logs", "metrics")

_PROTOCOL: Final = "http/protobuf"
_DEFAULT_ENDPOINT: Final = "http://localhost:4318"
_OTLP: Final = "OTEL_EXPORTER_OTLP"


class TelemetrySettings(msgspec.Struct, frozen=True):
    """Where each signal of SIGNALS that is exported goes, by a URL without its path. With `follows`, a request's
    `traceparent` is its cause. `problems` are sentences about what was asked for and is not done."""

    endpoints: Mapping[str, str]
    follows: bool = True
    problems: Sequence[str] = ()


def read_settings(environment: Mapping[str, str]) -> TelemetrySettings:
    """What `environment` asks for. A signal is exported if an endpoint is given, for it or for all, or if its exporter
    is said to be `otlp`; a variable that is empty counts as none."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return TelemetrySettings({})
    endpoints: dict[str, str] = {}
    problems: list[str] = []
    for signal in SIGNALS:
        name = signal.upper()
        exporters = _listed(environment.get(f"OTEL_{name}_EXPORTER", ""))
        endpoint = environment.get(f"{_OTLP}_{name}_ENDPOINT") or environment.get(f"{_OTLP}_ENDPOINT") or ""
        problems += [
            f"OTEL_{name}_EXPORTER={exporter}: the emulator exports {signal} by otlp only"
            for exporter in exporters
            if exporter not in {"otlp", "none"}
        ]
        if "otlp" not in exporters and (exporters or not endpoint):
            continue
        protocol = environment.get(f"{_OTLP}_{name}_PROTOCOL") or environment.get(f"{_OTLP}_PROTOCOL") or _PROTOCOL
        if protocol == _PROTOCOL:
            endpoints[signal] = _origin(endpoint or _DEFAULT_ENDPOINT)
        else:
            problems.append(f"{_OTLP}_PROTOCOL={protocol}: the emulator exports {signal} by {_PROTOCOL} only")
    propagators = _listed(environment.get("OTEL_PROPAGATORS", ""))
    return TelemetrySettings(endpoints, not propagators or "tracecontext" in propagators, problems)


def _listed(value: str) -> list[str]:
    return [each for part in value.split(",") if (each := part.strip().lower())]


def _origin(url: str) -> str:
    """A URL without its path, and without a password."""
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    return f"{scheme}://{host}" if host else url
