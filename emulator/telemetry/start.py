"""Exports telemetry while a session runs, if variables of the environment ask for it.

OpenTelemetry is imported only then.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from emulator.base.bus import Notice

if TYPE_CHECKING:
    from emulator.session.session import Session

PREFIX = "OTEL_"


def telling(session: Session, running: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
    """`running`, which runs `session`; while it does, its telemetry is exported as the `OTEL_*` variables say."""
    if not any(name.startswith(PREFIX) for name in os.environ):
        return running
    from emulator.telemetry.settings import read_settings

    settings = read_settings(os.environ)
    for problem in settings.problems:
        session.bus.publish(Notice("warning", problem))
    if not settings.endpoints:
        return running
    try:
        from emulator.telemetry.telemetry import Telemetry
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        from emulator.base.installing import install_command

        command = install_command("workers-emulator[otel]")
        text = (
            f"OTEL_* variables ask for telemetry, which needs OpenTelemetry's packages: install them with `{command}`"
        )
        session.bus.publish(Notice("warning", text))
        return running
    telemetry = Telemetry(session, settings)
    signals: dict[str, list[str]] = {}
    for signal, endpoint in settings.endpoints.items():
        signals.setdefault(endpoint, []).append(signal)
    for endpoint, names in signals.items():
        session.bus.publish(Notice("info", f"OpenTelemetry: {', '.join(names)} to {endpoint}"))
    return telemetry.during(running)
