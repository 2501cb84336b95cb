"""Answers that were given once, and are given again for as long as all files are as they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from emulator.bindings.assets.files import is_settled

if TYPE_CHECKING:
    from emulator.bindings.assets.files import AssetDirectory, Looks
    from emulator.bindings.assets.site import Asked, AssetAnswer

MOST_ANSWERS: Final = 1_000
MOST_BYTES: Final = 64 * 1024
"""The longest body of an answer that is kept here. Looking at the files takes little beside sending more."""


class Recall:
    """What `answer` says, which depends on nothing but what is asked and on the files of the directory."""

    def __init__(self, files: AssetDirectory, answer: Callable[[Asked], AssetAnswer | None]) -> None:
        self._files = files
        self._answer = answer
        self._known: dict[Asked, tuple[Looks, AssetAnswer | None]] = {}

    def __call__(self, asked: Asked) -> AssetAnswer | None:
        known = self._known.get(asked)
        if known is not None and self._files.are_as(known[0]):
            return known[1]
        with self._files.noting() as looks:
            answered = self._answer(asked)
        if (answered is None or len(answered.body) <= MOST_BYTES) and all(map(is_settled, looks.values())):
            if len(self._known) >= MOST_ANSWERS:
                self._known.clear()
            self._known[asked] = (tuple(looks), tuple(looks.values())), answered
        return answered
