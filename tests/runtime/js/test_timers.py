"""`setTimeout` and its companions. All delays are zero, so no test waits."""

from __future__ import annotations

import asyncio

from emulator_runtime.js.timers import clearTimeout, queueMicrotask, setTimeout


async def turn() -> None:
    """Let everything that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_callback_is_called_with_its_arguments() -> None:
    called = asyncio.Event()
    seen: list[tuple[int, str]] = []

    def callback(number: int, text: str) -> None:
        seen.append((number, text))
        called.set()

    setTimeout(callback, 0, 1, "a")
    assert seen == []
    await called.wait()
    assert seen == [(1, "a")]


async def test_a_coroutine_function_runs_to_its_end() -> None:
    ended = asyncio.Event()

    async def callback() -> None:
        await asyncio.sleep(0)
        ended.set()

    setTimeout(callback, -5)
    await asyncio.wait_for(ended.wait(), 10)


async def test_a_cleared_timer_does_not_fire_and_others_do() -> None:
    seen: list[str] = []
    fired = asyncio.Event()
    cleared = setTimeout(seen.append, 0, "cleared")
    setTimeout(fired.set, 0)
    clearTimeout(cleared)
    await fired.wait()
    await turn()
    assert seen == []


async def test_clearing_an_unknown_timer_or_one_that_has_fired_does_nothing() -> None:
    fired = asyncio.Event()
    timer = setTimeout(fired.set, 0)
    await fired.wait()
    for each in (timer, timer, -1, None):
        clearTimeout(each)


async def test_a_microtask_runs_after_the_code_that_queues_it() -> None:
    seen: list[str] = []

    async def later() -> None:
        seen.append("async microtask")

    queueMicrotask(lambda: seen.append("microtask"))
    queueMicrotask(later)
    seen.append("code")
    await turn()
    assert seen == ["code", "microtask", "async microtask"]
