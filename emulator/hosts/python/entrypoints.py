"""Finds the entrypoints of a loaded module, and determines once how each of them is called.

There are three forms: methods of `class Default(WorkerEntrypoint)`, functions such as `on_fetch`, and functions such as
`fetch` that the module itself defines (an imported `fetch` is the client). The class takes precedence over functions.

Handlers are called as production calls them. Methods get None for `env` and `ctx`, because the instance has both;
`fetch` gets as many of its three arguments as it declares, every other method gets all three. Functions get as many as
they declare. What production would not call at all runs here, and `unlike_production` says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

import msgspec

from emulator.base import words
from emulator.base.errors import WorkerLoadError
from emulator.base.words import shown_path
from emulator.config.model import WorkerConfig
from emulator.hosts.triggers import HANDLERS, TRIGGERS, any_of
from emulator_runtime.hosting import Context, WorkerEntrypoint

Call = Callable[[Any, Context], Any]

_PARAMETERS: Final = {trigger.handler: trigger.parameters for trigger in TRIGGERS}
_MOST: Final = 3
_ADAPTED: Final = frozenset({"fetch"})
"""The methods that get only the arguments that they declare."""
_CLASSES_SINCE: Final = "2025-08-14"
"""The compatibility date from which production runs classes, and functions no more."""
_CLASSES_FLAG: Final = "python_no_global_handlers"
_FUNCTIONS_FLAG: Final = "disable_python_no_global_handlers"
_SIMILAR: Final = frozenset({"default", "defaults", "worker", *HANDLERS, *(f"on{handler}" for handler in HANDLERS)})


class Handler(msgspec.Struct, frozen=True):
    """An entrypoint. `call(trigger, ctx)` calls it and returns its result, which may be an awaitable.

    `name` is the name in the user's code (`Default.fetch`, `on_fetch`); `file` and `line` are its place.
    """

    call: Call
    name: str
    file: str
    line: int


def find_handlers(module: ModuleType, env: Any, config: WorkerConfig) -> dict[str, Handler]:
    """The handlers of `module`, at least one.

    Raises WorkerLoadError if there is none, or if one of them cannot be called with its arguments.
    """
    root = config.path.parent
    default: Any = getattr(module, "Default", None)
    handlers: dict[str, Handler] = {}
    for event in HANDLERS:
        if _is_entrypoint_class(default):
            handler = _method(default, event, env, config)
        else:
            handler = _function(module, event, env, root)
        if handler is not None:
            handlers[event] = handler
    if not handlers:
        raise _no_entrypoint(module, root)
    return handlers


def unlike_production(module: ModuleType, handlers: Mapping[str, Handler], config: WorkerConfig) -> Iterator[str]:
    """A sentence for each way in which production would run the loaded `module` differently, and for functions that are
    never called because the module has a class `Default`."""
    where = shown_path(config.main, config.path.parent)
    default: Any = getattr(module, "Default", None)
    if not _is_entrypoint_class(default):
        yield from _functions_that_do_not_run(where, handlers, config)
        return
    for event in HANDLERS:
        for name, _ in _candidates(module, event):
            yield f"{where}: {name} is never called, because the module has a class Default"
    if default.__name__ != "Default":
        yield f"{where}: production does not find the class Default, because it was defined as {default.__name__}"
    for event, handler in handlers.items():
        yield from _method_that_is_not_called(default, event, handler, config)


def _method_that_is_not_called(cls: Any, event: str, handler: Handler, config: WorkerConfig) -> Iterator[str]:
    called = _method_name(event, config)
    method = handler.name.rpartition(".")[2]
    place = f"{shown_path(handler.file, config.path.parent)}:{handler.line}"
    if not isinstance(inspect.getattr_static(cls, method), FunctionType):
        yield f"{place}: production does not call {handler.name}, because it is not a plain method with self"
    elif method != called:
        has_flag = _FUNCTIONS_FLAG in config.compatibility_flags
        mend = f"remove the flag {_FUNCTIONS_FLAG}" if has_flag else f"set a date from {_CLASSES_SINCE} on"
        with_what = f"with this compatibility {'flag' if has_flag else 'date'}"
        yield f"{place}: {with_what} production calls a method {called}, not {handler.name}: {mend}"


def _functions_that_do_not_run(where: str, handlers: Mapping[str, Handler], config: WorkerConfig) -> Iterator[str]:
    runs = _runs_functions(config)
    names = [handler.name for handler in handlers.values() if not (runs and handler.name.startswith("on_"))]
    if not names:
        return
    one = len(names) == 1
    flag = "" if runs or set(names) & set(HANDLERS) else f", or set the compatibility flag {_FUNCTIONS_FLAG}"
    yield (
        f"{where}: production does not run the function{'' if one else 's'} {', '.join(names)}: "
        f"make {'it a method' if one else 'them methods'} of class Default(WorkerEntrypoint){flag}"
    )


def _runs_functions(config: WorkerConfig) -> bool:
    """Whether production runs functions such as `on_fetch`, as it did before there were classes."""
    if _FUNCTIONS_FLAG in config.compatibility_flags:
        return True
    return "" < config.compatibility_date < _CLASSES_SINCE and _CLASSES_FLAG not in config.compatibility_flags


def _method_name(event: str, config: WorkerConfig) -> str:
    """The name of the method that production calls."""
    return f"on_{event}" if event in _ADAPTED and _runs_functions(config) else event


def _is_entrypoint_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, WorkerEntrypoint)


def _method(cls: Any, event: str, env: Any, config: WorkerConfig) -> Handler | None:
    root = config.path.parent
    method = _method_name(event, config)
    static = inspect.getattr_static(cls, method, None)
    if static is None:
        method = event
        static = inspect.getattr_static(cls, method, None)
    if static is None:
        return None
    name = f"{cls.__name__}.{method}"
    has_self = not isinstance(static, staticmethod)
    function = static.__func__ if isinstance(static, (staticmethod, classmethod)) else static
    if not callable(function):
        raise WorkerLoadError(
            f"{name} must be a method, not {type(static).__name__}",
            where=_where(cls, root),
            hint=_expected(event, name),
        )
    file, line = _place(function, fallback=cls)
    where = f"{shown_path(file, root)}:{line}"
    count = _count(function, event, name, has_self, where)
    if count < _MOST and event not in _ADAPTED:
        raise _too_few(function, event, name, count, where)
    plain = isinstance(static, FunctionType)
    return Handler(_call_method(cls, method, static if plain else None, count, env), name, file, line)


def _call_method(cls: Any, method: str, function: Callable[..., Any] | None, count: int, env: Any) -> Call:
    """How to call a method of a new instance. A plain function is called as such, without a bound method in between."""
    if function is None:

        def call_attribute(trigger: Any, ctx: Context) -> Any:
            return getattr(cls(ctx, env), method)(*(trigger, None, None)[:count])

        return call_attribute
    if count == 0:
        return lambda _trigger, ctx: function(cls(ctx, env))
    if count == 1:
        return lambda trigger, ctx: function(cls(ctx, env), trigger)
    if count == 2:
        return lambda trigger, ctx: function(cls(ctx, env), trigger, None)
    return lambda trigger, ctx: function(cls(ctx, env), trigger, None, None)


def _function(module: ModuleType, event: str, env: Any, root: Path) -> Handler | None:
    for name, function in _candidates(module, event):
        file, line = _place(function, fallback=module)
        count = _count(function, event, name, False, f"{shown_path(file, root)}:{line}")
        return Handler(_call_function(function, count, env), name, file, line)
    return None


def _candidates(module: ModuleType, event: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    function = getattr(module, f"on_{event}", None)
    if callable(function):
        yield f"on_{event}", function
    function = getattr(module, event, None)
    if callable(function) and not isinstance(function, type) and function.__module__ == module.__name__:
        yield event, function


def _call_function(function: Callable[..., Any], count: int, env: Any) -> Call:
    if count == 0:
        return lambda _trigger, _ctx: function()
    if count == 1:
        return lambda trigger, _ctx: function(trigger)
    if count == 2:
        return lambda trigger, _ctx: function(trigger, env)
    return lambda trigger, ctx: function(trigger, env, ctx)


def _count(function: Callable[..., Any], event: str, name: str, has_self: bool, where: str) -> int:
    """How many of the three arguments the handler takes."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a callable without a known signature, such as one written in C
        return _MOST
    parameters = list(signature.parameters.values())
    if has_self:
        if not parameters or parameters[0].kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
            raise WorkerLoadError(
                f"{name}{signature} has no self: it is a method", where=where, hint=_expected(event, name)
            )
        if parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
            del parameters[0]
    count = 0
    for parameter in parameters:
        required = parameter.default is inspect.Parameter.empty
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return _MOST
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and required:
            raise WorkerLoadError(
                f"{name}{signature} needs the keyword argument {parameter.name!r}, "
                "but handlers are called without keyword arguments",
                where=where,
                hint=_expected(event, name),
            )
        if parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
            if count == _MOST and required:
                raise WorkerLoadError(
                    f"{name}{signature} needs more than three arguments", where=where, hint=_expected(event, name)
                )
            count = min(count + 1, _MOST)
    return count


def _too_few(function: Callable[..., Any], event: str, name: str, count: int, where: str) -> WorkerLoadError:
    keyword = "async def" if inspect.iscoroutinefunction(function) else "def"
    parameters = f"self, {_PARAMETERS[event]}"
    return WorkerLoadError(
        f"{name}{inspect.signature(function)} takes {words.count(count, 'argument')}, "
        f"but production calls it with {_PARAMETERS[event]}",
        where=where,
        hint=f"write `{keyword} {event}({parameters})`; env and ctx are None there, use self.env and self.ctx",
    )


def _expected(event: str, name: str) -> str:
    if "." not in name:
        return f"expected {name}({_PARAMETERS[event]}), or fewer of these, in this order"
    fewer = ", or fewer of these, in this order" if event in _ADAPTED else ""
    return f"expected {name}(self, {_PARAMETERS[event]}){fewer}"


def _place(function: Any, fallback: Any) -> tuple[str, int]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is not None:
        return code.co_filename, code.co_firstlineno
    try:
        return inspect.getsourcefile(fallback) or "", inspect.getsourcelines(fallback)[1] or 1
    except (OSError, TypeError):
        return "", 1


def _where(value: Any, root: Path) -> str:
    file, line = _place(value, value)
    return f"{shown_path(file, root)}:{line}"


def _no_entrypoint(module: ModuleType, root: Path) -> WorkerLoadError:
    found = list(_near_misses(module, root))
    return WorkerLoadError(
        "the module has no entrypoint" + "".join(f"; {text}" for text in found),
        where=shown_path(str(module.__file__), root),
        hint=f"define class Default(WorkerEntrypoint) with a method {any_of(HANDLERS)} (or several of them)",
    )


def _near_misses(module: ModuleType, root: Path) -> Iterator[str]:
    """Describe what the module has that may be meant as an entrypoint."""
    for name, value in vars(module).items():
        own = getattr(value, "__module__", None) == module.__name__
        line = f"line {_place(value, value)[1]}"
        if _is_entrypoint_class(value):
            if name == "Default":
                yield f"class Default ({_where(value, root)}) has no method {any_of(HANDLERS)}"
            elif own:
                yield f"class {name} ({line}) is a named entrypoint; only a class called Default handles events"
        elif not own:
            continue
        elif isinstance(value, type) and name == "Default":
            yield f"class Default ({line}) must be a subclass of WorkerEntrypoint"
        elif callable(value) and name.lower().replace("_", "") in _SIMILAR:
            kind = "class" if isinstance(value, type) else "function"
            yield f"{kind} {name} ({line}) does not have the name of an entrypoint"
