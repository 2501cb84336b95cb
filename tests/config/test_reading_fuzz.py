"""Whatever stands under the keys that are read, the outcome is settings or a `ConfigError`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emulator.base.errors import ConfigError
from emulator.bindings.queue.config import CONSUMER_KEYS, PRODUCER_KEYS, QUEUES_KEYS
from emulator.bindings.registry import KINDS
from emulator.config import reading, wrangler_keys
from tests.config.project import write
from tests.support.configs import load_config

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["", "a", "A", "src", "src/entry.py", "2026-01-31", "* * * * *", "worker", "http_pull"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def objects(keys: Any, **known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional={key: known.get(key, st.nothing()) | VALUES for key in keys}) | VALUES


QUEUES = objects(
    QUEUES_KEYS,
    producers=st.lists(objects(PRODUCER_KEYS), max_size=3),
    consumers=st.lists(objects(CONSUMER_KEYS), max_size=3),
)
SECTION = objects(
    [*reading.SECTION_KEYS, *(key for kind in KINDS for key in kind.keys)],
    queues=QUEUES,
    triggers=objects(reading.TRIGGERS_KEYS),
    limits=objects([*reading.LIMITS_KEYS, "subrequests"]),
)
DOCUMENT = objects(
    [*reading.TOP_LEVEL_KEYS, *wrangler_keys.NOT_EMULATED, *(key for kind in KINDS for key in kind.keys)],
    queues=QUEUES,
    dev=objects(reading.DEV_KEYS),
    env=st.dictionaries(st.sampled_from(["staging", "other"]), SECTION),
)


@given(document=DOCUMENT, environment=st.sampled_from([None, "staging"]))
def test_any_values_are_settings_or_a_configuration_error(
    tmp_path_factory: Any, document: Any, environment: str | None
) -> None:
    directory: Path = tmp_path_factory.getbasetemp() / "fuzz"
    path = write(directory, json.dumps(document))
    try:
        problems = load_config(path, environment=environment).warnings
    except ConfigError as error:
        problems = error.problems
        assert problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)
