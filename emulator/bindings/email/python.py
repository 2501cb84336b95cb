"""Sending e-mail from a Python worker: `env.EMAIL`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emulator.bindings.email.errors import EmailError
from emulator_runtime.hosting import AttributeDict, EmailMessage, JsException, as_bytes, bytes_of

if TYPE_CHECKING:
    from emulator.bindings.email.kind import Sender


class SendEmailBinding:
    """Sends messages. What is refused raises JsException with a `code`."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def send(self, message: Any = None, /, **keywords: Any) -> AttributeDict:
        """Send an EmailMessage, or a dict with `from`, `to`, `subject`, `text`, `html` and more, or keywords, where
        `from_` is `from`. Returns `messageId`."""
        try:
            if isinstance(message, EmailMessage):
                raw = await _content(message.raw)
                return AttributeDict(messageId=await self._sender.send_raw(message.from_, message.to, raw))
            given = {**(message or {}), **keywords}
            if "from_" in given:
                given["from"] = given.pop("from_")
            if given.get("attachments"):
                given["attachments"] = [_attachment(each) for each in given["attachments"]]
            return AttributeDict(messageId=await self._sender.send(given))
        except EmailError as error:
            refused = JsException(error.message)
            if error.code:
                refused.code = error.code  # type: ignore[attr-defined]
            raise refused from None

    def __repr__(self) -> str:
        return "<SendEmail>"


async def _content(raw: Any) -> bytes:
    if isinstance(raw, str):
        return raw.encode()
    content = bytes_of(raw)
    return content if content is not None else b"".join([as_bytes(piece) async for piece in raw])


def _attachment(given: Any) -> Any:
    content = bytes_of(given.get("content")) if isinstance(given, Mapping) else None
    return given if content is None else {**given, "content": content}
