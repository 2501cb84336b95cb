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
from random import Random
from typing import Final

import msgspec

_TRACEPARENT: Final = r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
_SAMPLED: Final = 1


class Act(msgspec.Struct, frozen=True):
    """Something that is done, from `began` on, in seconds since the epoch.

    `id` has 16 hex digits, and `trace`, which it shares with everything that it causes, 32. `cause` is the id of the
    act that it is part of, maybe in another program; empty if there is none. `is_sampled` says whether it is to be
    exported.
    """

    id: str
    trace: str
    cause: str
    began: float
    is_sampled: bool = True

    @property
    def traceparent(self) -> str:
        """The text by which others name it as their cause."""
        return f"00-{self.trace}-{self.id}-{self.is_sampled:02x}"

    def part(self, name: str) -> Act:
        """The part of it that is called `name`. It has the same id whenever it is asked for."""
        digest = blake2b(f"{self.id} {name}".encode(), digest_size=8).hexdigest()
        return Act(digest, self.trace, self.id, self.began, self.is_sampled)


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
    it, whether it is to be exported. Without `follows`, the causes that requests name are ignored. `tells_apart` says
    that invocations of a JavaScript worker are to be told apart even while several of them run, which takes memory."""

    def __init__(
        self,
        now: Callable[[], float],
        sample: Callable[[str, RemoteAct | None], bool] = lambda _trace, _origin: True,
        *,
        follows: bool = True,
        tells_apart: bool = False,
        random: Random | None = None,
    ) -> None:
        self._now = now
        self._sample = sample
        self._follows = follows
        self.tells_apart = tells_apart
        self._bits = (random or Random()).getrandbits

    def begin(self, cause: Act | None = None, *, traceparent: str = "", seconds_ago: float = 0.0) -> Act:
        """An act that began `seconds_ago`, as part of `cause`, or else of what `traceparent` names."""
        began = self._now() - seconds_ago
        own = f"{self._bits(64) or 1:016x}"
        if cause is not None:
            return Act(own, cause.trace, cause.id, began, cause.is_sampled)
        origin = read_traceparent(traceparent) if traceparent and self._follows else None
        trace = f"{self._bits(128) or 1:032x}" if origin is None else origin.trace
        return Act(own, trace, "" if origin is None else origin.id, began, self._sample(trace, origin))
