"""Many tests that are alike, each with an emulator of its own. BENCH_TESTS says how many; none unless it is set."""

from __future__ import annotations

import os

import pytest

from emulator.testing import Emulator

COUNT = int(os.environ.get("BENCH_TESTS", "0"))


@pytest.mark.parametrize("number", range(1, COUNT + 1))
def test_an_order_is_delivered_and_acked(emulator: Emulator, number: int) -> None:
    emulator.queue("orders").send({"id": number})
    [delivery] = emulator.advance(seconds=5)
    assert delivery.outcome == "ok"
    assert [message.body for message in delivery.acked] == [{"id": number}]
