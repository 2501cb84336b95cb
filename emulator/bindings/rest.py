"""The part of the REST API that binding kinds use: routes, calls and errors.

`emulator.server.control.api` serves the routes: it decodes requests and wraps results, whatever the kind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, TypeVar

import msgspec
from starlette.datastructures import QueryParams

from emulator.base.bus import Bus, Notice

if TYPE_CHECKING:
    from emulator.bindings.open_kinds import OpenKinds

T = TypeVar("T")

PER_PAGE: Final = 100
MAX_PER_PAGE: Final = 1_000


class ApiErrorCode(IntEnum):
    """Error codes that all kinds use. A kind may have its own codes too."""

    INVALID_HEADERS = 6003
    METHOD_NOT_AVAILABLE = 7001
    NO_ROUTE = 7003
    AUTHENTICATION = 10000
    WORKER_NOT_FOUND = 10007
    BODY_TOO_LARGE = 10013
    INVALID_BODY = 10207
    MALFORMED_BODY = 10208
    NOT_EMULATED = 11099
    INTERNAL = 15000


class ApiError(Exception):
    """A call was refused: the HTTP status, a code (ApiErrorCode or one of the kind's), and a sentence that says what is
    wrong."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Page(msgspec.Struct, frozen=True):
    """One page of a list as a result: the `items` on `page`, counted from 1, out of `total_count`."""

    items: Sequence[Any]
    page: int
    per_page: int
    total_count: int


class CursorPage(msgspec.Struct, frozen=True):
    """One page of a list as a result, where pages are found by cursors; an empty one means that this is the last.
    `more` is what else there is to say of the page."""

    items: Sequence[Any]
    cursor: str
    more: Mapping[str, Any] = {}


class Upload(NamedTuple):
    """The body of a request that is not JSON, as it comes."""

    pieces: AsyncIterator[bytes]
    content_type: str


class Download(NamedTuple):
    """A result that is sent as it is, without the API's envelope."""

    content: bytes | AsyncIterator[bytes]
    headers: Mapping[str, str]
    status: int = 200


class SessionView(Protocol):
    """A running session as calls of every kind see it. A kind may require more."""

    bus: Bus
    open_kinds: OpenKinds


V = TypeVar("V", bound=SessionView)


class Call(msgspec.Struct, Generic[V], frozen=True):
    """A call to `session`. `path` has the variable parts of the address by name; the names of `headers` are in lower
    case; `root` is the address of the API, without a slash at its end."""

    session: V
    path: Mapping[str, str]
    query: QueryParams
    headers: Mapping[str, str] = {}
    root: str = ""

    def page(self, items: list[T]) -> tuple[list[T], Page]:
        """The items on the page that the query asks for."""
        page, per_page = self._number("page", 1, 1_000_000), self._number("per_page", PER_PAGE, MAX_PER_PAGE)
        return items[(page - 1) * per_page : page * per_page], Page((), page, per_page, len(items))

    def report(self, text: str) -> None:
        """Publish a notice that says what a client has changed."""
        self.session.bus.publish(Notice("info", f"REST API: {text}"))

    def _number(self, name: str, default: int, most: int) -> int:
        text = self.query.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= most):
            what = f"{name} is {text[:32]!r}; it must be a whole number, 1 to {most:,}"
            raise ApiError(400, ApiErrorCode.INVALID_BODY, what)
        return int(text)


class Route(NamedTuple):
    """Answers `method` at `path`, an address relative to the API's, with `{name}` for each variable part.

    `call` gets a Call and the request body, decoded from JSON into the type `body`, or as an Upload if that is the
    type, or None if that is None. It returns the result or an awaitable of it, or raises ApiError.
    """

    method: str
    path: str
    call: Callable[[Call[Any], Any], Any]
    body: type | None = None


class Rest(msgspec.Struct, frozen=True):
    """A kind's part of the API. `about` completes "the part about ...", `root` is an address that a reader can try, and
    `refusals` convert errors that calls raise into errors of the API."""

    about: str
    root: str
    routes: Sequence[Route]
    refusals: Sequence[tuple[type[Exception], Callable[[Any], ApiError]]] = ()


def iso(seconds: float) -> str:
    """A time as the API writes it: `2026-11-23T12:00:00.000000Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
