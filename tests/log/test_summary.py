"""The block of lines that says what runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.bindings.queue.config import Consumer, Producer
from emulator.bindings.service.kind import ServiceBinding
from emulator.log import summary
from emulator.queues.settings import ConsumerSettings
from emulator.server.events import ServerReady
from tests.log.showing import FakeHost, config, show


def test_start_shows_workers_bindings_queues_and_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "time", lambda: 1_800_000_000.0)
    host = FakeHost(
        config(
            vars={"SENDER": "hello", "LIMIT": 3, "API_KEY": "hidden by the secret"},
            secrets={"API_KEY": "sesame"},
            producers=(Producer("EVENTS", "my-app-events"),),
            consumers=(Consumer("my-app-events", ConsumerSettings(dead_letter_queue="dlq", retry_delay=30)),),
            crons=("*/5 * * * *", "0 0 1 3 *", "0 0 30 2 *"),
        ),
        {"queue", "fetch"},
    )
    text = show(ServerReady("http://127.0.0.1:8787"), hosts=[host])
    assert text == (
        "sign-up  /app/src/entry.py  fetch, queue\n"
        "  env.EVENTS   queue my-app-events\n"
        '  env.SENDER   "hello"\n'
        "  env.LIMIT    3\n"
        "  env.API_KEY  (secret)\n"
        "  cron         */5 * * * *  next at 08:05 UTC\n"
        "  cron         0 0 1 3 *  next at 2027-03-01 00:00 UTC\n"
        "  cron         0 0 30 2 *  is never due\n"
        "\n"
        "queue my-app-events  to sign-up: 10 messages or 5 s, 3 retries after 30 s, then to dlq\n"
        "queue dlq            no consumer: keeps messages for 4 days\n"
        "\n"
        "Ready on http://127.0.0.1:8787\n"
        "Dashboard: http://127.0.0.1:8787/cdn-cgi/emulator/\n\n"
    )
    assert "sesame" not in text


def test_start_shows_services_and_what_is_not_emulated_before_plain_values() -> None:
    declared = config(
        main=Path("/app/src/index.js"),
        vars={"SENDER": "hello"},
        services=(ServiceBinding("AUTH", "auth"), ServiceBinding("ADMIN", "auth", "Admin")),
        not_emulated={"CACHE": "kv_namespaces"},
    )
    text = show(ServerReady("http://127.0.0.1:1"), hosts=[FakeHost(declared, {"fetch"})])
    assert text.startswith(
        "sign-up  /app/src/index.js  fetch\n"
        "  env.AUTH    worker auth\n"
        "  env.ADMIN   worker auth, Admin\n"
        "  env.CACHE   not emulated yet (kv_namespaces)\n"
        '  env.SENDER  "hello"\n'
    )


def test_start_says_that_a_python_worker_cannot_call_a_service() -> None:
    declared = config(services=(ServiceBinding("AUTH", "auth"),))
    text = show(ServerReady("http://127.0.0.1:1"), hosts=[FakeHost(declared, {"fetch"})])
    assert "  env.AUTH  worker auth (not emulated yet for Python workers)\n" in text
