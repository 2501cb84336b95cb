"""`EmailMessage` of `cloudflare:email`: a message that a worker has written as MIME."""

from __future__ import annotations

from typing import Any, Self


class EmailMessage:
    """A message with its envelope. `raw` is MIME: a string, bytes or a stream."""

    def __init__(self, from_: str, to: str, raw: Any) -> None:
        self.from_ = from_
        self.to = to
        self.raw = raw
        setattr(self, "from", from_)  # which Python can only ask for with getattr

    @classmethod
    def new(cls, from_: str, to: str, raw: Any) -> Self:
        """Make a message, as code for Pyodide does."""
        return cls(from_, to, raw)

    def __repr__(self) -> str:
        return f"<EmailMessage from {self.from_} to {self.to}>"
