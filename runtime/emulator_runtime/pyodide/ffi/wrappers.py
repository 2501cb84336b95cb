"""The module `pyodide.ffi.wrappers` of worker code: timers and event listeners without proxies to destroy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulator_runtime.errors import NotEmulated, no_attribute
from emulator_runtime.js.timers import clearTimeout, setTimeout

__all__ = [
    "add_event_listener",
    "clear_interval",
    "clear_timeout",
    "remove_event_listener",
    "set_interval",
    "set_timeout",
]

set_timeout = setTimeout
clear_timeout = clearTimeout
set_interval = NotEmulated("pyodide.ffi.wrappers.set_interval", "a loop with asyncio.sleep() does the same")
clear_interval = NotEmulated("pyodide.ffi.wrappers.clear_interval", "a loop with asyncio.sleep() does the same")


def add_event_listener(elt: Any, event: str, listener: Callable[[Any], Any]) -> None:
    """`elt.addEventListener(event, listener)`."""
    elt.addEventListener(event, listener)


def remove_event_listener(elt: Any, event: str, listener: Callable[[Any], Any]) -> None:
    """`elt.removeEventListener(event, listener)`."""
    elt.removeEventListener(event, listener)


__getattr__ = no_attribute("pyodide.ffi.wrappers")
