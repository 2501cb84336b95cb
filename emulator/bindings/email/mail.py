"""Messages on their way: what a worker hands over is checked, and becomes MIME.

The limits, the codes and, where they are known, the words are the service's.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage as MimeMessage
from email.parser import BytesParser
from email.utils import format_datetime, parseaddr
from secrets import choice
from string import ascii_letters, digits
from typing import Any, Final

import msgspec

from emulator.bindings.email.config import Sending
from emulator.bindings.email.errors import EmailError
from emulator.bindings.email.headers import check_headers

MAX_RECIPIENTS: Final = 50
MAX_SUBJECT: Final = 998
MAX_BYTES: Final = 25 * 1024 * 1024
"""Of a whole message to a verified address; others may have 5 MiB, but nobody here knows which these are."""

_ADDRESS: Final = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")
_ID_HEADER: Final = re.compile(rb"^message-id:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*", re.IGNORECASE | re.MULTILINE)
_ID_LENGTH: Final = 36
_TYPE: Final = re.compile(r"[\w.+-]+/[\w.+-]+")


class Envelope(msgspec.Struct, frozen=True):
    """A message as it leaves: its id, its subject, who sends it, who gets it, and MIME."""

    message_id: str
    subject: str
    sender: str
    recipients: Sequence[str]
    raw: bytes


def from_raw(sending: Sending, sender: object, recipient: object, raw: bytes) -> Envelope:
    """Make a message of what a worker has written itself as MIME; it gets an id in place of its own. Raises
    EmailError."""
    if not isinstance(sender, str) or not isinstance(recipient, str):
        raise EmailError("E_FIELD_MISSING", "an EmailMessage needs `from` and `to`, which are strings")
    check_sender(sending, sender)
    check_recipient(sending, recipient)
    _check_size(raw)
    message = read_mime(raw)
    if message["message-id"] is None:
        raise EmailError("", "invalid message-id")
    check_origin(message, sender)
    return named(message, sender, recipient, raw)


def named(message: MimeMessage, sender: str, recipient: str, raw: bytes) -> Envelope:
    """A message as it leaves, with an id of its own in place of one that it may have. `message` is `raw` as read."""
    message_id = make_id(sender)
    header = b"Message-ID: " + message_id.encode()
    raw = header + b"\r\n" + raw if message["message-id"] is None else _ID_HEADER.sub(header, raw, count=1)
    return Envelope(message_id, str(message["subject"] or ""), sender, [recipient], raw)


def check_origin(message: MimeMessage, sender: str) -> None:
    """Raise EmailError if a message is not from whom it says, or has already been on its way."""
    if parseaddr(str(message["from"] or ""))[1] != sender:
        raise EmailError("", "From: header does not match mail from")
    if message["received"] is not None:
        raise EmailError("", "invalid headers set")


def build(sending: Sending, given: Mapping[str, Any], when: datetime) -> Envelope:
    """Make a message of an object with `from`, `to`, `cc`, `bcc`, `replyTo`, `subject`, `text`, `html`, `headers` and
    `attachments`. `when` is its date. Raises EmailError."""
    if given.get("from") is None or given.get("subject") is None:
        missing = "from" if given.get("from") is None else "subject"
        raise EmailError("E_FIELD_MISSING", f"Missing required field: {missing}")
    sender = _address(given["from"])
    check_sender(sending, sender.addr_spec)
    recipients = {field: _addresses(given.get(field)) for field in ("to", "cc", "bcc")}
    if not any(recipients.values()) and sending.destination_address:
        recipients["to"] = [_address(sending.destination_address)]
    everybody = [each.addr_spec for field in recipients.values() for each in field]
    if not everybody:
        raise EmailError("E_FIELD_MISSING", "Missing required field: to")
    if len(everybody) > MAX_RECIPIENTS:
        text = f"Too many recipients: {len(everybody)}, maximum is {MAX_RECIPIENTS}"
        raise EmailError("E_TOO_MANY_RECIPIENTS", text)
    for each in everybody:
        check_recipient(sending, each)
    message = MimeMessage(policy=policy.SMTP)
    message["From"] = sender
    for field in ("to", "cc"):
        if recipients[field]:
            message[field.title()] = recipients[field]
    if given.get("replyTo") is not None:
        message["Reply-To"] = _address(given["replyTo"])
    message["Subject"] = _subject(given["subject"])
    message["Message-ID"] = message_id = make_id(sender.addr_spec)
    message["Date"] = format_datetime(when)
    _add_headers(message, given.get("headers") or {})
    _add_content(message, given)
    for attachment in given.get("attachments") or ():
        _attach(message, attachment)
    raw = message.as_bytes()
    _check_size(raw)
    return Envelope(message_id, given["subject"], sender.addr_spec, everybody, raw)


def read_mime(raw: bytes) -> MimeMessage:
    """A message, however it is written."""
    message = BytesParser(policy=policy.default).parsebytes(raw)
    assert isinstance(message, MimeMessage)
    return message


def check_sender(sending: Sending, sender: str) -> None:
    """Raise EmailError if a binding may not send from an address."""
    if sending.allowed_sender_addresses is not None and sender not in sending.allowed_sender_addresses:
        raise EmailError("E_SENDER_NOT_VERIFIED", f"email from {sender} not allowed")


def check_recipient(sending: Sending, recipient: str) -> None:
    """Raise EmailError if a binding may not send to an address."""
    one, several = sending.destination_address, sending.allowed_destination_addresses
    if (one is not None and recipient != one) or (several is not None and recipient not in several):
        raise EmailError("E_RECIPIENT_NOT_ALLOWED", f"email to {recipient} not allowed")


def bodies(message: MimeMessage) -> tuple[str, str]:
    """The text and the HTML of a message, each empty if it has none."""
    found = []
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        found.append("" if part is None else _content(part))
    return found[0], found[1]


def attachments(message: MimeMessage) -> Iterator[tuple[MimeMessage, bytes]]:
    """The parts of a message that are neither its text nor its HTML, each with what is in it."""
    shown = {id(message.get_body((kind,))) for kind in ("plain", "html")}
    for part in message.walk():
        if not part.is_multipart() and id(part) not in shown:
            assert isinstance(part, MimeMessage)
            payload = part.get_payload(decode=True)
            yield part, payload if isinstance(payload, bytes) else b""


def make_id(sender: str) -> str:
    """An id, in the domain of the sender."""
    domain = sender.rpartition("@")[2] or "localhost"
    return f"<{''.join(choice(ascii_letters + digits) for _ in range(_ID_LENGTH))}@{domain}>"


def _content(part: Any) -> str:
    try:
        return str(part.get_content()).replace("\r\n", "\n")
    except (LookupError, ValueError):  # of a coding that nobody knows
        return (part.get_payload(decode=True) or b"").decode("utf-8", "replace")


def _address(value: Any) -> Address:
    """An address that was given as text, with or without a name, or as an object with `email` and `name`."""
    if isinstance(value, Mapping):
        name, address = value.get("name") or "", value.get("email")
    else:
        name, address = parseaddr(value) if isinstance(value, str) else ("", value)
    if not isinstance(address, str) or not isinstance(name, str) or not _ADDRESS.fullmatch(address):
        raise EmailError("E_VALIDATION_ERROR", f"Invalid email address: {value}")
    try:
        return Address(name, addr_spec=address)
    except ValueError:
        raise EmailError("E_VALIDATION_ERROR", f"Invalid email address: {value}") from None


def _addresses(value: Any) -> list[Address]:
    if value is None:
        return []
    return [_address(each) for each in (value if isinstance(value, (list, tuple)) else [value])]


def _subject(value: Any) -> str:
    if not isinstance(value, str) or "\n" in value or "\r" in value:
        raise EmailError("E_VALIDATION_ERROR", "The subject must be one line of text")
    if len(value) > MAX_SUBJECT:
        raise EmailError("E_VALIDATION_ERROR", f"The subject exceeds {MAX_SUBJECT} characters")
    return value


def _add_headers(message: MimeMessage, headers: Any) -> None:
    if not isinstance(headers, Mapping) or not all(isinstance(value, str) for value in headers.values()):
        raise EmailError("E_VALIDATION_ERROR", "`headers` must be an object of strings")
    check_headers(headers)
    for name, value in headers.items():
        message[name] = value


def _add_content(message: MimeMessage, given: Mapping[str, Any]) -> None:
    text, html = given.get("text"), given.get("html")
    for value in (text, html):
        if value is not None and not isinstance(value, str):
            raise EmailError("E_VALIDATION_ERROR", "`text` and `html` must be strings")
    if text is None and html is None:
        raise EmailError("E_FIELD_MISSING", "Missing required field: text or html")
    if text is not None:
        message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html") if text is not None else message.set_content(html, subtype="html")


def _attach(message: MimeMessage, attachment: Any) -> None:
    """Add a file, whose content is bytes, or text in base64."""
    sound = isinstance(attachment, Mapping) and isinstance(attachment.get("filename"), str)
    kind = attachment.get("type", "application/octet-stream") if sound else ""
    content = _bytes(attachment.get("content")) if sound else None
    if content is None or not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        text = "an attachment must have `filename`, `type`, and `content` as bytes or in base64"
        raise EmailError("E_VALIDATION_ERROR", text)
    main, _, sub = kind.partition("/")
    is_inline = attachment.get("disposition") == "inline"
    identifier = attachment.get("contentId")
    message.add_attachment(
        content,
        maintype=main,
        subtype=sub,
        filename=attachment["filename"],
        disposition="inline" if is_inline else "attachment",
        cid=f"<{identifier}>" if isinstance(identifier, str) else None,
    )


def _bytes(content: Any) -> bytes | None:
    if isinstance(content, str):
        try:
            return b64decode(content, validate=True)
        except ValueError:
            return None
    return content if isinstance(content, bytes) else None


def _check_size(raw: bytes) -> None:
    if len(raw) > MAX_BYTES:
        text = f"Message size {len(raw):,} exceeds the limit of {MAX_BYTES:,} bytes"
        raise EmailError("E_CONTENT_TOO_LARGE", text)
