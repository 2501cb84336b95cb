"""The schema of the JSON log, which code, documentation and file have to agree on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from emulator.bindings.queue.config import Consumer, Producer
from emulator.log.jsonlines import json_line
from emulator.log.record import with_workers
from emulator.log.schema import AnyLine, Line, json_schema
from emulator.log.table import TABLE
from emulator.server.events import ServerReady
from tests.log.showing import FakeHost, config
from tests.log.test_table import EVENTS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("event", EVENTS)
def test_every_line_is_as_the_schema_says(event: Any) -> None:
    record = TABLE[type(event)].record(event)
    if type(event) is ServerReady:
        declared = config(producers=(Producer("EVENTS", "q"),), consumers=(Consumer("q"),), crons=("* * * * *",))
        record = with_workers(record, [FakeHost(declared, {"fetch"})])  # type: ignore[list-item]
    line = msgspec.json.decode(json_line(record), type=AnyLine)
    assert isinstance(line, Line)
    assert line.level == record.level


def test_every_class_of_the_schema_is_an_event() -> None:
    assert {each.__struct_config__.tag for each in get_args(AnyLine)} == {
        TABLE[type(event)].record(event).event for event in EVENTS
    }


def test_the_schema_file_is_the_schema() -> None:
    assert (DOCS / "log.schema.json").read_text() == json_schema(), "run: python -m emulator.log.schema"


def _keys(kind: Any) -> set[str]:
    """The keys of a type and of its parts."""
    keys: set[str] = set()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            keys |= {field.name} | _keys(field.type)
    for part in get_args(kind):
        keys |= _keys(part)
    return keys


@pytest.mark.parametrize("line", get_args(AnyLine))
def test_the_documentation_has_the_keys_of_every_line_and_no_others(line: type[Line]) -> None:
    tag = line.__struct_config__.tag
    documented = (DOCS / "terminal.md").read_text()
    row = next(each for each in documented.splitlines() if each.startswith(f"| `{tag}` |"))
    named = set(re.findall(r"`(\w+)`", row.removeprefix(f"| `{tag}` |")))
    failure = set(re.findall(r"`(\w+)`", documented.partition("A failure has")[2].partition("\n\n")[0]))
    if "failure" in named and tag in ("failure", "reload"):
        named |= failure
    keys = _keys(line) - {"time", "level"}
    values = set(re.findall(r'"(\w+)"', str(msgspec.json.encode(msgspec.json.schema(line)))))
    assert keys - named == set()
    assert named - keys - values - {"queue", "service", "var", "secret", "not_emulated", "key"} == set()
