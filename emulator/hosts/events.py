"""What happens while worker code runs."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.base.bus import Level
from emulator.base.failure import Failure


@dataclass(slots=True)
class HandlerFailed:
    """Worker code raised. `trigger` says in what: `GET /signup`, `QUEUE my-app-events`, `SCHEDULED * * * * *`,
    `waitUntil`."""

    worker: str
    trigger: str
    failure: Failure


@dataclass(slots=True)
class WorkerOutput:
    """A line that worker code printed or logged, and what it belongs to (`trigger` as in HandlerFailed; empty at
    import)."""

    worker: str
    trigger: str
    level: Level
    text: str
    logger: str = ""


@dataclass(slots=True)
class ScheduledFinished:
    """A `scheduled` handler ended; `duration` is in seconds."""

    worker: str
    cron: str
    outcome: str
    duration: float


@dataclass(slots=True)
class RuntimeExited:
    """The process that runs a worker ended by itself, or could not be started again. `reason` completes `workerd ...`:
    `was killed by SIGKILL`. It is started again `restart_seconds` later, where 0 is at once."""

    worker: str
    reason: str
    restart_seconds: float
