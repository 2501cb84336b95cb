"""What reading, comparing and checking configurations needs to know of a binding kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Protocol

from emulator.base.errors import Problem
from emulator.config.model import WorkerConfig
from emulator.config.section import Draft, Key, Section


class ConfigKind(Protocol):
    """A binding kind. `name` is what its bindings carry in a WorkerConfig, and `keys` belong to it alone."""

    name: ClassVar[str]
    keys: Mapping[str, Key]

    def read(self, section: Section) -> None:
        """Take what stands in a section under this kind's keys. Whatever it holds, this does not raise."""

    def complete(self, draft: Draft) -> None:
        """Add what does not stand in the file, or look at what only shows when all of it has been read."""

    def changes(self, old: WorkerConfig, new: WorkerConfig) -> Iterable[str]:
        """In words, what is different: `var GREETING added`."""

    def conflicts(self, workers: Sequence[WorkerConfig]) -> Iterable[Problem]:
        """What keeps workers from running in one session."""
