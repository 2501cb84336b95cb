"""Which requests of httpx are logged: the user's, and not the emulator's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from emulator.base.quiet import quiet
from emulator.testing import AsyncEmulator, Emulator

WORKER = """
from workers import Response, WorkerEntrypoint, fetch

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await fetch("https://rates.example/")
        return Response("ok")
"""


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO)
    return lambda: [record.getMessage() for record in caplog.records if record.name == "httpx"]


def transport() -> Any:
    return httpx.MockTransport(lambda _request: httpx.Response(200))


def test_the_requests_of_a_quiet_client_are_not_logged(logged: Callable[[], list[str]]) -> None:
    with quiet(httpx.Client(transport=transport())) as own, httpx.Client(transport=transport()) as other:
        own.get("http://own.example/")
        other.get("http://other.example/")
    assert logged() == ['HTTP Request: GET http://other.example/ "HTTP/1.1 200 OK"']


def test_the_kit_logs_nothing_of_its_own(logged: Callable[[], list[str]]) -> None:
    with Emulator(main=WORKER) as emulator:
        emulator.outbound.get("https://rates.example/", status=200)
        assert emulator.get("/").text == "ok"
    assert logged() == []


async def test_neither_does_the_kit_for_async_tests(logged: Callable[[], list[str]]) -> None:
    async with AsyncEmulator(main=WORKER) as emulator:
        emulator.outbound.get("https://rates.example/", status=200)
        assert (await emulator.get("/")).text == "ok"
    assert logged() == []
