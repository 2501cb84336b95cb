"""What filters can ask of messages, requests and events: their fields, and which values these have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from emulator.base.bus import Level
from emulator.dashboard.filters import Field, Subject
from emulator.dashboard.story import MessageState, RequestStory
from emulator.log.schema import AnyLine
from emulator.wire.codec import CONTENT_TYPES

_AGES: Final = ("5min", "1h", "1d")
_SIZES: Final = ("1kB", "10kB", "100kB")
_DURATIONS: Final = ("100ms", "1s", "10s")
_OLDER: Final = Field("older", "how long ago it was", examples=_AGES, is_number=True, comparison=">")

MESSAGES: Final = Subject(
    "messages",
    (
        Field("state", "where it is, or what became of it", values=(*get_args(MessageState), "retrying")),
        Field("queue", "the queue that it is in, or was in last"),
        Field("attempts", "how often it was delivered", is_number=True, comparison=">"),
        Field("error", "why the last attempt failed", comparison="~"),
        Field("body", "the body, or with dots something in it", is_open=True, comparison="~"),
        Field("type", "the type of the content", values=CONTENT_TYPES),
        Field("size", "the bytes of the body", examples=_SIZES, is_number=True, comparison=">"),
        _OLDER._replace(about="how long ago it was sent"),
        Field("worker", "the worker that sent it"),
        Field("source", "what sent it: a worker, api or redrive"),
        Field("id", "the first digits of its id"),
    ),
    "state:dead attempts>2 error~Connection older>1h",
)
REQUESTS: Final = Subject(
    "requests",
    (
        Field("status", "the status of the answer", is_number=True, comparison=">="),
        Field("method", "the method"),
        Field("path", "the path, with the query", comparison="~"),
        Field("worker", "the worker that answered"),
        Field("duration", "how long it took", examples=_DURATIONS, is_number=True, comparison=">"),
        Field("outcome", "the status, or how the handler ended"),
        Field("kind", "what it was", values=get_args(get_type_hints(RequestStory)["kind"])),
        _OLDER,
        Field("id", "the first digits of its id"),
    ),
    "status>=500 path~/signup duration>100ms",
)


def _of_lines() -> Iterator[Field]:
    """The fields of the lines of the JSON log; each is told of once."""
    found: dict[str, set[Any]] = {}
    for line in get_args(AnyLine):
        hints = get_type_hints(line)
        for name in line.__struct_fields__:
            if name not in {"time", "level", "text", *_NOT_SHOWN}:
                found.setdefault(name, set()).update(_kinds(hints[name]))
    for name, kinds in found.items():
        is_number = kinds <= {int, float}
        is_open = not kinds <= {int, float, str, bool}
        comparison = ">" if is_number else "~" if name in _TEXTS else ":"
        examples = ("100", "1s") if name.endswith("_ms") else ()
        yield Field(name, "", examples=examples, is_number=is_number, is_open=is_open, comparison=comparison)


def _kinds(hint: Any) -> Iterator[Any]:
    """The types that a value may have; a literal is one of texts."""
    if get_origin(hint) in (Union, UnionType):
        for each in get_args(hint):
            yield from _kinds(each)
    elif get_args(hint) and all(isinstance(each, str) for each in get_args(hint)):
        yield str
    elif hint not in (NoneType, msgspec.UnsetType):
        yield hint


_NOT_SHOWN: Final = {"api_token"}
_TEXTS: Final = {"changes", "error", "file", "files", "path", "reason", "rejected"}
"""Fields of events of which mostly a part is asked for."""

_EVENT_NAMES: Final = [each.__struct_config__.tag for each in get_args(AnyLine)]

EVENTS: Final = Subject(
    "events",
    (
        Field("event", "what happened", values=_EVENT_NAMES),
        Field("level", "how important it is", values=get_args(Level)),
        Field("text", "what the log says of it", comparison="~"),
        *_of_lines(),
        _OLDER,
        Field("number", "its running number", is_number=True, comparison=">"),
    ),
    "level:error worker:my-app welcome",
)

SUBJECTS: Final[Mapping[str, Subject]] = {each.name: each for each in (MESSAGES, REQUESTS, EVENTS)}
"""All of them, by name."""
