"""The REST API, as far as binding kinds have a part in it: routes, calls, and the errors that calls end in.

`emulator.server.control.api` serves it: it decodes requests, wraps results, and knows no kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, TypeVar

from starlette.datastructures import QueryParams

from emulator.base.bus import Bus, Notice

if TYPE_CHECKING:
    from emulator.bindings.services import Services

T = TypeVar("T")

PER_PAGE: Final = 100
MAX_PER_PAGE: Final = 1_000


class ApiErrorCode(IntEnum):
    """The codes that calls of any kind end in. A kind may have codes of its own."""

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
    """A call is refused: the HTTP status, a code (ApiErrorCode or one of the kind's), and what is wrong in a
    sentence."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list as a result: `items` are those on `page` (counted from 1) of `total_count` in all."""

    items: Sequence[Any]
    page: int
    per_page: int
    total_count: int


class SessionView(Protocol):
    """A running session, as calls of any kind see it. A kind may ask for more."""

    bus: Bus
    services: Services


V = TypeVar("V", bound=SessionView)


@dataclass(frozen=True, slots=True)
class Call(Generic[V]):
    """A call to `session`. `path` holds the parts of the address that have names."""

    session: V
    path: Mapping[str, str]
    query: QueryParams

    def page(self, items: list[T]) -> tuple[list[T], Page]:
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
            what = f"{name} is {text[:32]!r}; it must be a whole number, 1 to {most:,}"
            raise ApiError(400, ApiErrorCode.INVALID_BODY, what)
        return int(text)


class Route(NamedTuple):
    """What answers `method` at `path`, an address below the API's with `{name}` for its variable parts.

    `call` is given a Call and the body, decoded as JSON into the type `body`; without that, None. It returns the
    result, or an awaitable of it, or raises ApiError.
    """

    method: str
    path: str
    call: Callable[[Call[Any], Any], Any]
    body: type | None = None


@dataclass(frozen=True)
class Rest:
    """A kind's part of the API. `about` completes "the part about ...", `root` is an address that a reader may try, and
    `refusals` turn errors that calls raise into those of the API."""

    about: str
    root: str
    routes: Sequence[Route]
    refusals: Sequence[tuple[type[Exception], Callable[[Any], ApiError]]] = ()


def iso(seconds: float) -> str:
    """A time as the API writes it: `2026-11-23T12:00:00.000000Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
