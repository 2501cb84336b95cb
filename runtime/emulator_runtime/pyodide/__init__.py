"""The module `pyodide` of worker code: the names that Python workers import from it."""

from __future__ import annotations

from typing import Any

from emulator_runtime.errors import NotEmulatedError

__version__ = "0.28.2"


def __getattr__(name: str) -> Any:
    if name in ("code", "console", "webloop"):
        raise NotEmulatedError.of(f"pyodide.{name}")
    raise AttributeError(f"module 'pyodide' has no attribute {name!r}")
