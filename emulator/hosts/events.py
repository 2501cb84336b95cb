"""What happens while worker code runs."""

from __future__ import annotations

from emulator.base.bus import Happening, Level
from emulator.base.failure import Failure


class HandlerFailed(Happening):
    """Worker code raised an exception. `trigger` is what it was invoked for: `GET /signup`, `QUEUE my-app-events`,
    `SCHEDULED * * * * *`, `waitUntil`."""

    worker: str
    trigger: str
    failure: Failure


class WorkerOutput(Happening):
    """A line that worker code printed or logged. `trigger` is as in HandlerFailed; empty while the code is imported."""

    worker: str
    trigger: str
    level: Level
    text: str
    logger: str = ""


class FetchFinished(Happening):
    """A `fetch()` of worker code ended: the headers of an answer arrived, or `error` says why there is none, and
    `status` is 0. `url` has no credentials, and `duration` is in seconds. A JavaScript worker tells of it only if the
    bus had `acts` when it was started."""

    worker: str
    method: str
    url: str
    status: int
    duration: float
    error: str = ""


class ScheduledFinished(Happening):
    """A `scheduled` handler ended; `duration` is in seconds."""

    worker: str
    cron: str
    outcome: str
    duration: float


class EmailFinished(Happening):
    """An `email` handler ended. `rejected` is why it rejected the message, empty if it did not; `duration` is in
    seconds."""

    worker: str
    sender: str
    recipient: str
    outcome: str
    rejected: str
    duration: float


class RuntimeExited(Happening):
    """The process that runs a worker ended by itself, or could not be started again. `reason` completes `workerd ...`:
    `was killed by SIGKILL`. It is started again `restart_seconds` later, where 0 is at once."""

    worker: str
    reason: str
    restart_seconds: float
