"""What happens to the workers of a session."""

from __future__ import annotations

from collections.abc import Sequence

from emulator.base.bus import Happening
from emulator.base.failure import Failure


class WorkerReloaded(Happening):
    """A worker runs new code (`failure` is None), or its new code failed to load and its messages are held until it
    does. `duration` is in seconds, and `files` are the files that changed."""

    worker: str
    files: Sequence[str]
    duration: float
    failure: Failure | None = None


class ConfigurationChanged(Happening):
    """A configuration was read again. `changes` describes the differences."""

    file: str
    changes: Sequence[str]


class AssetsChanged(Happening):
    """Files changed that a worker serves as they are."""

    worker: str
    files: Sequence[str]
