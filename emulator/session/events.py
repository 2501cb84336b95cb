"""What happens to the workers of a session as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emulator.base.failure import Failure


@dataclass(slots=True)
class WorkerReloaded:
    """A worker runs new code (`failure` None), or its new code does not load and its events are held until it does.
    `duration` is in seconds, and `files` are what changed."""

    worker: str
    files: Sequence[str]
    duration: float
    failure: Failure | None = None


@dataclass(slots=True)
class ConfigurationChanged:
    """A configuration was read again. `changes` says in words what is different now."""

    file: str
    changes: Sequence[str]
