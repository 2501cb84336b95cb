"""What a changed configuration is said to change."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from emulator.bindings.queue.config import Consumer, Producer
from emulator.bindings.registry import KINDS
from emulator.bindings.service.kind import ServiceBinding
from emulator.config.changes import describe_changes
from emulator.queues.settings import ConsumerSettings
from tests.config.project import load, wrap
from tests.support.configs import declared, make_config

CONFIG = make_config(
    "demo",
    Path("/demo/wrangler.jsonc"),
    Path("/demo/src/entry.py"),
    vars={"KEPT": 1, "CHANGED": 1, "GONE": 1},
    secrets={"TOKEN": "hunter2", "OLD": "hunter3"},
    producers=(Producer("A", "a"), Producer("B", "b")),
    consumers=(Consumer("a"), Consumer("b")),
    crons=("* * * * *",),
)


def test_the_same_configuration_has_no_changes(tmp_path: Path) -> None:
    text = wrap('"queues": {"consumers": [{"queue": "one"}]}')
    moved = "// a comment\n" + text
    assert describe_changes(load(tmp_path, text), load(tmp_path, moved), KINDS) == []


def test_every_change_is_said_in_words() -> None:
    settings = ConsumerSettings(max_batch_size=5, dead_letter_queue="dead")
    new = replace(
        CONFIG,
        name="demo2",
        compatibility_date="2026-01-31",
        compatibility_flags=frozenset({"python_workers"}),
        cpu_ms=50,
        dev_port=9000,
        crons=("0 * * * *",),
        **declared(
            vars={"KEPT": 1, "CHANGED": True, "GREETING": "hi"},
            secrets={"TOKEN": "hunter4", "NEW": "hunter5"},
            producers=(Producer("A", "other"), Producer("C", "c")),
            consumers=(Consumer("a", settings), Consumer("c")),
            services=(ServiceBinding("MAIL", "mailer"),),
            not_emulated={"CACHE": "kv_namespaces"},
        ),
    )
    assert describe_changes(CONFIG, new, KINDS) == [
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
        "producer C added",
        "producer B removed",
        "producer A: queue a -> other",
        "consumer of c added",
        "consumer of b removed",
        "queue a: max_batch_size 10 -> 5",
        "queue a: dead_letter_queue none -> dead",
        "service MAIL added",
        "binding CACHE added",
        "cron 0 * * * * added",
        "cron * * * * * removed",
    ]
