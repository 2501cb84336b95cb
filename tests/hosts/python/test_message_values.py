"""What a message is when it arrives, as production gives it to Python."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from emulator.testing import Emulator
from tests.testing.kit_workers import worker

SENDS = """
async def fetch(self, request):
    value, options = VALUES[request.url.rpartition("/")[2]]
    await self.env.JOBS.send(value, **options)
    return Response("sent")
"""

KEEPS = """
async def queue(self, batch, env, ctx):
    for message in batch.messages:
        events.append(message)
        batch_metrics.append(batch.metadata.metrics)
"""

ANSWERS = """
async def scheduled(self, controller, env, ctx):
    print(eval(controller.cron, {"message": events[-1], "metrics": batch_metrics[-1]}))
"""

VALUES = """
from datetime import datetime

batch_metrics = []
VALUES = {
    "whole": (1.0, {}),
    "part": ([1.5, 2.0], {}),
    "nan": (float("nan"), {}),
    "date": (datetime(2026, 1, 2, 3, 4, 5), {}),
    "set": ({1, 2}, {}),
    "inside": ({"raw": b"ab"}, {}),
    "bytes": (b"ab", {"contentType": "bytes"}),
    "dict": ({"type": "a", "items": 1, "user": {"id": 7}}, {}),
}
"""

ARRIVES = {
    "whole": ("(type(message.body), message.body)", "(<class 'int'>, 1)"),
    "part": ("message.body", "[1.5, 2]"),
    "nan": ("message.body", "None"),
    "date": ("message.body", "2026-01-02T03:04:05.000Z"),
    "set": ("message.body", "{}"),
    "inside": ("message.body", "{'raw': {'0': 97, '1': 98}}"),
    "bytes": ("(type(message.body), message.body.tobytes())", "(<class 'memoryview'>, b'ab')"),
    "dict": (
        "(message.body.type, message.body.user.id, message.body['items'], list(message.body.items())[0])",
        "('a', 7, 1, ('type', 'a'))",
    ),
}


@pytest.mark.parametrize("name", ARRIVES)
def test_a_body_arrives_as_in_production(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    expression, expected = ARRIVES[name]
    with Emulator(**worker(SENDS, KEEPS, ANSWERS, more=VALUES)) as emulator:
        emulator.get(f"/{name}")
        emulator.advance(seconds=5)
        emulator.dispatch_scheduled(expression)
    assert expected in capsys.readouterr().out


def test_moments_are_in_utc_without_a_time_zone(capsys: pytest.CaptureFixture[str]) -> None:
    with Emulator(**worker(SENDS, KEEPS, ANSWERS, more=VALUES)) as emulator:
        emulator.get("/whole")
        emulator.advance(seconds=5)
        emulator.dispatch_scheduled("repr((message.timestamp, metrics.oldestMessageTimestamp))")
    sent = datetime(2027, 1, 15, 8, tzinfo=UTC).replace(tzinfo=None)
    assert repr((sent, sent)) in capsys.readouterr().out
