"""What is done on behalf of what: a request, a send, a delivery, an operation on a binding.

While somebody listens who needs it, everything that is done is an `Act` with an id, and knows the act that it is part
of. Events carry it, and a message carries the act that sent it, beside its body. So what happened in a session is one
graph: a request, what it sent, who was given that, and what that did. Ids and their text are those of W3C Trace
Context.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from hashlib import blake2b
from random import Random, SystemRandom
from typing import Final

import msgspec

_TRACEPARENT: Final = r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
_SAMPLED: Final = 1

_PROCESS: Final = SystemRandom().getrandbits(64) or 1
"""The first half of the ids of traces that begin in this process."""


class Act(msgspec.Struct, frozen=True, gc=False):
    """Something that is done, from `began` on, in seconds since the epoch.

    Acts are begun for everything and looked at rarely, so ids are kept as numbers of 64 bits and become text when they
    are asked for. `number` is its own, and `before` that of the act that it is part of, maybe in another program; 0 if
    there is none. `root` is what the trace is: the number of the act that has begun it in this process, or 32 hex
    digits. `is_sampled` says whether it is to be exported.
    """

    number: int
    root: int | str
    before: int
    began: float
    is_sampled: bool = True

    @property
    def id(self) -> str:
        """16 hex digits."""
        return f"{self.number:016x}"

    @property
    def trace(self) -> str:
        """32 hex digits, which it shares with everything that it causes."""
        root = self.root
        return root if isinstance(root, str) else f"{_PROCESS:016x}{root:016x}"

    @property
    def cause(self) -> str:
        """The id of the act that it is part of; empty if there is none."""
        return f"{self.before:016x}" if self.before else ""

    @property
    def traceparent(self) -> str:
        """The text by which others name it as their cause."""
        return f"00-{self.trace}-{self.id}-{self.is_sampled:02x}"

    def part(self, name: str) -> Act:
        """The part of it that is called `name`. It has the same id whenever it is asked for."""
        digest = blake2b(f"{self.id} {name}".encode(), digest_size=8).digest()
        return Act(int.from_bytes(digest, "big") or 1, self.root, self.number, self.began, self.is_sampled)

    def for_others(self) -> Act:
        """The same, as another process can read it."""
        return Act(self.number, self.trace, self.before, self.began, self.is_sampled)


acting: ContextVar[Act | None] = ContextVar("emulator_act", default=None)
"""The act that the running code is part of, as far as that is known."""


class RemoteAct(msgspec.Struct, frozen=True):
    """An act that a traceparent names: its trace and id, and whether it is exported."""

    trace: str
    id: str
    is_sampled: bool


def read_traceparent(text: str) -> RemoteAct | None:
    """The act that a traceparent names; None if it is not valid. Of a later version than 00, what 00 has is read."""
    match = re.fullmatch(_TRACEPARENT, text)
    if match is None or (text.startswith("00") and match[4]):
        return None
    return RemoteAct(match[1], match[2], bool(int(match[3], 16) & _SAMPLED))


class Acts:
    """Begins acts, on the clock `now`. `sample` says of a trace, by its id and the act in another program that caused
    it, whether it is to be exported; without one, all are. Without `follows`, the causes that requests name are
    ignored. `is_exported` says that others follow acts by what messages carry with them."""

    def __init__(
        self,
        now: Callable[[], float],
        sample: Callable[[str, RemoteAct | None], bool] | None = None,
        *,
        follows: bool = True,
        is_exported: bool = True,
        random: Random | None = None,
    ) -> None:
        self._now = now
        self._sample = sample
        self.follows = follows
        self.is_exported = is_exported
        self._bits = (random or Random()).getrandbits

    def begin(self, cause: Act | None = None, *, traceparent: str = "", seconds_ago: float = 0.0) -> Act:
        """An act that began `seconds_ago`, as part of `cause`, or else of what `traceparent` names."""
        began = self._now() - seconds_ago
        number = self._bits(64) or 1
        if cause is not None:
            return Act(number, cause.root, cause.number, began, cause.is_sampled)
        if not traceparent and self._sample is None:
            return Act(number, number, 0, began)
        origin = read_traceparent(traceparent) if traceparent and self.follows else None
        root, before = (number, 0) if origin is None else (origin.trace, int(origin.id, 16))
        act = Act(number, root, before, began)
        if self._sample is None or self._sample(act.trace, origin):
            return act
        return msgspec.structs.replace(act, is_sampled=False)
