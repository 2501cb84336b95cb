"""The module `pyodide.ffi` of worker code: conversions between Python and JavaScript. Here all values are Python's, so
they are returned unchanged, or copied where production makes a copy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable
from inspect import iscoroutine
from typing import Any, TypeVar

from emulator_runtime.buffers import JsBuffer
from emulator_runtime.errors import JsException, NotEmulated, no_attribute
from emulator_runtime.invocation import current
from emulator_runtime.values import AttributeDict, to_attribute_dict

__all__ = [
    "IN_BROWSER",
    "ConversionError",
    "JsArray",
    "JsAsyncGenerator",
    "JsAsyncIterable",
    "JsAsyncIterator",
    "JsBuffer",
    "JsCallable",
    "JsDomElement",
    "JsDoubleProxy",
    "JsException",
    "JsFetchResponse",
    "JsGenerator",
    "JsIterable",
    "JsIterator",
    "JsMap",
    "JsMutableMap",
    "JsNull",
    "JsOnceCallable",
    "JsPromise",
    "JsProxy",
    "JsTypedArray",
    "can_run_sync",
    "create_once_callable",
    "create_proxy",
    "destroy_proxies",
    "jsnull",
    "register_js_module",
    "run_sync",
    "to_js",
    "to_py",
    "unregister_js_module",
]

_T = TypeVar("_T")


class JsProxy:
    """The type of JavaScript objects in production. The emulator has none, so `isinstance` checks are false; so are
    those for the kinds of it below."""


class ConversionError(Exception):
    """A value cannot be converted between Python and JavaScript."""


class JsAsyncGenerator(JsProxy):
    pass


class JsAsyncIterable(JsProxy):
    pass


class JsAsyncIterator(JsProxy):
    pass


class JsCallable(JsProxy):
    pass


class JsDomElement(JsProxy):
    pass


class JsDoubleProxy(JsProxy):
    pass


class JsFetchResponse(JsProxy):
    pass


class JsGenerator(JsProxy):
    pass


class JsIterable(JsProxy):
    pass


class JsIterator(JsProxy):
    pass


class JsOnceCallable(JsCallable):
    pass


class JsPromise(JsProxy):
    pass


class JsNull:
    """The type of `jsnull` in production. JavaScript's null is None here."""


JsArray = list
JsMap = JsMutableMap = dict
JsTypedArray = JsBuffer
jsnull = None

IN_BROWSER = True
"""Whether this is Pyodide, as code that asks means it: whether there is a module `js`."""

register_js_module = NotEmulated("pyodide.ffi.register_js_module", "a module of your own does the same")
unregister_js_module = NotEmulated("pyodide.ffi.unregister_js_module")


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
    Map. A tuple becomes a list; bytes, and other buffers, become a typed array.
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
    if isinstance(obj, (str, int, float, JsBuffer, type(None))):
        return obj
    if _is_buffer(obj):
        from emulator_runtime.js.buffers import array_of  # few workers need it

        return array_of(obj)
    if default_converter is not None:
        return default_converter(obj, lambda value: value, lambda _key, _value: None)
    return obj


def _is_buffer(obj: Any) -> bool:
    try:
        with memoryview(obj):
            return True
    except TypeError:
        return False


def to_py(obj: Any, **_options: Any) -> Any:
    """The value itself, with attributes for the keys of dicts."""
    return to_attribute_dict(obj)


def create_proxy(obj: _T, /, **_options: Any) -> _T:
    """The object itself, with a `destroy()` that does nothing if the object accepts new attributes."""
    if not hasattr(obj, "destroy"):
        try:
            obj.destroy = destroy_nothing  # type: ignore[attr-defined]
        except (AttributeError, TypeError):
            return (_AwaitableProxy if isinstance(obj, Awaitable) else _Proxy)(obj)  # type: ignore[return-value]
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


class _AwaitableProxy(_Proxy):
    """The same for what can be awaited, such as a coroutine."""

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._target.__await__()  # type: ignore[no-any-return]


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


__getattr__ = no_attribute("pyodide.ffi")
