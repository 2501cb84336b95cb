"""When telemetry is exported, and what is said where it cannot be."""

from __future__ import annotations

import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emulator.base.bus import Bus, Notice
from emulator.session.session import Session
from emulator.telemetry.start import telling
from tests.integration.conftest import write_worker
from tests.support.configs import load_config

WORKER = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return Response("ok")
"""


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)
    write_worker(tmp_path, WORKER)
    return Session([load_config(tmp_path / "wrangler.jsonc")], Bus())


@contextmanager
def running() -> Iterator[Coroutine[Any, Any, None]]:
    async def run() -> None:
        pass

    coroutine = run()
    yield coroutine
    coroutine.close()


def test_without_variables_the_session_runs_as_it_is(session: Session) -> None:
    with running() as coroutine:
        assert telling(session, coroutine) is coroutine
    assert session.bus.acts is None


def test_without_the_packages_a_sentence_says_how_to_get_them(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.delitem(sys.modules, "emulator.telemetry.telemetry", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    notices: list[Notice] = []
    session.bus.subscribe(Notice, notices.append)
    with running() as coroutine:
        assert telling(session, coroutine) is coroutine
    [notice] = notices
    assert notice.level == "warning"
    assert "ask for telemetry, which needs OpenTelemetry's packages: install them with `" in notice.text
    assert "workers-emulator[otel]" in notice.text
    assert session.bus.acts is None


def test_what_is_asked_for_and_not_done_is_told(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    notices: list[Notice] = []
    session.bus.subscribe(Notice, notices.append)
    with running() as coroutine:
        assert telling(session, coroutine) is coroutine
    assert [notice.text for notice in notices] == [
        "OTEL_TRACES_EXPORTER=zipkin: the emulator exports traces by otlp only"
    ]
