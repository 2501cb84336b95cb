"""What the kit finds by a filter."""

from __future__ import annotations

import asyncio

import pytest

from emulator.base.errors import EmulatorError
from emulator.dashboard import contents
from emulator.testing import AsyncEmulator, Emulator
from tests.testing.kit_workers import ACKS, FAILS, SENDS, worker


def test_messages_and_requests_are_found_by_a_filter() -> None:
    with Emulator(**worker(SENDS, FAILS)) as emulator:
        emulator.post("/signup", json={"type": "boom"})
        emulator.post("/other", json={"type": "later"})
        emulator.run_until_idle()
        [dead] = emulator.messages("state:dead attempts>2 body.type=boom")
        assert (dead.queue, dead.attempts, dead.error) == ("dead-jobs", 4, "ConnectionError: mail server is down")
        assert emulator.why(dead.id).state == "dead"
        assert len(emulator.messages()) == len(emulator.messages("queue:DEAD-JOBS")) == 2
        assert [each.text for each in emulator.requests()] == ["POST /other", "POST /signup"]
        assert [each.path for each in emulator.requests("-path~other status:200")] == ["/signup"]


def test_a_search_that_lets_others_work_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_SLICE_SECONDS", -1.0)  # as on a machine that is very slow
    with Emulator(**worker(SENDS)) as emulator:
        emulator.queue("jobs").send_batch([{"number": number} for number in range(5)])
        assert len(emulator.messages("queue:jobs")) == 5


def test_more_are_found_than_a_page_shows() -> None:
    with Emulator(**worker(SENDS, ACKS)) as emulator:
        emulator.queue("jobs").send_batch([{"number": number} for number in range(100)])
        emulator.queue("jobs").send_batch([{"number": number} for number in range(100, 120)])
        emulator.run_until_idle()
        assert len(emulator.messages("state:acked")) == 120


def test_the_asynchronous_kit_finds_the_same() -> None:
    async def main() -> None:
        async with AsyncEmulator(**worker(SENDS, ACKS)) as emulator:
            await emulator.post("/", json={"type": "boom"})
            await emulator.run_until_idle()
            assert [each.state for each in emulator.messages("body.type:boom")] == ["acked"]
            assert [each.status for each in emulator.requests("method:POST")] == [200]

    asyncio.run(main())


def test_a_wrong_filter_fails_the_test_with_where_and_what_is_near() -> None:
    with Emulator(**worker(SENDS, ACKS)) as emulator:
        with pytest.raises(
            ValueError, match=r"at character 12: messages have no field attemps; the nearest is attempts"
        ):
            emulator.messages("state:dead attemps>2")
        with pytest.raises(ValueError, match="requests have no field state; the nearest is status"):
            emulator.requests("state:dead")
    with pytest.raises(EmulatorError, match="closed"):
        emulator.messages()
