"""The module `asgi` of worker code: another name for `workers.asgi`."""

from __future__ import annotations

from typing import Any

from emulator_runtime.workers import asgi as _asgi
from emulator_runtime.workers.asgi import Options, entrypoint, fetch, websocket

__all__ = ["Options", "entrypoint", "fetch", "websocket"]


def __getattr__(name: str) -> Any:
    return getattr(_asgi, name)
