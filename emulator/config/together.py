"""What must hold between the workers of one session."""

from __future__ import annotations

from collections.abc import Sequence

from emulator.base.errors import ConfigError, Problem
from emulator.config.document import problem_at
from emulator.config.model import Place, WorkerConfig


def check_together(configs: Sequence[WorkerConfig]) -> None:
    """Raise `ConfigError` when two workers have one name, or consume one queue; each problem names both places."""
    problems: list[Problem] = []
    workers: dict[str, Place] = {}
    consumers: dict[str, tuple[str, Place]] = {}
    for config in configs:
        place = config.place or Place(str(config.path), 0, 0, "name")
        if config.name in workers:
            problems.append(
                problem_at(
                    place, f'another worker has the name "{config.name}" already, at {_where(workers[config.name])}'
                )
            )
        workers.setdefault(config.name, place)
        for consumer in config.consumers:
            place = consumer.place or Place(str(config.path), 0, 0, "queues.consumers")
            if consumer.queue in consumers:
                worker, other = consumers[consumer.queue]
                problems.append(
                    problem_at(
                        place,
                        f'"{consumer.queue}" already has a consumer, the worker {worker} at {_where(other)}; '
                        "a queue has one at most",
                    )
                )
            consumers.setdefault(consumer.queue, (config.name, place))
    if problems:
        raise ConfigError(problems)


def _where(place: Place) -> str:
    return f"{place.file}:{place.line}:{place.column}" if place.line else place.file
