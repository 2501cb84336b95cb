"""The module `pyodide.http` of worker code."""

from __future__ import annotations

from typing import Any

from emulator_runtime.errors import AbortError, BodyUsedError, HttpStatusError, NotEmulated, no_attribute
from emulator_runtime.workers.fetch import fetch
from emulator_runtime.workers.response import FetchResponse

__all__ = ["AbortError", "BodyUsedError", "FetchResponse", "HttpStatusError", "open_url", "pyfetch"]

open_url = NotEmulated("pyodide.http.open_url", "await workers.fetch() does the same")


async def pyfetch(url: Any, /, **options: Any) -> FetchResponse:
    """`workers.fetch` under Pyodide's name."""
    return await fetch(url, **options)


__getattr__ = no_attribute("pyodide.http")
