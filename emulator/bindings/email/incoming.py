"""A message that has come in, and what the `email` handler of a worker does with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from os import urandom
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from emulator.bindings.email.config import Sending
from emulator.bindings.email.errors import EmailError
from emulator.bindings.email.mail import MAX_BYTES, build, check_origin, make_id, named, read_mime

if TYPE_CHECKING:
    from datetime import datetime

    from emulator.bindings.email.mail import Envelope

_BCC: Final = re.compile(rb"^bcc:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n", re.IGNORECASE | re.MULTILINE)
_MAX_REFERENCES: Final = 100
_ANYBODY: Final = Sending()


class Forwarded(NamedTuple):
    """Where a message was forwarded to, and with which headers."""

    recipient: str
    headers: Sequence[tuple[str, str]]


class IncomingEmail:
    """A message for `recipient` from `sender`; `raw` is MIME. Raises ValueError if a message cannot be taken, as the
    service says it.

    `key` tells it apart from others; `now` is the time, and `sent` is called with each reply. `rejected` is why the
    worker has rejected it, None if it has not; `forwards` and `replies` are what it has done.
    """

    def __init__(
        self,
        sender: str,
        recipient: str,
        raw: bytes,
        now: Callable[[], datetime],
        sent: Callable[[Envelope], None],
    ) -> None:
        if len(raw) > MAX_BYTES:
            raise ValueError("Email message size is bigger than the production size limit of 25 MiB.")
        self.key = urandom(8).hex()
        self._now = now
        self._sent = sent
        self.sender = sender
        self.recipient = recipient
        head, separator, body = raw.partition(b"\r\n\r\n" if b"\r\n\r\n" in raw else b"\n\n")
        self.raw = _BCC.sub(b"", head + separator) + body
        self._message = read_mime(self.raw)
        if self._message["message-id"] is None:
            raise ValueError("Email could not be parsed: invalid or no message id provided")
        self.rejected: str | None = None
        self.forwards: list[Forwarded] = []
        self.replies: list[Envelope] = []

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers, in order, unfolded."""
        return [(name, str(value).replace("\r", "").replace("\n", "")) for name, value in self._message.items()]

    @property
    def subject(self) -> str:
        """The subject, empty if there is none."""
        return str(self._message["subject"] or "")

    def reject(self, reason: str) -> None:
        """Refuse the message."""
        self.rejected = reason

    def forward(self, recipient: str, headers: Sequence[tuple[str, str]] = ()) -> str:
        """Send it on. Returns the id of what was sent."""
        self.forwards.append(Forwarded(recipient, list(headers)))
        return make_id(recipient)

    def reply(self, given: Mapping[str, Any]) -> str:
        """Answer with what an object describes; see `mail.build`. Raises EmailError."""
        self._check_replyable()
        headers = {
            name: value
            for name, value in (given.get("headers") or {}).items()
            if name.lower() not in {"in-reply-to", "references"}
        }
        threads = {"In-Reply-To": self._id, "References": f"{self._references} {self._id}".strip()}
        answer = {**given, "to": self.sender, "cc": None, "bcc": None, "headers": {**headers, **threads}}
        return self._replied(build(_ANYBODY, answer, self._now()))

    def reply_raw(self, sender: object, raw: bytes) -> str:
        """Answer with MIME. Raises EmailError."""
        self._check_replyable()
        message = read_mime(raw)
        check_origin(message, str(sender))
        if message["in-reply-to"] is None:
            raise EmailError("", "no In-Reply-To header found in reply message")
        if str(message["in-reply-to"]).strip() != self._id:
            raise EmailError("", "In-Reply-To does not match original Message-ID")
        if message["references"] is None:
            raw = f"References: {self._references} {self._id}".strip().encode() + b"\r\n" + raw
        elif self._id not in str(message["references"]) or self._references not in str(message["references"]):
            raise EmailError("", "provided References header is invalid")
        return self._replied(named(message, str(sender), self.sender, raw))

    def _replied(self, envelope: Envelope) -> str:
        self.replies.append(envelope)
        self._sent(envelope)
        return envelope.message_id

    @property
    def _id(self) -> str:
        return str(self._message["message-id"]).strip()

    @property
    def _references(self) -> str:
        return " ".join(str(self._message["references"] or "").split())

    def _check_replyable(self) -> None:
        """Automatic messages get no answer, and neither do conversations that look like a loop."""
        suppress = str(self._message["x-auto-response-suppress"] or "none").lower()
        automatic = str(self._message["auto-submitted"] or "no").lower()
        is_first = self._message["in-reply-to"] is None and not self._references
        thread = str(self._message["in-reply-to"] or "").strip()
        is_thread = bool(thread) and thread in self._references
        is_loop = len(self._references.split()) > _MAX_REFERENCES
        if suppress != "none" or automatic != "no" or is_loop or not (is_first or is_thread):
            raise EmailError("", "Original email is not replyable")
