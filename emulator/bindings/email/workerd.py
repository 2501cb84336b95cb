"""Sending e-mail from JavaScript workers, and the module `cloudflare:email`, which workerd leaves to others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import msgspec

from emulator.bindings.email.errors import EmailError
from emulator.bindings.wiring import ExtensionModule, WireRequest, WireResponse, Wiring, extension, json_answer

if TYPE_CHECKING:
    from emulator.bindings.email.kind import Sender

_HERE: Final = Path(__file__).parent
_MODULE: Final = "emulator:send-email"
_EMAIL_MODULE: Final = "cloudflare-internal:email"
"""What workerd's `cloudflare:email` takes its exports from."""


def wire(senders: Mapping[str, Sender]) -> Iterator[Wiring]:
    """The bindings of a worker by name, and the module that every worker may import."""
    source = (_HERE / "email_message.js").read_text(encoding="utf-8")
    yield Wiring("", {}, modules=(ExtensionModule(_EMAIL_MODULE, source),))
    for name, sender in senders.items():
        yield extension(name, _MODULE, _HERE / "send_email.js", partial(answer, sender))


async def answer(sender: Sender, request: WireRequest) -> WireResponse:
    """The answer to a request of a binding."""
    path, _, query = request.target.partition("?")
    try:
        if path == "/raw":
            given = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
            return json_answer({"messageId": await sender.send_raw(given.get("from"), given.get("to"), request.body)})
        described: Any = msgspec.json.decode(request.body)
        return json_answer({"messageId": await sender.send(described if isinstance(described, dict) else {})})
    except EmailError as error:
        return json_answer({"error": error.message, "code": error.code})
