"""A rate limit of a Python worker: `env.LIMITER`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from emulator_runtime.hosting import AttributeDict, JsException


class RateLimitBinding:
    """Counts what happens to keys; what is refused raises JsException."""

    def __init__(self, limit: Callable[[Any], bool]) -> None:
        self._limit = limit

    async def limit(self, options: Mapping[str, Any] | None = None, /, **keywords: Any) -> AttributeDict:
        """Count one more for a key: `limit(key="ada")`, or the options as a dict. Returns `success`."""
        try:
            return AttributeDict(success=self._limit({**(options or {}), **keywords}))
        except ValueError as error:
            raise JsException(str(error)) from None

    def __repr__(self) -> str:
        return "<RateLimit>"
