"""The parts of the REST API's addresses. Its clients use this module too, so it imports little."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Final

API_PREFIX: Final = "/cdn-cgi/emulator/client/v4"


@lru_cache(maxsize=16_384)
def queue_id(name: str) -> str:
    """32 hex digits that are always the same for a name, so that scripts can keep them."""
    return sha256(f"queue {name}".encode()).hexdigest()[:32]


def consumer_id(queue_name: str) -> str:
    """32 hex digits for the one consumer that a queue can have."""
    return sha256(f"consumer of {queue_name}".encode()).hexdigest()[:32]
