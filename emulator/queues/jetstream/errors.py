"""What goes wrong with a NATS server, as the engine sees it."""

from __future__ import annotations

from typing import Final

from emulator.queues.errors import QueueError, QueueErrorCode

STREAM_NOT_FOUND: Final = 10059
MESSAGE_NOT_FOUND: Final = 10037
STREAM_IN_USE: Final = 10058
_NO_ROOM: Final = (10023, 10047, 10077, 10028, 10025)
"""Insufficient resources, storage of the server or the account exceeded, a stream over its maximum."""


class UnreachableError(QueueError):
    """The server does not answer. Whether it has carried out what it was asked is not known."""

    def __init__(self, what: str) -> None:
        super().__init__(QueueErrorCode.UNKNOWN_INTERNAL_ERROR, what)


class RefusedError(QueueError):
    """The server has refused a request, with a code of its own; nothing has changed."""

    def __init__(self, number: int, text: str) -> None:
        no_room = number in _NO_ROOM
        code = QueueErrorCode.QUEUE_STORAGE_LIMIT_EXCEEDED if no_room else QueueErrorCode.UNKNOWN_INTERNAL_ERROR
        super().__init__(code, f"the NATS server {'has no room' if no_room else 'refuses'}: {text}")
        self.number = number
