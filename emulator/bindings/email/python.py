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
        sender = self._sender
        try:
            if isinstance(message, EmailMessage):
                return AttributeDict(
                    messageId=await sender.send_raw(message.from_, message.to, await content_of(message))
                )
            return AttributeDict(messageId=await sender.send(described({**(message or {}), **keywords})))
        except EmailError as error:
            raise refused(error) from None

    def __repr__(self) -> str:
        return "<SendEmail>"


async def content_of(message: EmailMessage) -> bytes:
    """The MIME of a message."""
    raw = message.raw
    if isinstance(raw, str):
        return raw.encode()
    content = bytes_of(raw)
    return content if content is not None else b"".join([as_bytes(piece) async for piece in raw])


def described(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker says of a message, under the names of JavaScript, with bytes as bytes."""
    found = {"from" if name == "from_" else name: value for name, value in given.items()}
    if found.get("attachments"):
        found["attachments"] = [_attachment(each) for each in found["attachments"]]
    return found


def refused(error: EmailError) -> JsException:
    """What a worker gets for a refusal: an error with a `code`, where there is one."""
    raised = JsException(error.message)
    if error.code:
        raised.code = error.code  # type: ignore[attr-defined]
    return raised


def _attachment(given: Any) -> Any:
    content = bytes_of(given.get("content")) if isinstance(given, Mapping) else None
    return given if content is None else {**given, "content": content}
