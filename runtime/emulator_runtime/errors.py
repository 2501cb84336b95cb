"""Errors that the runtime raises into worker code.

Where production raises a built-in exception, so does the runtime. The classes here are those that production defines
itself, and the one for what the emulator does not have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Never, Self


class NotEmulatedError(RuntimeError):
    """Worker code used something that production has and the emulator does not have yet. The message names it."""

    @classmethod
    def of(cls, name: str, hint: str = "") -> Self:
        """The error about `name`. `hint` says what to use instead."""
        return cls(f"{name} is not emulated yet{f'; {hint}' if hint else ''}")


class BodyUsedError(OSError):
    """The body of this request or response was read before, and can be read only once. `clone()` makes a copy."""

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
    """A fetch was aborted. Nothing raises it yet; it exists so that code that catches it can be imported."""


class JsException(Exception):  # noqa: N818 - production's name
    """The type of JavaScript errors. The emulator mostly raises Python's exceptions instead."""

    def __init__(self, message: str = "", name: str = "Error") -> None:
        super().__init__(message)
        self.message = message
        self.name = name
        self.stack = ""


class InvalidURLError(TypeError, ValueError):
    """A URL cannot be parsed, or is relative where it must be absolute.

    Production raises `TypeError` in some places and `ValueError` in others, so code may catch either.
    """


class NotEmulated:
    """Replaces something that production has and the emulator does not: it can be imported, and raises an error when it
    is used."""

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


def no_attribute(module: str) -> Callable[[str], Never]:
    """The `__getattr__` of a module that worker code knows as `module`: what is missing is missing there."""

    def missing(name: str) -> Never:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return missing
