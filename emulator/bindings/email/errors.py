"""What the service says when it refuses a message."""

from __future__ import annotations


class EmailError(Exception):
    """A message is refused: a code such as E_RECIPIENT_NOT_ALLOWED, empty if there is none, and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
