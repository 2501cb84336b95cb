"""Makes pages of templates, with the headers that keep what is in them harmless, and keeps open pages up to date."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from emulator.base.errors import EmulatorError
from emulator.base.words import count, duration, period, shown_path
from emulator.dashboard import texts
from emulator.dashboard.actions import NotPossible
from emulator.dashboard.elsewhere import linked
from emulator.dashboard.live import Pulse
from emulator.dashboard.parts import together
from emulator.dashboard.picture import chart
from emulator.dashboard.rows import FoundMessage, json_line
from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.server.addresses import DASHBOARD

if TYPE_CHECKING:
    from starlette.requests import Request

    from emulator.log.recorder import Recorder
    from emulator.session.session import Session

Page = Callable[["Request"], Awaitable[Response]]

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}

_NOW: Final = (("", "Overview"), ("queues", "Queues"))
_PAST: Final = (("messages", "Messages"), ("requests", "Requests"), ("logs", "Logs"))
_PARTS: Final = (("workers", "Workers"), ("crons", "Crons"), ("data", "Data"))

_CHUNK: Final = 100

_HERE: Final = Path(__file__).parent
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Renderer:
    """Makes the pages of a session. If `recorder` has recorded it, there are pages about what has happened."""

    def __init__(self, session: Session, recorder: Recorder | None) -> None:
        self._session = session
        self.pulse = Pulse(session, recorder)
        """What happens while pages are open."""
        has_history = recorder is not None
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=texts.visible,
        )
        self._environment.filters.update(
            duration=duration,
            coded=texts.coded,
            exact=texts.exact,
            folded=texts.folded,
            part=partial(quote, safe=""),
            period=period,
            sentence=texts.sentence,
            short=texts.short,
            together=together,
            shown_path=shown_path,
            took=texts.took,
        )
        self._environment.globals.update(
            root=DASHBOARD,
            version=str(time_ns()),
            navigation=(*_NOW, *(_PAST if has_history else ()), *_PARTS),
            has_history=has_history,
            count=count,
            chart=chart,
            query=urlencode,
            body_of=texts.body_of,
            preview=texts.preview,
            pretty=texts.pretty,
            pulse=self.pulse,
        )

    def routes(self) -> list[Route]:
        """The addresses of what pages load."""
        return [
            Route(f"{DASHBOARD}/changes", self._changes),
            Route(f"{DASHBOARD}/static/{{name}}", self.told(_static)),
        ]

    def routes_of_nothing(self) -> list[Route]:
        """The addresses below those of pages that have none, to be looked at last."""
        parts = ("queues", "messages", "requests", "workers", "data")
        return [Route(f"{DASHBOARD}/{part}/{{rest:path}}", self.told(_nothing)) for part in parts]

    def close(self) -> None:
        """End the answers to pages that listen."""
        self.pulse.close()

    def told(self, page: Page) -> Page:
        """A page that says in words what was refused."""

        async def answer(request: Request) -> Response:
            self.pulse.begin()
            started = perf_counter()
            try:
                made = await page(request)
                made.headers["server-timing"] = f"page;dur={(perf_counter() - started) * 1e3:.1f}"
                return made
            except NotPossible as error:
                status, text = error.status, str(error)
            except QueueError as error:
                status, text = 404 if error.code == QueueErrorCode.QUEUE_NOT_FOUND else 400, str(error)
            except EmulatorError as error:
                status, text = 404, str(error)
            finally:
                if request.method == "POST":
                    self.pulse.tell()
            return self.render("refused.html", request, "refused", status=status, text=texts.sentence(text))

        return answer

    def render(self, template: str, request: Request, section: str, status: int = 200, **values: Any) -> HTMLResponse:
        """The page that a template makes of `values`. `section` is the part of the navigation that it belongs to, if it
        belongs to any."""
        now = self._session.clock.now()
        theme = request.cookies.get("emulator-theme", "")
        html = self._environment.get_template(template).render(
            section=section,
            theme=theme if theme in {"light", "dark"} else "",
            said=request.query_params.get("said", "")[:300],
            title=" + ".join(config.name for config in self._session.configs[:3]),
            now=now,
            moment=partial(texts.moment, now=now),
            linked=partial(linked, host=request.url.hostname or ""),
            **values,
        )
        return HTMLResponse(html.encode("utf-8", "backslashreplace"), status, HEADERS)

    async def _changes(self, _request: Request) -> Response:
        self.pulse.begin()
        return StreamingResponse(self.pulse.events(), media_type="text/event-stream", headers=HEADERS)


def download(name: str, messages: AsyncIterator[FoundMessage]) -> Response:
    """Messages as a file of JSON lines with this name, written as they are found."""
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_lines(messages), media_type="application/x-ndjson", headers=headers)


async def _lines(messages: AsyncIterator[FoundMessage]) -> AsyncIterator[bytes]:
    chunk: list[bytes] = []
    async for found in messages:
        chunk.append(json_line(found))
        if len(chunk) == _CHUNK:
            yield b"".join(chunk)
            chunk.clear()
    yield b"".join(chunk)


async def _nothing(_request: Request) -> Response:
    raise NotPossible(404, "There is no such page.")


async def _static(request: Request) -> Response:
    path = _HERE / "static" / request.path_params["name"]
    if path.suffix not in _TYPES or not path.is_file():
        raise NotPossible(404, "There is no such file.")
    return FileResponse(path, media_type=_TYPES[path.suffix], headers=HEADERS)
