"""What a worker can be invoked for: one list that everything else follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulator.base.bus import Bus
from emulator.base.clock import WallClock
from emulator.bindings.kind import Resources
from emulator.bindings.open_kinds import OpenKinds
from emulator.config.model import WorkerConfig
from emulator.hosts.host import HandlerMissing, WorkerHost
from emulator.hosts.python.host import PythonHost
from emulator.hosts.triggers import (
    HANDLERS,
    TRIGGERS,
    FetchTrigger,
    QueueTrigger,
    ScheduledTrigger,
    Trigger,
    any_of,
    in_order,
    with_article,
)
from emulator.hosts.workerd.binding_server import BindingServer
from emulator.hosts.workerd.host import WorkerdHost
from emulator.hosts.workerd.sockets import SocketDirectory
from emulator.queues.message import Backlog, WorkerDelivery
from emulator.storage.state import State
from emulator_runtime.hosting import Request


@pytest.mark.parametrize(
    ("trigger", "text"),
    [
        (FetchTrigger(Request("http://localhost/a?b", method="POST")), "POST /a?b"),
        (FetchTrigger(Request("http://localhost")), "GET /"),
        (QueueTrigger(WorkerDelivery("my-app-events", [], Backlog(0, 0, None))), "QUEUE my-app-events"),
        (ScheduledTrigger("* * * * *", 0), "SCHEDULED * * * * *"),
    ],
)
def test_a_trigger_reads_in_the_log_as_what_happened(trigger: Trigger[Any], text: str) -> None:
    assert trigger.text == text


def test_two_triggers_with_the_same_content_are_told_apart() -> None:
    assert ScheduledTrigger("* * * * *", 0) != ScheduledTrigger("* * * * *", 0)


def test_handlers_are_listed_in_one_order() -> None:
    assert HANDLERS == ("fetch", "queue", "scheduled", "email")
    assert in_order({"scheduled", "other", "fetch"}) == ("fetch", "scheduled")


def test_words_are_joined_as_a_sentence_has_them() -> None:
    assert any_of(["a"]) == "a"
    assert any_of(["a", "b", "c"]) == "a, b or c"
    assert [with_article(word) for word in ("queue", "alarm")] == ["a queue", "an alarm"]


async def _no_way_out(_request: Request) -> Any:
    raise AssertionError


def hosts(directory: Path) -> list[WorkerHost]:
    python = WorkerConfig("python", directory / "wrangler.jsonc", directory / "entry.py")
    javascript = WorkerConfig("javascript", directory / "wrangler.jsonc", directory / "index.js")
    bus = Bus()
    queues: Any = None
    return [
        PythonHost(python, make_env=lambda _config: None, outbound=_no_way_out, bus=bus),
        WorkerdHost(
            javascript,
            queues=queues,
            open_kinds=OpenKinds([], Resources(queues, bus, WallClock(), State())),
            binding_server=BindingServer(),
            sockets=SocketDirectory(),
            bus=bus,
        ),
    ]


def test_every_host_runs_every_trigger(tmp_path: Path) -> None:
    for host in hosts(tmp_path):
        for kind in TRIGGERS:
            running = host.invoke("", kind(*[None] * len(kind.__struct_fields__)))
            running.close()


async def test_only_the_default_export_can_be_invoked(tmp_path: Path) -> None:
    for host in hosts(tmp_path):
        with pytest.raises(HandlerMissing, match=r"named entrypoint 'Admin' cannot be invoked"):
            await host.invoke("Admin", ScheduledTrigger("* * * * *", 0))
