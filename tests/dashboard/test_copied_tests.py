"""The pytest test that a message can be copied as fails exactly where what became of the message differs."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.dashboard.history import as_test
from emulator.testing import Emulator
from tests.testing.kit_workers import worker

BROKEN = """
async def queue(self, batch, env, ctx):
    if batch.messages[0].body["to"] == "nobody":
        raise ConnectionError("no such address")
"""
MENDED = """
async def queue(self, batch, env, ctx):
    pass
"""


def run(code: str, method: str) -> None:
    """Run a copied test against a worker."""
    scope: dict[str, Any] = {}
    exec(code, scope)
    [test] = [value for name, value in scope.items() if name.startswith("test_message_")]
    with Emulator(**worker(method)) as emulator:
        test(emulator)


def copied(to: str, seconds: float) -> str:
    """The test of a message, so many seconds after it was sent to the broken worker."""
    with Emulator(**worker(BROKEN)) as emulator:
        queue = emulator.queue("jobs")
        queue.send({"to": to})
        [message] = queue.messages
        emulator.advance(seconds=seconds)
        return as_test(emulator.why(message))


def test_a_dead_message_dies_again_until_the_code_is_mended() -> None:
    code = copied("nobody", 600)
    assert "assert story.state == 'dead'" in code
    run(code, BROKEN)
    with pytest.raises(AssertionError):
        run(code, MENDED)


def test_a_message_that_is_still_tried_fails_again() -> None:
    code = copied("nobody", 6)
    assert "assert 'ConnectionError: no such address' in story.error" in code
    run(code, BROKEN)
    with pytest.raises(AssertionError):
        run(code, MENDED)


@pytest.mark.parametrize("seconds", [0, 6])
def test_a_message_that_has_not_failed_is_acked(seconds: float) -> None:
    code = copied("ada", seconds)
    run(code, BROKEN)
    with pytest.raises(AssertionError):
        run(code.replace("'ada'", "'nobody'"), BROKEN)


def test_what_cannot_be_written_as_a_value_is_no_test() -> None:
    with Emulator(**worker(BROKEN)) as emulator:
        queue = emulator.queue("jobs")
        queue.send(b"\x00", content_type="bytes")
        assert as_test(emulator.why(queue.messages[0])) == ""
