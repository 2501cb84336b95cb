"""The emulator's own part of the REST API about what was sent; Cloudflare's has none."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from emulator.bindings.email.config import KIND
from emulator.bindings.email.kind import OpenEmail
from emulator.bindings.email.outbox import SentEmail
from emulator.bindings.rest import ApiError, Call, Download, Page, Rest, Route, SessionView, iso

_MESSAGES: Final = "/accounts/{account_id}/emulator/email"
_MESSAGE: Final = f"{_MESSAGES}/{{number}}"

MESSAGE_NOT_FOUND: Final = 11100


def _open(call: Call[SessionView]) -> OpenEmail:
    return cast("OpenEmail", call.session.open_kinds[KIND])


def _summary(message: SentEmail) -> dict[str, Any]:
    return {
        "id": message.id,
        "sent_at": iso(message.at),
        "worker": message.worker,
        "binding": message.binding,
        "from": message.sender,
        "to": list(message.recipients),
        "subject": message.subject,
    }


def _whole(message: SentEmail) -> dict[str, Any]:
    files = [
        {"filename": each.filename, "type": each.type, "size": len(each.content), "disposition": each.disposition}
        for each in message.attachments
    ]
    headers = [list(header) for header in message.headers]
    parts = {"headers": headers, "text": message.text, "html": message.html, "attachments": files}
    return {**_summary(message), "message_id": message.message_id, **parts}


def _found(call: Call[SessionView]) -> SentEmail:
    number = call.path["number"]
    found = _open(call).outbox.get(int(number)) if number.isascii() and number.isdigit() and len(number) < 19 else None
    if found is None:
        raise ApiError(404, MESSAGE_NOT_FOUND, f"there is no e-mail {number}")
    return found


def list_messages(call: Call[SessionView], _body: None) -> Page:
    """`GET .../email`: the newest first."""
    shown, page = call.page(_open(call).outbox.all()[::-1])
    return msgspec.structs.replace(page, items=[_summary(message) for message in shown])


def clear_messages(call: Call[SessionView], _body: None) -> dict[str, Any]:
    """`DELETE .../email`."""
    return {"removed": _open(call).outbox.clear()}


def get_message(call: Call[SessionView], _body: None) -> dict[str, Any]:
    """`GET .../email/{number}`: all of it but for what is in its files."""
    return _whole(_found(call))


def get_raw(call: Call[SessionView], _body: None) -> Download:
    """`GET .../email/{number}/raw`: the message as MIME."""
    return Download(_found(call).raw, {"content-type": "message/rfc822"})


REST: Final = Rest(
    about="sent e-mail",
    root="/accounts/ACCOUNT/emulator/email",
    routes=(
        Route("GET", _MESSAGES, list_messages),
        Route("DELETE", _MESSAGES, clear_messages),
        Route("GET", _MESSAGE, get_message),
        Route("GET", f"{_MESSAGE}/raw", get_raw),
    ),
)
