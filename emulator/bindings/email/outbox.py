"""The messages that workers have sent, in the order in which they did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import msgspec

from emulator.bindings.email.mail import Envelope, attachments, bodies, read_mime
from emulator.storage.database import Database, Row

SCHEMA: Final = (
    """
    CREATE TABLE sent (
        id INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, worker TEXT NOT NULL, binding TEXT NOT NULL,
        at REAL NOT NULL, sender TEXT NOT NULL, recipients TEXT NOT NULL, raw BLOB NOT NULL
    )
    """,
)

_COLUMNS: Final = "id, message_id, worker, binding, at, sender, recipients, raw"


class SentAttachment(msgspec.Struct, frozen=True):
    """A file of a message. `content_id` is how HTML refers to it, empty if it does not."""

    filename: str
    type: str
    content: bytes
    disposition: str
    content_id: str


class SentEmail(msgspec.Struct, frozen=True):
    """A message that a worker has sent through `binding`.

    `sender` and `recipients` are where it comes from and goes to, blind copies included; `from_`, `to`, `cc` and
    `reply_to` are what its headers say. `raw` is all of it as MIME, `at` in seconds since the epoch.
    """

    id: int
    message_id: str
    worker: str
    binding: str
    at: float
    sender: str
    recipients: Sequence[str]
    from_: str
    to: str
    cc: str
    reply_to: str
    subject: str
    text: str
    html: str
    headers: Sequence[tuple[str, str]]
    attachments: Sequence[SentAttachment]
    raw: bytes


class OutboxStore:
    """Keeps messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, worker: str, binding: str, at: float, envelope: Envelope) -> int:
        """Keep a message. Returns its number."""
        recipients = json.dumps(list(envelope.recipients))
        given = (envelope.message_id, worker, binding, at, envelope.sender, recipients, envelope.raw)
        row = self._database.row(f"INSERT INTO sent ({_COLUMNS[4:]}) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id", *given)
        assert row is not None
        return int(row[0])

    def all(self) -> list[SentEmail]:
        """All messages, the oldest first."""
        return [_read(row) for row in self._database.rows(f"SELECT {_COLUMNS} FROM sent ORDER BY id")]

    def get(self, number: int) -> SentEmail | None:
        """One message; None if it does not exist."""
        row = self._database.row(f"SELECT {_COLUMNS} FROM sent WHERE id = ?", number)
        return None if row is None else _read(row)

    def clear(self) -> int:
        """Remove all messages. Returns how many there were."""
        return self._database.change("DELETE FROM sent")


def _read(row: Row) -> SentEmail:
    number, message_id, worker, binding, at, sender, recipients, raw = row
    message = read_mime(raw)
    text, html = bodies(message)
    files = [
        SentAttachment(
            part.get_filename() or "attachment",
            part.get_content_type(),
            content,
            part.get_content_disposition() or "attachment",
            str(part["content-id"] or "").strip("<>"),
        )
        for part, content in attachments(message)
    ]
    return SentEmail(
        id=number,
        message_id=message_id,
        worker=worker,
        binding=binding,
        at=at,
        sender=sender,
        recipients=json.loads(recipients),
        from_=str(message["from"] or ""),
        to=str(message["to"] or ""),
        cc=str(message["cc"] or ""),
        reply_to=str(message["reply-to"] or ""),
        subject=str(message["subject"] or ""),
        text=text,
        html=html,
        headers=[(name, str(value)) for name, value in message.items()],
        attachments=files,
        raw=raw,
    )
