"""Sending e-mail from JavaScript workers, and the module `cloudflare:email`, which workerd leaves to others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import msgspec

from emulator.bindings.email.errors import EmailError
from emulator.bindings.wiring import (
    Answered,
    ExtensionModule,
    Reference,
    WireRequest,
    WireResponse,
    Wiring,
    extension,
    json_answer,
)

if TYPE_CHECKING:
    from emulator.bindings.email.incoming import IncomingEmail
    from emulator.bindings.email.kind import Sender

_HERE: Final = Path(__file__).parent
_MODULE: Final = "emulator:send-email"
_EMAIL_MODULE: Final = "cloudflare-internal:email"
"""What workerd's `cloudflare:email` takes its exports from."""


def wire(senders: Mapping[str, Sender], under_way: Mapping[str, IncomingEmail]) -> Iterator[Wiring]:
    """The bindings of a worker by name; the module that every worker may import; and what its `email` handler does with
    the messages that are `under_way`, by their keys."""
    source = (_HERE / "email_message.js").read_text(encoding="utf-8")
    yield Wiring(
        "",
        {},
        {"actions": Answered(partial(act, under_way))},
        modules=(ExtensionModule(_EMAIL_MODULE, source),),
        delivery={"EMAIL": Reference("actions")},
    )
    for name, sender in senders.items():
        yield extension(name, _MODULE, _HERE / "send_email.js", partial(answer, sender))


async def answer(sender: Sender, request: WireRequest) -> WireResponse:
    """The answer to a request of a binding."""
    path, given = _asked(request)
    try:
        if path == "/raw":
            return _done(await sender.send_raw(given.get("from"), given.get("to"), request.body))
        return _done(await sender.send(_described(request)))
    except EmailError as error:
        return _refused(error)


def act(under_way: Mapping[str, IncomingEmail], request: WireRequest) -> WireResponse:
    """Do what a handler does with a message: `/KEY/reject`, `/KEY/forward`, `/KEY/reply/raw` or `/KEY/reply/send`."""
    path, given = _asked(request)
    _, key, action = path.split("/", 2)
    email = under_way.get(key)
    if email is None:
        return _refused(EmailError("", "the handler has ended"))
    try:
        if action == "reply/raw":
            return _done(email.reply_raw(given.get("from"), request.body))
        described = _described(request)
        if action == "reply/send":
            return _done(email.reply(described))
        if action == "forward":
            return _done(email.forward(described["to"], [tuple(header) for header in described["headers"]]))
        email.reject(described["reason"])
        return _done("")
    except EmailError as error:
        return _refused(error)


def _asked(request: WireRequest) -> tuple[str, dict[str, str]]:
    path, _, query = request.target.partition("?")
    return path, {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}


def _described(request: WireRequest) -> dict[str, Any]:
    described: Any = msgspec.json.decode(request.body)
    return described if isinstance(described, dict) else {}


def _done(message_id: str) -> WireResponse:
    return json_answer({"messageId": message_id})


def _refused(error: EmailError) -> WireResponse:
    return json_answer({"error": error.message, "code": error.code})
