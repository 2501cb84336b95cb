"""`setTimeout`, `clearTimeout` and `queueMicrotask` on the event loop that the worker runs in."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

_ids = itertools.count(1)
_timers: dict[int, asyncio.TimerHandle] = {}


def setTimeout(callback: Callable[..., Any], delay_ms: float = 0, *arguments: Any) -> int:
    """Call `callback`, which may be a coroutine function, after `delay_ms` milliseconds. Returns an id for
    `clearTimeout`.

    As in production this does not keep an invocation alive; use `ctx.waitUntil` for that.
    """
    timer = next(_ids)

    def fire() -> None:
        _timers.pop(timer, None)
        _run(callback, arguments)

    _timers[timer] = asyncio.get_running_loop().call_later(max(delay_ms, 0) / 1000, fire)
    return timer


def clearTimeout(timer: int | None = None) -> None:
    """Cancel a timer. An unknown id is ignored."""
    handle = _timers.pop(timer, None) if timer is not None else None
    if handle is not None:
        handle.cancel()


def queueMicrotask(callback: Callable[[], Any]) -> None:
    """Call `callback` as soon as the code that is running returns or waits."""
    asyncio.get_running_loop().call_soon(_run, callback, ())


_running: set[asyncio.Future[Any]] = set()


def _run(callback: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    result = callback(*arguments)
    if asyncio.iscoroutine(result):
        task = asyncio.ensure_future(result)
        _running.add(task)
        task.add_done_callback(_running.discard)
