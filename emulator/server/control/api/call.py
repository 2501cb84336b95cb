"""One call of the API: the session that it is for, and what its address says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.datastructures import QueryParams

from emulator.base.bus import Notice
from emulator.queues.declarations import QueueState
from emulator.queues.errors import QueueErrorCode
from emulator.queues.message import Backlog
from emulator.server.addresses import queue_id
from emulator.server.control.api.envelope import ApiError, Page
from emulator.session.session import Session

PER_PAGE: Final = 100
MAX_PER_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Call:
    """A call to `session`. `path` holds the parts of the address that have names."""

    session: Session
    path: Mapping[str, str]
    query: QueryParams

    def queue(self) -> QueueState:
        """The queue that the address names by its id. Raises ApiError 10104 when there is none."""
        wanted = self.path["queue_id"].lower()
        for name, state in self.session.queues.states.items():
            if queue_id(name) == wanted:
                return state
        text = f"Queue not found: no queue has the id {self.path['queue_id'][:64]!r}; the list of queues has their ids"
        raise ApiError(404, QueueErrorCode.QUEUE_NOT_FOUND, text)

    def page(self, items: list[QueueState]) -> tuple[list[QueueState], Page]:
        """The items on the page that the query asks for, and that page without them."""
        page, per_page = self._number("page", 1, 1_000_000), self._number("per_page", PER_PAGE, MAX_PER_PAGE)
        return items[(page - 1) * per_page : page * per_page], Page((), page, per_page, len(items))

    def report(self, text: str) -> None:
        """Tell, in the terminal among other places, what a client has changed."""
        self.session.bus.publish(Notice("info", f"REST API: {text}"))

    def _number(self, name: str, default: int, most: int) -> int:
        text = self.query.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= most):
            code = QueueErrorCode.JSON_REQUEST_BODY_INVALID
            raise ApiError(400, code, f"{name} is {text[:32]!r}; it must be a whole number, 1 to {most:,}")
        return int(text)


def iso(seconds: float) -> str:
    """A time as the API writes it: `2026-11-23T12:00:00.000000Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def metrics_shape(metrics: Backlog) -> dict[str, int]:
    """A backlog; the timestamp is 0 where there is no message."""
    return {
        "backlog_count": metrics.backlog_count,
        "backlog_bytes": metrics.backlog_bytes,
        "oldest_message_timestamp_ms": int((metrics.oldest_message_timestamp or 0) * 1000),
    }
