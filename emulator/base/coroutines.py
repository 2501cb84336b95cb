"""Running coroutines that do not suspend, where nobody can wait."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_now(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end without an event loop. Raises what it raises, and RuntimeError if it waits for
    something; that it lets others run, by `asyncio.sleep(0)`, is no reason to wait."""
    try:
        while coroutine.send(None) is None:
            pass
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError(f"{coroutine!r} suspended, and nobody here can wait for it")
