"""Checks that several workers can run in one session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from emulator.base.errors import ConfigError, Problem
from emulator.config.document import problem_at
from emulator.config.model import Place, WorkerConfig

if TYPE_CHECKING:
    from emulator.config.kind import ConfigKind


def check_conflicts(workers: Sequence[WorkerConfig], kinds: Iterable[ConfigKind]) -> None:
    """Raise `ConfigError` if two workers have the same name, or if a binding kind reports a conflict between them. Each
    problem names both places."""
    problems = [*_taken_names(workers), *(problem for kind in kinds for problem in kind.conflicts(workers))]
    if problems:
        raise ConfigError(problems)


def _taken_names(workers: Sequence[WorkerConfig]) -> Iterator[Problem]:
    names: dict[str, Place] = {}
    for worker in workers:
        place = worker.place or Place(str(worker.path), 0, 0, "name")
        if worker.name in names:
            other = names[worker.name]
            yield problem_at(
                place, f'another worker already has the name "{worker.name}", at {other.where}', code="name-taken"
            )
        names.setdefault(worker.name, place)
