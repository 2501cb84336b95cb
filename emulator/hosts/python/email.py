"""The argument of an `email` handler of a Python worker."""

from __future__ import annotations

from functools import partial
from typing import Any

from emulator.bindings.email.errors import EmailError
from emulator.bindings.email.incoming import IncomingEmail
from emulator.bindings.email.python import content_of, described, refused
from emulator_runtime.hosting import EmailMessage, ForwardableEmailMessage, Headers


def message_of(email: IncomingEmail) -> ForwardableEmailMessage:
    """The message as a worker sees it."""
    headers = Headers()
    for name, value in email.headers:
        headers.append(name, value)
    return ForwardableEmailMessage(
        (email.sender, email.recipient),
        headers,
        email.raw,
        reject=email.reject,
        forward=email.forward,
        reply=partial(_reply, email),
    )


async def _reply(email: IncomingEmail, message: Any) -> str:
    try:
        if isinstance(message, EmailMessage):
            return email.reply_raw(message.from_, await content_of(message))
        return email.reply(described(message))
    except EmailError as error:
        raise refused(error) from None
