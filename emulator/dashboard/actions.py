"""What a person does on a page: each is a POST of a form, which the guard of the control plane lets through only from
these pages, and answers with the page that shows what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from time import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import ImmutableMultiDict
from starlette.responses import RedirectResponse, Response

from emulator.base.words import count, listed
from emulator.dashboard.contents import ids_of
from emulator.dashboard.fields import MESSAGES
from emulator.dashboard.filters import Filter, FilterError, Subject, parse
from emulator.hosts.host import HandlerError, HandlerMissing, NotLoaded
from emulator.hosts.triggers import ScheduledTrigger
from emulator.queues.message import NewMessage
from emulator.server.addresses import DASHBOARD
from emulator.wire.codec import encode

if TYPE_CHECKING:
    from starlette.requests import Request

    from emulator.queues.message import Redrive
    from emulator.queues.service import Queues
    from emulator.session.session import Session
    from emulator.wire.codec import ContentType

MAX_FORM_BYTES: Final = 1_000_000
"""The largest body of a message, with every byte of it escaped, and room for the rest."""

SOURCE: Final = "api"
"""Who sent what a person sends; the same as by the REST API."""

_FORM: Final = "application/x-www-form-urlencoded"


class NotPossible(Exception):  # noqa: N818 - an answer, not a fault
    """What was asked for cannot be done; the text is a sentence for the person who asked, with a status of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


async def form_of(request: Request) -> ImmutableMultiDict[str, str]:
    """The form that was posted. Raises NotPossible if it is none, or too large."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise NotPossible(415, f"Only forms ({_FORM}) are taken here.")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM_BYTES:
            raise NotPossible(413, f"That is more than {MAX_FORM_BYTES:,} bytes.")
    try:
        return ImmutableMultiDict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict"))
    except (UnicodeDecodeError, ValueError):
        raise NotPossible(400, "The form is not UTF-8.") from None


def asked_filter(request: Request, over: Subject) -> tuple[str, Filter, str]:
    """The filter in the address of a page: its text, and what is wrong with it if it cannot be read."""
    text = request.query_params.get("filter", "").strip()[:500]
    try:
        return text, parse(text, over), ""
    except FilterError as error:
        return text, Filter(), str(error)


def only_filter(request: Request, over: Subject) -> Filter:
    """The filter in the address of something that is no page. Raises NotPossible if it cannot be read."""
    _, wanted, wrong = asked_filter(request, over)
    if wrong:
        raise NotPossible(400, f"{wrong}.")
    return wanted


def filter_of(text: str) -> Filter:
    """The filter in a form that says which messages are meant. Raises NotPossible if it cannot be read, or is empty."""
    try:
        wanted = parse(text, MESSAGES)
    except FilterError as error:
        raise NotPossible(400, f"{error}.") from None
    if not wanted.terms:
        raise NotPossible(400, "The filter is empty; it must say which messages are meant.")
    return wanted


async def act_on(queues: Queues, act: str, queue: str, ids: Collection[str]) -> int:
    """Redrive, promote or delete waiting messages of a queue. Returns how many there were. Raises QueueError."""
    if act == "redrive":
        return sum((await queues.redrive(queue, None, ids)).moved.values())
    if act == "promote":
        return await queues.promote(queue, ids)
    return len(await queues.purge_messages(queue, ids))


DONE: Final = {"redrive": "redriven", "promote": "made ready", "delete": "deleted"}
"""What can be done with messages that a filter means, and how that reads afterwards."""


class Actions:
    """What can be done in a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def routes(self) -> list[tuple[str, Callable[[Request], Awaitable[Response]]]]:
        """The addresses below that of the dashboard, with what each of them does."""
        return [
            ("/queues/{name}/send", self._send),
            ("/queues/{name}/pause", self._pause),
            ("/queues/{name}/resume", self._resume),
            ("/queues/{name}/purge", self._purge),
            ("/queues/{name}/redrive", self._redrive),
            ("/queues/{name}/promote", self._promote),
            ("/queues/{name}/delete", self._delete),
            ("/workers/{name}/cron", self._cron),
        ]

    async def _send(self, request: Request) -> Response:
        name, form = request.path_params["name"], await form_of(request)
        kind, text = form.get("content_type", "json"), form.get("body", "")
        delay = form.get("delay", "").strip()
        if delay and not (delay.isascii() and delay.isdigit() and len(delay) < 9):
            raise NotPossible(400, f"The delay is {delay!r}; it must be a whole number of seconds.")
        message = NewMessage(_encoded(text, kind), cast("ContentType", kind), int(delay) if delay else None)
        name = form.get("queue", name)
        await self._session.queues.send(name, [message], source=SOURCE)
        return _back(request, f"1 message sent to {name}", f"{DASHBOARD}/queues/{quote(name, safe='')}")

    async def _pause(self, request: Request) -> Response:
        await self._session.queues.pause(request.path_params["name"])
        return _back(request, "Paused: messages wait until the queue is resumed")

    async def _resume(self, request: Request) -> Response:
        await self._session.queues.resume(request.path_params["name"])
        return _back(request, "Resumed")

    async def _purge(self, request: Request) -> Response:
        return _back(
            request, f"{count(await self._session.queues.purge(request.path_params['name']), 'message')} deleted"
        )

    async def _redrive(self, request: Request) -> Response:
        name, form = request.path_params["name"], await form_of(request)
        ids = await self._meant(name, form)
        redriven = await self._session.queues.redrive(name, form.get("to") or None, ids)
        return _back_to_list(request, form, _redriven(redriven))

    async def _promote(self, request: Request) -> Response:
        name, form = request.path_params["name"], await form_of(request)
        promoted = await self._session.queues.promote(name, await self._meant(name, form))
        return _back_to_list(request, form, f"{count(promoted, 'message')} made ready")

    async def _delete(self, request: Request) -> Response:
        name, form = request.path_params["name"], await form_of(request)
        ids = await self._meant(name, form)
        if ids is None:
            raise NotPossible(400, "No message is chosen.")
        return _back_to_list(
            request, form, f"{count(await act_on(self._session.queues, 'delete', name, ids), 'message')} deleted"
        )

    async def _meant(self, name: str, form: ImmutableMultiDict[str, str]) -> set[str] | None:
        """The ids of the messages that a form means: all that its filter does, or those that are chosen. None if it
        means all messages of the queue."""
        if "matching" in form:
            return await ids_of(self._session, name, filter_of(form.get("filter", "")))
        ids = form.getlist("id")
        if "chosen" in form and not ids:
            raise NotPossible(400, "No message is chosen.")
        return set(ids) if ids else None

    async def _cron(self, request: Request) -> Response:
        name, form = request.path_params["name"], await form_of(request)
        for host in self._session.hosts:
            if host.config.name == name:
                cron = form.get("cron", "")
                try:
                    await host.invoke("", ScheduledTrigger(cron, int(time() * 1000)))
                except HandlerError as error:
                    return _back(request, f"{cron} failed: {error.failure.summary}", f"{DASHBOARD}/crons")
                except (HandlerMissing, NotLoaded) as error:
                    raise NotPossible(400, f"{error}.") from None
                return _back(request, f"{cron or 'scheduled'} has run", f"{DASHBOARD}/crons")
        raise NotPossible(404, f"This session has no worker {name}.")


def _encoded(text: str, kind: str) -> bytes:
    """The body of a message that a person has written. JSON stays as it is written."""
    try:
        if kind == "json":
            import msgspec

            return encode(msgspec.json.decode(text.encode()), "json")
        if kind == "text":
            return encode(text.replace("\r\n", "\n"), "text")
        if kind == "bytes":
            return bytes.fromhex(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise NotPossible(400, f"The body is not {'hexadecimal' if kind == 'bytes' else kind}: {error}.") from None
    raise NotPossible(400, f"The content type is {kind!r}; it must be json, text or bytes.")


def _redriven(redriven: Redrive) -> str:
    moved = [f"{count(number, 'message')} to {name}" for name, number in redriven.moved.items() if number]
    parts = [f"{listed(moved)} redriven" if moved else "Nothing redriven"]
    if redriven.no_dead_letters:
        parts.append(f"{count(redriven.no_dead_letters, 'is', 'are')} not dead letters")
    parts += [f"queue {name} of {number:,} does not exist" for name, number in redriven.orphans.items()]
    return "; ".join(parts)


def _own(address: str) -> str:
    """An address of the dashboard that a form names; empty for any other."""
    return address if address.startswith(f"{DASHBOARD}/") and "?" not in address and "\\" not in address else ""


def _back_to_list(request: Request, form: ImmutableMultiDict[str, str], said: str) -> Response:
    """Leads to the page that a form names, or to the part of the list of messages in which it was."""
    names = ("filter",) if "matching" in form else ("filter", "skip")
    kept = {name: form[name] for name in names if form.get(name)}
    return _back(request, said, _own(form.get("back", "")), kept)


def _back(request: Request, said: str, address: str = "", kept: Mapping[str, str] = MappingProxyType({})) -> Response:
    """Leads to the page that shows what was done, with a sentence about it."""
    if not address:
        address = f"{DASHBOARD}/queues/{quote(request.path_params['name'], safe='')}"
    return RedirectResponse(f"{address}?{urlencode({**kept, 'said': said})}", 303)
