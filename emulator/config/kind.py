"""The part of a binding kind that reads, compares and checks configurations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Protocol

from emulator.base.errors import Problem
from emulator.config.model import WorkerConfig
from emulator.config.section import Draft, Key, Section


class ConfigKind(Protocol):
    """A binding kind. `name` is the `kind` of its bindings in a WorkerConfig; no other kind has its `keys`."""

    name: ClassVar[str]
    keys: Mapping[str, Key]

    def read(self, section: Section) -> None:
        """Read a section's values under this kind's keys. Does not raise, whatever they are."""

    def complete(self, draft: Draft) -> None:
        """Add what is not in the file, and do the checks that need the whole file."""

    def changes(self, old: WorkerConfig, new: WorkerConfig) -> Iterable[str]:
        """Describe the differences, as in `var GREETING added`."""

    def conflicts(self, workers: Sequence[WorkerConfig]) -> Iterable[Problem]:
        """The reasons why these workers cannot run in one session."""
