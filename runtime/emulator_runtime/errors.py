"""Errors that the runtime raises into worker code.

Where production raises a plain Python type, so does the runtime; the classes here are those that have a name of their
own there, and the one that says where the emulator ends.
"""

from __future__ import annotations

from typing import Self


class NotEmulatedError(RuntimeError):
    """Worker code used something that production has and the emulator does not have yet. The text names it."""

    @classmethod
    def of(cls, name: str, hint: str = "") -> Self:
        """The error about `name`; `hint` says what can be done instead."""
        return cls(f"{name} is not emulated yet{f'; {hint}' if hint else ''}")


class BodyUsedError(OSError):
    """The body of this request or response was read before; a body can be read once. `clone()` makes a second copy."""

    def __init__(self) -> None:
        super().__init__("Body already used")


class HttpStatusError(OSError):
    """`raise_for_status()` on a response with a status of 400 to 599."""

    def __init__(self, status: int, status_text: str, url: str) -> None:
        kind = "Client" if status < 500 else "Server"
        super().__init__(f"{status} {kind} Error: {status_text} for url: {url}")
        self.status = status
        self.status_text = status_text
        self.url = url


class AbortError(OSError):
    """A fetch was aborted. Nothing here raises it yet: it exists so that code which catches it can be imported."""


class InvalidURLError(TypeError, ValueError):
    """A URL that cannot be parsed, or is not absolute where it has to be.

    Production raises `TypeError` in some places and `ValueError` in others for this, so that code may catch either."""


class NotEmulated:
    """Stands for a name that production has and the emulator does not: it can be imported, and raises once it is
    used."""

    __slots__ = ("_hint", "_name")

    def __init__(self, name: str, hint: str = "") -> None:
        self._name = name
        self._hint = hint

    def __getattr__(self, attribute: str) -> object:
        if attribute.startswith("__") and attribute.endswith("__"):
            raise AttributeError(attribute)  # copy, inspect and the import system ask for these
        raise NotEmulatedError.of(self._name, self._hint)

    def __call__(self, *_args: object, **_keywords: object) -> object:
        raise NotEmulatedError.of(self._name, self._hint)

    def __repr__(self) -> str:
        return f"<{self._name}, which is not emulated yet>"
