"""The module `pyodide.webloop` of worker code. The event loop is asyncio's own here, so nothing is an instance of these
classes, and none can be made."""

from __future__ import annotations

import asyncio
from typing import Any

from emulator_runtime.errors import NotEmulatedError, no_attribute
from emulator_runtime.pyodide.ffi import can_run_sync, run_sync

__all__ = ["PyodideFuture", "PyodideTask", "WebLoop", "WebLoopPolicy", "can_run_sync", "run_sync"]


class PyodideFuture(asyncio.Future[Any]):
    """The type of futures in production."""

    def __init__(self, *_arguments: Any, **_keywords: Any) -> None:
        raise NotEmulatedError.of("pyodide.webloop.PyodideFuture", "asyncio.Future does the same")


class PyodideTask(asyncio.Task[Any]):
    """The type of tasks in production."""

    def __init__(self, *_arguments: Any, **_keywords: Any) -> None:
        raise NotEmulatedError.of("pyodide.webloop.PyodideTask", "asyncio.create_task() does the same")


class WebLoop(asyncio.AbstractEventLoop):
    """The type of the event loop in production."""

    def __init__(self, *_arguments: Any, **_keywords: Any) -> None:
        raise NotEmulatedError.of("pyodide.webloop.WebLoop", "asyncio.get_running_loop() is the loop of a worker")


class WebLoopPolicy:
    """The type of the event loop policy in production."""

    def __init__(self, *_arguments: Any, **_keywords: Any) -> None:
        raise NotEmulatedError.of("pyodide.webloop.WebLoopPolicy")


__getattr__ = no_attribute("pyodide.webloop")
