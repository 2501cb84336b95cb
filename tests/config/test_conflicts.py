"""What must hold between the workers of one session."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from emulator.base.errors import ConfigError
from emulator.bindings.queue.config import Consumer
from emulator.bindings.registry import KINDS
from emulator.config import check_conflicts
from tests.config.project import load, wrap, write
from tests.support.configs import load_config, make_config


def test_workers_that_share_nothing_go_together(tmp_path: Path) -> None:
    first = load(tmp_path / "a", wrap('"queues": {"consumers": [{"queue": "one"}]}'))
    second = load(tmp_path / "b", wrap('"queues": {"producers": [{"binding": "ONE", "queue": "one"}]}'))
    check_conflicts([first, replace(second, name="other")], KINDS)


def test_two_workers_of_one_name_or_one_queue_are_errors_that_name_both_places(tmp_path: Path) -> None:
    first = write(tmp_path / "a", wrap('"queues": {"consumers": [{"queue": "one"}]}'))
    second = write(tmp_path / "b", wrap('"queues": {"consumers": [{"queue": "two"}, {"queue": "one"}]}'))
    taken = f'"one" already has a consumer, the worker demo at {first}:5:38'
    with pytest.raises(ConfigError) as caught:
        check_conflicts([load_config(first), load_config(second)], KINDS)
    assert list(map(str, caught.value.problems)) == [
        f'{second}:2:11: name: another worker already has the name "demo", at {first}:2:11',
        f"{second}:5:56: queues.consumers[1].queue: {taken}; a queue has one at most",
    ]


def test_workers_that_were_made_without_a_file_are_checked_too() -> None:
    path = Path("/demo/wrangler.jsonc")
    config = make_config("demo", path, Path("/demo/src/entry.py"), consumers=(Consumer("a"), Consumer("b")))
    with pytest.raises(ConfigError) as caught:
        check_conflicts([config, replace(config, name="other")], KINDS)
    assert len(caught.value.problems) == 2
    assert caught.value.problems[0].where == "/demo/wrangler.jsonc"
