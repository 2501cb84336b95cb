"""The module `pyodide.ffi` of worker code: conversions between Python and JavaScript. Here all values are Python's, so
they are returned unchanged, or copied where production makes a copy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from inspect import iscoroutine
from typing import Any, TypeVar

from emulator_runtime.invocation import current
from emulator_runtime.streams import ArrayBuffer, Uint8Array
from emulator_runtime.values import AttributeDict, to_attribute_dict

_T = TypeVar("_T")


class JsProxy:
    """The type of JavaScript objects in production. The emulator has none, so `isinstance` checks are false."""


class JsException(Exception):  # noqa: N818 - production's name
    """The type of JavaScript errors in production. The emulator raises Python's exceptions instead."""

    def __init__(self, message: str = "", name: str = "Error") -> None:
        super().__init__(message)
        self.message = message
        self.name = name
        self.stack = ""


JsBuffer = ArrayBuffer
JsArray = list
JsMap = dict
jsnull = None


def to_js(
    obj: Any,
    /,
    *,
    depth: int = -1,
    dict_converter: Callable[[Iterable[Any]], Any] | None = None,
    default_converter: Callable[..., Any] | None = None,
    **_options: Any,
) -> Any:
    """A copy of a dict, list or tuple, down to `depth` (-1: without limit); other values are returned unchanged.

    `dict_converter` converts the pairs of each dict; the default is an object with attributes, where production makes a
    Map. A tuple becomes a list, bytes become a `Uint8Array`.
    """
    if depth == 0:
        return obj
    if isinstance(obj, (dict, list, tuple)):

        def convert(value: Any) -> Any:
            return to_js(value, depth=depth - 1, dict_converter=dict_converter, default_converter=default_converter)

        if not isinstance(obj, dict):
            return [convert(item) for item in obj]
        pairs = [(key, convert(value)) for key, value in obj.items()]
        return AttributeDict(pairs) if dict_converter is None else dict_converter(pairs)
    if type(obj) in (bytes, bytearray):
        return Uint8Array(obj)
    if default_converter is not None and not isinstance(obj, (str, int, float, type(None))):
        return default_converter(obj, lambda value: value, lambda _key, _value: None)
    return obj


def to_py(obj: Any, **_options: Any) -> Any:
    """The value itself, with attributes for the keys of dicts."""
    return to_attribute_dict(obj)


def create_proxy(obj: _T, /, **_options: Any) -> _T:
    """The object itself, with a `destroy()` that does nothing if the object accepts new attributes."""
    if not hasattr(obj, "destroy"):
        try:
            obj.destroy = destroy_nothing  # type: ignore[attr-defined]
        except (AttributeError, TypeError):
            return _Proxy(obj)  # type: ignore[return-value]
    return obj


def create_once_callable(obj: _T, /, **_options: Any) -> _T:
    """The callable itself."""
    return create_proxy(obj)


def destroy_proxies(_proxies: Any) -> None:
    """Does nothing: there is nothing to free."""


def destroy_nothing() -> None:
    """The `destroy()` of a proxy, which does nothing."""


class _Proxy:
    """Adds `destroy()` to an object that does not accept new attributes, such as a bound method."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._target(*arguments, **keywords)

    def destroy(self) -> None:
        """Does nothing: there is nothing to free."""


def can_run_sync() -> bool:
    """Whether `run_sync` can be called here: inside a handler, and in the tasks that it makes."""
    running = current.get(None)
    return running is not None and running.scope.waiter is not None and running.scope.waiter.can_run_sync()


def run_sync(awaitable: Awaitable[Any]) -> Any:
    """The result of `awaitable`, in a plain function: what calls it waits, and everything else goes on. Raises
    `RuntimeError` while a module is imported."""
    running = current.get(None)
    if running is None or running.scope.waiter is None:
        if iscoroutine(awaitable):
            awaitable.close()
        raise RuntimeError("Cannot stack switch: run_sync works while an event is handled, not at import")
    return running.scope.waiter.run_sync(awaitable)
