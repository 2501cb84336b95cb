"""E-mail: `EmailMessage`, a message that a worker has written as MIME, and the argument of an `email` handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

from emulator_runtime.streams import ReadableStream
from emulator_runtime.values import AttributeDict
from emulator_runtime.workers.headers import Headers


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


class ForwardableEmailMessage:
    """A message that has come in. `from_` and `to` are its envelope; `raw` is a stream of MIME, of `rawSize` bytes."""

    def __init__(
        self,
        envelope: tuple[str, str],
        headers: Headers,
        raw: bytes,
        *,
        reject: Callable[[str], None],
        forward: Callable[[str, list[tuple[str, str]]], str],
        reply: Callable[[Any], Awaitable[str]],
    ) -> None:
        self.from_, self.to = envelope
        setattr(self, "from", self.from_)
        self.headers = headers
        self.raw = ReadableStream(raw)
        self.rawSize = len(raw)
        self.canBeForwarded = True
        self._reject = reject
        self._forward = forward
        self._reply = reply

    def setReject(self, reason: str) -> None:
        """Refuse the message: its sender gets the reason."""
        self._reject(str(reason))

    async def forward(self, rcptTo: str, headers: Headers | Mapping[str, str] | None = None) -> AttributeDict:
        """Send it on to another address, with more headers. Returns `messageId`."""
        return AttributeDict(messageId=self._forward(rcptTo, list(Headers(headers))))

    async def reply(self, message: Any = None, /, **keywords: Any) -> AttributeDict:
        """Answer its sender: with a dict, or keywords, with `from`, `subject`, `text`, `html` and more, or with an
        EmailMessage. Returns `messageId`."""
        return AttributeDict(
            messageId=await self._reply(
                message if isinstance(message, EmailMessage) else {**(message or {}), **keywords}
            )
        )

    def __repr__(self) -> str:
        return f"<ForwardableEmailMessage from {self.from_} to {self.to}>"
