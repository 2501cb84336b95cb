"""`pyodide.ffi.wrappers`: timers and listeners."""

from __future__ import annotations

import asyncio
from typing import Any

from emulator_runtime.js.abort import AbortSignal, client_gone
from emulator_runtime.pyodide.ffi import wrappers


async def test_timers_run_and_are_cancelled() -> None:
    done = asyncio.Event()
    wrappers.clear_timeout(wrappers.set_timeout(lambda: 1 / 0, 0))
    wrappers.set_timeout(done.set, 0)
    await done.wait()


def test_listeners_are_added_and_removed() -> None:
    signal = AbortSignal()
    heard: list[Any] = []
    for listener in (heard.append, print):
        wrappers.add_event_listener(signal, "abort", listener)
    wrappers.remove_event_listener(signal, "abort", print)
    signal.abort(client_gone())
    assert [event.type for event in heard] == ["abort"]
