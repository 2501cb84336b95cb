"""`setTimeout`, `clearTimeout` and `queueMicrotask` on the event loop that the worker runs in."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

_ids = itertools.count(1)
_timers: dict[int, asyncio.TimerHandle] = {}


def setTimeout(callback: Callable[..., Any], delay_ms: float = 0, *arguments: Any) -> int:
    """Call `callback` after `delay_ms` milliseconds; a coroutine function is run. Returns an id for `clearTimeout`.

    As in production this does not keep an invocation alive: what has to happen belongs under `ctx.waitUntil`.
    """
    timer = next(_ids)

    def fire() -> None:
        _timers.pop(timer, None)
        _run(callback, arguments)

    _timers[timer] = asyncio.get_running_loop().call_later(max(delay_ms, 0) / 1000, fire)
    return timer


def clearTimeout(timer: int | None = None) -> None:
    """Forget a timer; an unknown id is ignored."""
    handle = _timers.pop(timer, None) if timer is not None else None
    if handle is not None:
        handle.cancel()


def queueMicrotask(callback: Callable[[], Any]) -> None:
    """Call `callback` as soon as what runs has come to a pause."""
    asyncio.get_running_loop().call_soon(_run, callback, ())


_running: set[asyncio.Future[Any]] = set()


def _run(callback: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    result = callback(*arguments)
    if asyncio.iscoroutine(result):
        task = asyncio.ensure_future(result)
        _running.add(task)
        task.add_done_callback(_running.discard)
