"""The open kinds of one session. They give each worker its bindings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emulator.bindings.env import Env
from emulator.bindings.kind import BindingKind, Front, OpenKind, Resources
from emulator.config.model import WorkerConfig

if TYPE_CHECKING:
    from emulator.bindings.wiring import Wiring


class OpenKinds:
    """Opens `kinds` in one session. If two bindings have the same name, the later kind's is used."""

    def __init__(self, kinds: Sequence[BindingKind[Any]], resources: Resources) -> None:
        self.kinds = tuple(kinds)
        self.tallies = resources.tallies
        self._open: dict[str, OpenKind[Any]] = {kind.name: kind.open(resources) for kind in self.kinds}

    def __getitem__(self, kind: str) -> OpenKind[Any]:
        return self._open[kind]

    def env(self, worker: WorkerConfig, doubles: Mapping[str, Any]) -> Env:
        """The `env` of a Python worker. `doubles` are a test's replacements for declared bindings."""
        held: dict[str, Any] = {}
        for kind, bindings in in_force(self.kinds, worker):
            if bindings:
                held.update(self._open[kind.name].for_python(worker, bindings))
        held.update(doubles)
        return Env(held, worker.path.name, self._hint())

    def wirings(self, worker: WorkerConfig) -> list[tuple[str, Wiring]]:
        """The wirings of a JavaScript worker, each with the name of its kind."""
        return [
            (kind.name, wiring)
            for kind, bindings in in_force(self.kinds, worker)
            for wiring in self._open[kind.name].for_workerd(worker, bindings)
        ]

    def front(self, worker: WorkerConfig) -> Front | None:
        """What answers requests before the worker's code; None if nothing does."""
        fronts = (open_kind.front(worker) for open_kind in self._open.values())
        return next((front for front in fronts if front is not None), None)

    def _hint(self) -> str:
        """How to declare a name: `A variable goes under "vars", a secret into .dev.vars`."""
        ways = [kind.declared_as for kind in self.kinds if kind.declared_as is not None]
        phrases = [
            f"{what} goes {where}" if index == 0 else f"{what} {where}" for index, (what, where) in enumerate(ways)
        ]
        text = ", ".join(phrases)
        return text[:1].upper() + text[1:]

    async def close(self) -> None:
        """Close all open kinds. The session's workers have stopped."""
        for open_kind in self._open.values():
            await open_kind.close()


def in_force(kinds: Sequence[BindingKind[Any]], worker: WorkerConfig) -> list[tuple[BindingKind[Any], dict[str, Any]]]:
    """Each kind with the worker's bindings that it provides: those whose name no later kind has."""
    names = {name: kind for kind in kinds for name in kind.bindings(worker)}
    return [
        (kind, {name: settings for name, settings in kind.bindings(worker).items() if names[name] is kind})
        for kind in kinds
    ]
