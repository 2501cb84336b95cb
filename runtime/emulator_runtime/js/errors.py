"""`Error` of JavaScript and its subclasses. They can be raised, and caught as the exceptions of Python that are nearest
to them: a `TypeError` of `js` is also one of Python."""

from __future__ import annotations

import builtins
from typing import Any, Self

from emulator_runtime.errors import JsException
from emulator_runtime.js.strings import js_string


class Error(JsException):
    """Call `Error.new("message", {"cause": ...})`. Has `name`, `message`, `cause` and `stack`."""

    def __init__(self, message: Any = "", options: dict[str, Any] | None = None, **keywords: Any) -> None:
        super().__init__("" if message is None else js_string(message), type(self).__name__)
        self.cause = {**(options or {}), **keywords}.get("cause")

    @classmethod
    def new(cls, *arguments: Any, **keywords: Any) -> Self:
        return cls(*arguments, **keywords)

    def toString(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name


class EvalError(Error):
    pass


class RangeError(Error, ValueError):
    """A number or a name is not one of those that are possible."""


class ReferenceError(Error):
    pass


class SyntaxError(Error, ValueError):
    """A text cannot be parsed."""


class TypeError(Error, builtins.TypeError):
    """A value is of the wrong type."""


class URIError(Error, ValueError):
    pass


class AggregateError(Error):
    """Several errors in one. Call `AggregateError.new([error, ...], "message")`."""

    def __init__(self, errors: Any = (), message: Any = "", options: dict[str, Any] | None = None) -> None:
        super().__init__(message, options)
        self.errors = list(errors)


_CODES = {
    "NotFoundError": 8,
    "NotSupportedError": 9,
    "InvalidStateError": 11,
    "SyntaxError": 12,
    "InvalidAccessError": 15,
    "AbortError": 20,
    "QuotaExceededError": 22,
    "TimeoutError": 23,
    "DataCloneError": 25,
}


class DOMException(Error):  # noqa: N818 - JavaScript's name
    """An error whose `name` says what it is. Call `DOMException.new("message", "DataCloneError")`."""

    def __init__(self, message: Any = "", name: str = "Error") -> None:
        super().__init__(message)
        self.name = name

    @property
    def code(self) -> int:
        """The number that stands for `name`, or 0."""
        return _CODES.get(self.name, 0)
