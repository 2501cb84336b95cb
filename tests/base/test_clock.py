"""The clocks."""

from __future__ import annotations

import asyncio
import time

import pytest

from emulator.base.clock import VirtualClock, WallClock


def test_a_virtual_clock_stands_still() -> None:
    clock = VirtualClock(100.0)
    assert (clock.now(), clock.next_timer(), clock.run_due()) == (100.0, None, False)


def test_callbacks_run_in_the_order_of_their_times_then_of_their_registration() -> None:
    clock = VirtualClock(0.0)
    ran: list[str] = []
    clock.call_at(2.0, lambda: ran.append("c"))
    clock.call_at(1.0, lambda: ran.append("a"))
    clock.call_at(1.0, lambda: ran.append("b"))
    while (due := clock.next_timer()) is not None:
        clock.move_to(due)
        assert clock.run_due()
    assert (ran, clock.now()) == (["a", "b", "c"], 2.0)


def test_nothing_runs_before_its_time() -> None:
    clock = VirtualClock(0.0)
    clock.call_at(1.0, lambda: pytest.fail("too early"))
    clock.move_to(0.5)
    assert not clock.run_due()


def test_a_time_that_has_passed_means_now() -> None:
    clock = VirtualClock(10.0)
    clock.call_at(3.0, lambda: None)
    assert clock.next_timer() == 10.0
    assert clock.run_due()


def test_call_soon_runs_at_the_same_time() -> None:
    clock = VirtualClock(10.0)
    ran: list[float] = []
    clock.call_soon(lambda: ran.append(clock.now()))
    assert ran == []
    assert clock.run_due()
    assert ran == [10.0]


def test_a_callback_may_ask_for_another() -> None:
    clock = VirtualClock(0.0)
    ran: list[str] = []
    clock.call_soon(lambda: clock.call_soon(lambda: ran.append("second")))
    assert clock.run_due()
    assert clock.run_due()
    assert ran == ["second"]


def test_a_cancelled_timer_does_not_run() -> None:
    clock = VirtualClock(0.0)
    timer = clock.call_at(1.0, lambda: pytest.fail("it was cancelled"))
    timer.cancel()
    timer.cancel()
    assert clock.next_timer() is None
    clock.move_to(5.0)
    assert not clock.run_due()


def test_a_virtual_clock_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        VirtualClock(10.0).move_to(9.0)


def test_a_virtual_clock_does_not_pass_over_a_callback() -> None:
    clock = VirtualClock(0.0)
    clock.call_at(1.0, lambda: None)
    clock.move_to(1.0)
    with pytest.raises(ValueError, match="run_due"):
        clock.move_to(2.0)


async def test_the_wall_clock_calls_back_on_the_event_loop() -> None:
    clock = WallClock()
    ran: list[str] = []
    done = asyncio.Event()
    clock.call_at(clock.now() + 3600, lambda: ran.append("late")).cancel()
    clock.call_at(clock.now() - 5, done.set)
    clock.call_soon(lambda: ran.append("soon"))
    await done.wait()
    assert abs(clock.now() - time.time()) < 60
    assert ran == ["soon"]
