"""Writes the local variables of frames of worker code as short texts.

No code of the worker runs for that: an object of one of its classes is shown by its attributes, whatever its `__repr__`
would say. So `type()` is asked, and not `isinstance`, which asks the object for its `__class__`.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import partial
from inspect import CO_OPTIMIZED
from types import (
    BuiltinFunctionType,
    FrameType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, Final

from emulator.base.secrets import Secrets
from emulator.base.words import clean, cut
from emulator_runtime.hosting import AttributeDict

MAX_VARIABLES: Final = 20
"""How many variables of a frame are shown."""

MAX_CHARACTERS: Final = 200
"""How long the text of a value is at most."""

_ROOM: Final = MAX_CHARACTERS - 20
"""How much of it is for the value; the rest says what was left out."""

_MAX_NAME: Final = 80
_MAX_DEPTH: Final = 3
_MAX_BITS: Final = 512
_FEW: Final = 16
"""So many characters, at least, are for each value within another."""

_NOISE: Final = (ModuleType, FunctionType, BuiltinFunctionType, MethodType, type)
"""Types whose values say nothing that the code does not say."""

_NOISE_NAMES: Final = frozenset({"emulator.bindings.env.Env", "emulator_runtime.invocation.Context"})

_NESTED: Final = (dict, list, tuple, set, frozenset, deque, BaseException)
"""Types whose values have others in them."""

_PLAIN: Final = (type(None), type(...), bool, range)
"""Types whose values are as their `__repr__` says, and which have no subclasses."""

_PLAIN_NAMES: Final = frozenset(
    {
        *(f"datetime.{name}" for name in ("date", "datetime", "time", "timedelta", "timezone")),
        *("decimal.Decimal", "fractions.Fraction", "pathlib.PosixPath", "pathlib.PurePosixPath", "uuid.UUID"),
        *("emulator_runtime.url.URL", "emulator_runtime.url.URLSearchParams"),
        *("emulator_runtime.incoming.IncomingRequest", "emulator_runtime.workers.scheduled.ScheduledController"),
        *(f"emulator_runtime.workers.queue.{name}" for name in ("Message", "MessageBatch")),
        *(f"emulator_runtime.workers.request.{name}" for name in ("JsRequest", "Request")),
        *(f"emulator_runtime.workers.response.{name}" for name in ("FetchResponse", "JsResponse", "Response")),
    }
)
"""Types whose own `__repr__` takes no time and calls nothing of others."""

_OBJECT: Final = type.__dict__
_name_of: Final[Callable[[type], str]] = _OBJECT["__name__"].__get__
_module_of: Final[Callable[[type], object]] = _OBJECT["__module__"].__get__
_bases_of: Final[Callable[[type], tuple[type, ...]]] = _OBJECT["__mro__"].__get__
_members_of: Final[Callable[[type], Mapping[str, Any]]] = _OBJECT["__dict__"].__get__
_arguments_of: Final[Callable[[BaseException], tuple[Any, ...]]] = BaseException.__dict__["args"].__get__


class Variables:
    """Shows variables without the values of `secrets`."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._writers: Sequence[tuple[Any, Callable[[Any, int, int], str]]] = (
            (Enum, self._member),
            (str, self._string),
            ((bytes, bytearray, memoryview), self._bytes),
            (int, self._integer),
            (float, self._real),
            (complex, self._complex),
            (dict, self._mapping),
            (list, self._list),
            (tuple, self._tuple),
            ((set, frozenset), self._set),
            (deque, self._deque),
            (BaseException, self._exception),
        )
        """What writes the values of which types, their subclasses included; the first one that fits."""

    def of(self, frame: FrameType) -> tuple[dict[str, str], int]:
        """The variables of a frame, name -> text, in the order of the code, and how many more than MAX_VARIABLES there
        are. Modules, functions, classes, `env`, `ctx` and names that begin with an underscore are left out. Code of a
        module or class has none, as its variables are not local."""
        shown: dict[str, str] = {}
        more = 0
        for name, value in frame.f_locals.items() if frame.f_code.co_flags & CO_OPTIMIZED else ():
            if not name[:1].isalpha() or _is_noise(type(value)):
                continue
            if len(shown) == MAX_VARIABLES:
                more += 1
                continue
            text = self.text(value)
            if name != "self" or not text.startswith("<"):
                shown[cut(clean(name), _MAX_NAME)] = text
        return shown, more

    def text(self, value: object) -> str:
        """A value in at most MAX_CHARACTERS, as Python writes it where that is possible."""
        try:
            text = self._text(value, _ROOM, 0)
        except Exception as error:  # such as a dict that another thread changes; no reason to lose the rest
            text = f"<{_name_of(type(value))}: {_name_of(type(error))}>"
        return cut(clean(text), MAX_CHARACTERS)

    def _text(self, value: Any, room: int, depth: int) -> str:
        """`value` in about `room` characters."""
        kind = type(value)
        if issubclass(kind, _PLAIN):
            return repr(value)
        for types, write in self._writers:
            if issubclass(kind, types):
                return "..." if depth > _MAX_DEPTH and issubclass(kind, _NESTED) else write(value, room, depth)
        if _is_plain(kind):
            return self._secrets.hide(repr(value))
        return "..." if depth > _MAX_DEPTH else self._attributes(value, room, depth)

    def _member(self, value: Any, _room: int, _depth: int) -> str:
        state = _state(value)
        return f"{_name_of(type(value))}.{state.get('_name_')}"

    def _string(self, value: Any, room: int, _depth: int) -> str:
        text: str = str.__str__(value)
        return _cut(repr(self._secrets.hide(text, room)), len(text) - room)

    def _bytes(self, value: Any, room: int, _depth: int) -> str:
        room //= 2  # much of it is written as \x00
        size = memoryview(value).nbytes
        text = bytes(memoryview(value).cast("B")[: room + self._secrets.longest + 1]).decode("latin-1")
        shown = repr(self._secrets.hide(text, room).encode("latin-1", "replace"))
        return _cut(shown if type(value) is bytes else f"{_name_of(type(value))}({shown})", size - room)

    def _integer(self, value: Any, _room: int, _depth: int) -> str:
        bits = int.bit_length(value)
        return f"<int of {bits:,} bits>" if bits > _MAX_BITS else self._secrets.hide(int.__repr__(value))

    def _real(self, value: Any, _room: int, _depth: int) -> str:
        return self._secrets.hide(float.__repr__(value))

    def _complex(self, value: Any, _room: int, _depth: int) -> str:
        return self._secrets.hide(complex.__repr__(value))

    def _mapping(self, value: Any, room: int, depth: int) -> str:
        def pair(key: Any, each: Any, room: int) -> str:
            name = self._text(key, min(room, 60), depth + 1)
            return f"{name}: {self._text(each, max(room - len(name), _FEW), depth + 1)}"

        pairs = (partial(pair, key, each) for key, each in dict.items(value))
        return _named(value, dict, f"{{{_joined(pairs, dict.__len__(value), room)}}}")

    def _list(self, value: Any, room: int, depth: int) -> str:
        return _named(value, list, f"[{self._each(list.__iter__(value), list.__len__(value), room, depth)}]")

    def _tuple(self, value: Any, room: int, depth: int) -> str:
        size = tuple.__len__(value)
        names = _members_of(type(value)).get("_fields")
        if type(names) is tuple and len(names) == size and all(type(name) is str for name in names):
            fields = dict(zip(names, tuple.__iter__(value), strict=True))
            return f"{_name_of(type(value))}({self._pairs(fields, room, depth)})"
        comma = "," if size == 1 else ""
        return _named(value, tuple, f"({self._each(tuple.__iter__(value), size, room, depth)}{comma})")

    def _set(self, value: Any, room: int, depth: int) -> str:
        kind = set if issubclass(type(value), set) else frozenset
        size = kind.__len__(value)
        each = self._each(kind.__iter__(value), size, room, depth)
        return _named(value, set, f"{{{each}}}" if size else "")

    def _deque(self, value: Any, room: int, depth: int) -> str:
        each = self._each(deque.__iter__(value), deque.__len__(value), room, depth)
        return _named(value, None, f"[{each}]")

    def _exception(self, value: Any, room: int, depth: int) -> str:
        arguments = _arguments_of(value)
        return f"{_name_of(type(value))}({self._each(iter(arguments), len(arguments), room, depth)})"

    def _attributes(self, value: Any, room: int, depth: int) -> str:
        state = {
            name: each
            for name, each in _state(value).items()
            if type(name) is str and not name.startswith("_") and not _is_noise(type(each))
        }
        name = _name_of(type(value))
        return f"{name}({self._pairs(state, room, depth)})" if state else f"<{name}>"

    def _each(self, values: Iterator[Any], size: int, room: int, depth: int) -> str:
        def one(value: Any, room: int) -> str:
            return self._text(value, room, depth + 1)

        return _joined((partial(one, value) for value in values), size, room)

    def _pairs(self, values: Mapping[str, Any], room: int, depth: int) -> str:
        def pair(name: str, value: Any, room: int) -> str:
            return f"{name}={self._text(value, max(room - len(name), _FEW), depth + 1)}"

        return _joined((partial(pair, name, value) for name, value in values.items()), len(values), room)


def _joined(writes: Iterable[Callable[[int], str]], size: int, room: int) -> str:
    """What `writes` write, each into the room that it is given; as many of all `size` as fit."""
    shown: list[str] = []
    for write in writes:
        if room < _FEW // 2:
            break
        text = write(max(room // min(size - len(shown), 3), _FEW))
        shown.append(text)
        room -= len(text) + 2
    if size > len(shown):
        shown.append(f"and {size - len(shown):,} more")
    return ", ".join(shown)


def _cut(text: str, more: int) -> str:
    return f"{text} and {more:,} more" if more > 0 else text


def _named(value: Any, plain: type | None, text: str) -> str:
    """The text of a collection, with its type unless that is `plain`, or what the emulator makes of JSON objects."""
    kind = type(value)
    return text if text and (kind is plain or kind is AttributeDict) else f"{_name_of(kind)}({text})"


def _is_noise(kind: type) -> bool:
    return issubclass(kind, _NOISE) or f"{_module_of(kind)}.{_name_of(kind)}" in _NOISE_NAMES


def _is_plain(kind: type) -> bool:
    module, name = _module_of(kind), _name_of(kind)
    # A type can say that it is of any module, so that is asked.
    return f"{module}.{name}" in _PLAIN_NAMES and vars(sys.modules.get(str(module))).get(name) is kind


def _state(value: object) -> dict[Any, Any]:
    """The attributes of an object: its `__dict__`, and what it keeps in slots."""
    state: dict[Any, Any] = {}
    for kind in _bases_of(type(value)):
        for name, member in _members_of(kind).items():
            if name == "__dict__" and type(member) is GetSetDescriptorType:
                state = {**member.__get__(value), **state}
            elif type(member) is MemberDescriptorType and not name.startswith("_"):
                try:
                    state.setdefault(name, member.__get__(value))
                except AttributeError:
                    continue  # it has no value yet
    return state
