"""Tells to which invocation of a JavaScript worker an operation on a binding, or a line of output, belongs.

workerd does not tell that to whoever answers bindings, and a process runs many invocations at once. So while somebody
needs to know, a process has LANES more ways in, each of which one invocation takes at a time. `lanes.js` keeps the
number of the way in its asynchronous context. It marks with it what the worker logs, and calls, in place of a binding,
a twin whose requests name the lane in a header. The worker sees none of that. What does not get a lane, because too
many run at once, is not known to belong to anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from emulator.base.acts import Act, acting
from emulator.bindings.wiring import Answered, ExtensionModule, Value, Wiring
from emulator.hosts.triggers import Trigger

LANES: Final = 16
"""How many invocations of a process can be told apart."""

LANE_HEADER: Final = "x-emulator-lane"
"""The header with the lane of a request: of a binding, of which process too, as `ID/NUMBER`; or of a delivery."""

BINDING: Final = "emulator lanes"
"""The name of the binding by which `lanes.js` gets what keeps the number of a lane; it removes it from `env`."""

MARK: Final = "@"
"""What follows the token in a line of output that is marked with a lane."""

_MODULE: Final = "emulator:lanes"
_SOURCE: Final = """
import hooks from "node-internal:async_hooks";
export default ({ marks }) => ({ marks, storage: new hooks.AsyncLocalStorage() });
"""


class Lanes:
    """The lanes of one process of `worker`, which can be found in `known` by their `id` until they are closed. There
    are `count` of them, which may be 0: then an operation belongs to the only invocation that runs, if that is so.
    Where a debugger watches, output is not marked and no `fetch()` is told of, as debuggers show all output."""

    def __init__(
        self,
        id: str,  # noqa: A002
        known: MutableMapping[str, Lanes],
        worker: str = "",
        *,
        is_watched: bool = False,
        count: int = LANES,
    ) -> None:
        self.id = id
        self.count = count
        self.worker = worker
        self.is_watched = is_watched
        self._known = known
        self._free = deque(range(1, count + 1))
        self._running: dict[Trigger[Any], Act | None] = {}
        self._numbers: dict[Trigger[Any], int] = {}
        self._taken: dict[int, tuple[Trigger[Any], Act | None]] = {}
        known[id] = self

    def close(self) -> None:
        """The process has ended."""
        self._known.pop(self.id, None)

    def enter(self, trigger: Trigger[Any]) -> None:
        """An invocation begins here: give it a lane, if one is free, the one that has been free for longest."""
        self._running[trigger] = acting.get()
        if self._free:
            number = self._numbers[trigger] = self._free.popleft()
            self._taken[number] = trigger, acting.get()

    def leave(self, trigger: Trigger[Any]) -> None:
        """It has ended. What it does after that, as `waitUntil` work, is known until its lane is taken again."""
        self._running.pop(trigger, None)
        number = self._numbers.pop(trigger, 0)
        if number:
            self._free.append(number)

    def number_of(self, trigger: Trigger[Any]) -> int:
        """The lane of an invocation; 0 if it has none."""
        return self._numbers.get(trigger, 0)

    def trigger_of(self, number: int) -> Trigger[Any] | None:
        """What was invoked on a lane last."""
        taken = self._taken.get(number)
        return None if taken is None else taken[0]

    def act_of(self, number: int) -> Act | None:
        """In what act that was."""
        taken = self._taken.get(number)
        return None if taken is None else taken[1]

    def only_act(self) -> Act | None:
        """The act of the only invocation that runs; None if there are several, or none."""
        return next(iter(self._running.values())) if len(self._running) == 1 else None

    def wiring(self) -> Wiring:
        """The binding that `lanes.js` gets."""
        inner: Value = [{"name": "marks", "json": str(not self.is_watched).lower()}]
        wrapped: Value = {"moduleName": _MODULE, "innerBindings": inner}
        return Wiring(BINDING, {"wrapped": wrapped}, modules=(ExtensionModule(_MODULE, _SOURCE),))


def act_of_request(known: Mapping[str, Lanes], value: bytes) -> Act | None:
    """The act that a request of a binding is part of, by its header."""
    identifier, _, number = value.decode("latin-1").partition("/")
    lanes = known.get(identifier)
    return None if lanes is None else lanes.act_of(int(number))


def only_act_of(known: Mapping[str, Lanes], worker: str) -> Act | None:
    """The act that a request without that header is part of: that of the only invocation of the worker, if it is."""
    acts = [act for lanes in known.values() if lanes.worker == worker and (act := lanes.only_act()) is not None]
    return acts[0] if len(acts) == 1 else None


def has_twins(wiring: Wiring) -> bool:
    """Whether the requests of a binding are all answered here, so that it can have twins."""
    services = wiring.services.values()
    return bool(wiring.binding and services) and all(isinstance(service, Answered) for service in services)


def twin(wiring: Wiring, number: int) -> Wiring:
    """The twin of a binding for one lane."""
    return Wiring(f"{BINDING} {number} {wiring.name}", wiring.binding, wiring.services)
