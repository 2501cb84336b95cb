from collections.abc import Mapping
from typing import Any

from emulator_runtime.values import AttributeDict

class RateLimitOutcome(AttributeDict):
    """Whether a call is within the limit."""

    success: bool

class RateLimit:
    """Counts what happens to keys."""

    async def limit(self, options: Mapping[str, Any] | None = None, /, *, key: str = ...) -> RateLimitOutcome:
        """Count one more for a key, and say whether it is within the limit."""
