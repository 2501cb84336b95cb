"""The outbox on the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from emulator.bindings.panel import PAGE_ROWS, Cell, Panel, Sheet, content, moment, skipped

if TYPE_CHECKING:
    from emulator.bindings.email.kind import OpenEmail


async def _look(kinds: OpenEmail, _store: str, query: Mapping[str, str]) -> Sheet:
    sent = kinds.outbox.all()[::-1]
    skip = skipped(query)
    rows = [
        (
            Cell(each.subject or "(no subject)", {**query, "id": str(each.id)}),
            Cell(each.sender),
            Cell(", ".join(each.recipients)),
            Cell(moment(each.at)),
        )
        for each in sent[skip : skip + PAGE_ROWS]
    ]
    chosen = [each for each in sent if str(each.id) == query.get("id")]
    raw = chosen[0].raw if chosen else b""
    shown = content(chosen[0].subject, raw.replace(b"\r\n", b"\n"), len(raw)) if chosen else None
    more = {"skip": str(skip + PAGE_ROWS)} if len(sent) > skip + PAGE_ROWS else {}
    return Sheet(("Subject", "From", "To", "Sent"), rows, more, shown)


PANEL: Final = Panel("E-mail", "outbox", lambda _kinds: [("outbox", "outbox")], _look, lambda _settings: "outbox")
