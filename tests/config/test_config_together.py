"""Workers of one session, and what a changed configuration is said to change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from emulator.base.errors import ConfigError
from emulator.config import Consumer, Producer, WorkerConfig, check_together, describe_changes, load_config
from emulator.queues.settings import ConsumerSettings
from tests.config.project import load, wrap, write

CONFIG = WorkerConfig(
    name="demo",
    path=Path("/demo/wrangler.jsonc"),
    main=Path("/demo/src/entry.py"),
    vars={"KEPT": 1, "CHANGED": 1, "GONE": 1},
    secrets={"TOKEN": "hunter2", "OLD": "hunter3"},
    producers=(Producer("A", "a"), Producer("B", "b")),
    consumers=(Consumer("a"), Consumer("b")),
    crons=("* * * * *",),
)


def test_workers_that_share_nothing_go_together(tmp_path: Path) -> None:
    first = load(tmp_path / "a", wrap('"queues": {"consumers": [{"queue": "one"}]}'))
    second = load(tmp_path / "b", wrap('"queues": {"producers": [{"binding": "ONE", "queue": "one"}]}'))
    check_together([first, replace(second, name="other")])


def test_two_workers_of_one_name_or_one_queue_are_errors_that_name_both_places(tmp_path: Path) -> None:
    first = write(tmp_path / "a", wrap('"queues": {"consumers": [{"queue": "one"}]}'))
    second = write(tmp_path / "b", wrap('"queues": {"consumers": [{"queue": "two"}, {"queue": "one"}]}'))
    taken = f'"one" already has a consumer, the worker demo at {first}:5:38'
    with pytest.raises(ConfigError) as caught:
        check_together([load_config(first), load_config(second)])
    assert list(map(str, caught.value.problems)) == [
        f'{second}:2:11: name: another worker has the name "demo" already, at {first}:2:11',
        f"{second}:5:56: queues.consumers[1].queue: {taken}; a queue has one at most",
    ]


def test_workers_that_were_made_without_a_file_are_checked_too() -> None:
    with pytest.raises(ConfigError) as caught:
        check_together([CONFIG, replace(CONFIG, name="other")])
    assert len(caught.value.problems) == 2
    assert caught.value.problems[0].where == "/demo/wrangler.jsonc"


def test_the_same_configuration_has_no_changes(tmp_path: Path) -> None:
    text = wrap('"queues": {"consumers": [{"queue": "one"}]}')
    moved = "// a comment\n" + text
    assert describe_changes(load(tmp_path, text), load(tmp_path, moved)) == []


def test_every_change_is_said_in_words() -> None:
    settings = ConsumerSettings(max_batch_size=5, dead_letter_queue="dead")
    new = replace(
        CONFIG,
        name="demo2",
        compatibility_date="2026-01-31",
        compatibility_flags=frozenset({"python_workers"}),
        cpu_ms=50,
        dev_port=9000,
        vars={"KEPT": 1, "CHANGED": True, "GREETING": "hi"},
        secrets={"TOKEN": "hunter4", "NEW": "hunter5"},
        producers=(Producer("A", "other", 5), Producer("C", "c")),
        consumers=(Consumer("a", settings), Consumer("c")),
        crons=("0 * * * *",),
        unsupported_bindings={"CACHE": "kv_namespaces"},
    )
    assert describe_changes(CONFIG, new) == [
        "name demo -> demo2",
        "compatibility_date none -> 2026-01-31",
        "limits.cpu_ms 30000 -> 50",
        "dev.port none -> 9000",
        "compatibility flag python_workers added",
        "var GREETING added",
        "var GONE removed",
        "var CHANGED changed",
        "secret NEW added",
        "secret OLD removed",
        "secret TOKEN changed",
        "binding CACHE added",
        "producer C added",
        "producer B removed",
        "producer A: queue a -> other",
        "producer A: delivery_delay none -> 5",
        "consumer of c added",
        "consumer of b removed",
        "queue a: max_batch_size 10 -> 5",
        "queue a: dead_letter_queue none -> dead",
        "cron 0 * * * * added",
        "cron * * * * * removed",
    ]
