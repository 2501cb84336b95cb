"""The open kinds of one session. They give each worker its bindings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emulator.bindings.env import Env
from emulator.bindings.kind import BindingKind, Front, OpenKind, Resources
from emulator.config.model import WorkerConfig

if TYPE_CHECKING:
    from pathlib import Path

    from emulator.bindings.wiring import Wiring


class OpenKinds:
    """Opens `kinds` in one session. If two bindings have the same name, the later kind's is used. `doubles` are a
    test's replacements for bindings, by name."""

    def __init__(
        self, kinds: Sequence[BindingKind[Any]], resources: Resources, doubles: Mapping[str, Any] | None = None
    ) -> None:
        self.kinds = tuple(kinds)
        self.tallies = resources.tallies
        self._doubles = doubles or {}
        self._open: dict[str, OpenKind[Any]] = {kind.name: kind.open(resources) for kind in self.kinds}

    def __getitem__(self, kind: str) -> OpenKind[Any]:
        return self._open[kind]

    def env(self, worker: WorkerConfig) -> Env:
        """The `env` of a Python worker."""
        held: dict[str, Any] = {}
        for kind, bindings in in_force(self.kinds, worker):
            if bindings:
                held.update(self._open[kind.name].for_python(worker, bindings))
        held.update(self._doubles)
        return Env(held, worker.path.name, self._hint())

    def wirings(self, worker: WorkerConfig) -> list[tuple[str, Wiring]]:
        """The wirings of a JavaScript worker, each with the name of its kind."""
        wirings = [
            (kind.name, wiring)
            for kind, bindings in in_force(self.kinds, worker)
            for wiring in self._open[kind.name].for_workerd(worker, bindings)
            if not wiring.binding or wiring.name not in self._doubles
        ]
        if self._doubles:
            from emulator.bindings import double  # only tests have them

            wirings += [(double.KIND, double.wire(name, each)) for name, each in self._doubles.items()]
        return wirings

    def served(self, worker: WorkerConfig) -> list[Path]:
        """The directories whose files are served as they are."""
        return [path for kind in self.kinds for path in kind.served(worker)]

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
