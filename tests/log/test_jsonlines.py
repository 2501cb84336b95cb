"""Events as JSON, whose keys are a contract."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import asdict

from emulator.base.bus import Notice
from emulator.bindings.events import BindingUsed
from emulator.bindings.queue.config import Consumer, Producer
from emulator.bindings.service.kind import ServiceBinding
from emulator.hosts.events import EmailFinished, HandlerFailed, ScheduledFinished, WorkerOutput
from emulator.queues.events import MessagesDeadLettered, MessagesDropped, MessagesSent
from emulator.queues.message import Attempt, DeadLetter, Settlement
from emulator.queues.settings import ConsumerSettings
from emulator.server.events import RequestFinished, ServerReady
from emulator.session.events import ConfigurationChanged, WorkerReloaded
from tests.log.showing import FAILURE, FakeHost, batch, config, message, records


def test_json_lines_have_stable_keys() -> None:
    host = FakeHost(config(producers=(Producer("EVENTS", "q"),), consumers=(Consumer("q"),)), {"fetch", "queue"})
    letter = DeadLetter("q", 9.0, (Attempt(1, 1.0, "exception", "ValueError: no"),))
    lines = records(
        ServerReady("http://127.0.0.1:1"),
        RequestFinished("w", "GET", "/", 200, 0.0012345),
        batch(Settlement([message(1)]), 1),
        MessagesSent("q", [message(1)], "sign-up"),
        BindingUsed("w", "kv", "SESSIONS", "get", "a", 12, 0.001),
        MessagesDeadLettered("q", "dlq", [message(1, dead_letter=letter)]),
        MessagesDropped("q", [message(1)], "expired"),
        EmailFinished("w", "a@a.example", "b@b.example", "ok", "", 0.1),
        ScheduledFinished("w", "* * * * *", "ok", 0.1),
        HandlerFailed("w", "GET /", FAILURE),
        WorkerReloaded("w", ["entry.py"], 0.1),
        ConfigurationChanged("wrangler.jsonc", ["a"]),
        WorkerOutput("w", "GET /", "info", "hello"),
        Notice("warning", "careful"),
        hosts=[host],
        level="debug",
    )
    keys = {line["event"]: " ".join(sorted(line.keys() - {"time", "level", "event"})) for line in lines}
    assert keys == {
        "ready": "api_token inspector_url network_url url workers",
        "request": "duration_ms method path status worker",
        "batch": "acked dead_lettered dropped duration_ms error expired outcome queue reasons retried size worker",
        "sent": "messages queue source",
        "binding": "binding binding_type duration_ms error key operation size worker",
        "dead_lettered": "messages queue to",
        "dropped": "messages queue reason",
        "email": "duration_ms outcome recipient rejected sender worker",
        "scheduled": "cron duration_ms outcome worker",
        "failure": "failure trigger worker",
        "reload": "duration_ms failure files worker",
        "configuration": "changes file",
        "output": "logger text trigger worker",
        "notice": "text worker",
    }
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line["time"]) for line in lines)
    assert lines[0]["workers"][0]["consumers"][0]["max_batch_size"] == 10
    assert lines[1]["duration_ms"] == 1.234
    assert lines[5]["messages"][0]["error"] == "ValueError: no"
    documented = (Path(__file__).parents[2] / "docs" / "terminal.md").read_text()
    for event, names in keys.items():
        row = next(line for line in documented.splitlines() if line.startswith(f"| `{event}` |"))
        assert all(f"`{name}`" in row for name in names.split()), event


def test_json_says_what_utf8_cannot() -> None:
    assert records(WorkerOutput("w", "", "info", "\ud800"))[0]["text"] == "\ud800"


def test_json_ready_lists_the_bindings_of_every_kind() -> None:
    declared = config(
        vars={"A": 1, "TOKEN": "hidden"},
        secrets={"TOKEN": "sesame"},
        producers=(Producer("EVENTS", "q"),),
        consumers=(Consumer("q", ConsumerSettings(max_retries=1)),),
        services=(ServiceBinding("AUTH", "auth"),),
        not_emulated={"CACHE": "kv_namespaces"},
        crons=("* * * * *", "0 0 30 2 *"),
    )
    begun = datetime.now(UTC)
    (ready,) = records(ServerReady("http://127.0.0.1:1"), hosts=[FakeHost(declared, {"fetch"})])
    (worker,) = ready["workers"]
    assert worker["bindings"] == [
        {"name": "EVENTS", "type": "queue"},
        {"name": "AUTH", "type": "service"},
        {"name": "CACHE", "type": "not_emulated", "key": "kv_namespaces"},
        {"name": "A", "type": "var"},
        {"name": "TOKEN", "type": "secret"},
    ]
    (consumer,) = worker["consumers"]
    assert consumer == {"queue": "q", **asdict(ConsumerSettings(max_retries=1))}
    assert worker["crons"] == ["* * * * *", "0 0 30 2 *"]
    due = worker["crons_due"]
    assert due["0 0 30 2 *"] is None
    assert begun < datetime.fromisoformat(due["* * * * *"]) <= datetime.now(UTC) + timedelta(minutes=1)
