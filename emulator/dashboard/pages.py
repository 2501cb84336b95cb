"""The pages about the session as it is: the overview, queues, workers, crons, and what bindings keep."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Route

from emulator.base.words import shown_path
from emulator.dashboard.actions import Actions, NotPossible, asked_filter, form_of, only_filter
from emulator.dashboard.contents import MOST_SEARCHED, last_bodies, search, unsearched
from emulator.dashboard.fields import MESSAGES
from emulator.dashboard.filters import Filter
from emulator.dashboard.lately import failed, happened
from emulator.dashboard.picture import Edge, picture_of
from emulator.dashboard.rendering import download
from emulator.dashboard.rows import WAITING, FoundMessage, state_of
from emulator.server.addresses import DASHBOARD

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope

    from emulator.bindings.panel import Panel
    from emulator.config.model import WorkerConfig
    from emulator.dashboard.rendering import Renderer
    from emulator.log.recorder import Recorder
    from emulator.queues.declarations import QueueState
    from emulator.queues.message import Counts
    from emulator.session.session import Session

PAGE_ROWS: Final = 50
_MOST_FAILED: Final = 6
_MOST_HAPPENED: Final = 12


class Shelf:
    """A queue on a page: its state and what is in it at the moment."""

    def __init__(self, state: QueueState, counts: Counts, oldest: float | None, feeds: str) -> None:
        self.state = state
        self.name = state.name
        self.counts = counts
        self.oldest = oldest
        self.feeds = feeds
        """The queue whose dead letters come here; empty if none's do."""

    @property
    def waiting(self) -> int:
        """How many messages nobody has."""
        return self.counts.ready + self.counts.delayed

    @property
    def dead(self) -> int:
        """How many dead letters are ready; where that is not known, all messages are where dead letters come."""
        if self.counts.dead is None:
            return self.counts.ready if self.feeds else 0
        return self.counts.dead


class _ForBrowsers(Route):
    """A route for those who read HTML, where a program gets JSON at the same address."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """No match for a program."""
        if scope["type"] == "http" and not any(
            name == b"accept" and b"text/html" in value for name, value in scope["headers"]
        ):
            return Match.NONE, {}
        return super().matches(scope)


class Pages:
    """The pages about what a session is and has now."""

    def __init__(self, session: Session, recorder: Recorder | None, renderer: Renderer) -> None:
        self._session = session
        self._recorder = recorder
        self._pulse = renderer.pulse
        self._render = renderer.render
        self._told = renderer.told

    def routes(self) -> list[Route]:
        """All addresses."""
        pages: Mapping[str, Callable[[Request], Awaitable[Response]]] = {
            "/": self._overview,
            "/queues": self._queues,
            "/queues/{name}": self._queue,
            "/workers": self._workers,
            "/workers/{name}": self._worker,
            "/data": self._data,
            "/data/{kind}/{name:path}": self._store,
        }
        actions = Actions(self._session)
        return [
            Route(DASHBOARD, self._to_overview),
            _ForBrowsers(f"{DASHBOARD}/crons", self._told(self._crons)),
            *(Route(f"{DASHBOARD}{path}", self._told(page)) for path, page in pages.items()),
            Route(f"{DASHBOARD}/queues/{{name}}/messages.jsonl", self._told(self._download)),
            *(Route(f"{DASHBOARD}{path}", self._told(act), methods=["POST"]) for path, act in actions.routes()),
            Route(f"{DASHBOARD}/data/{{kind}}/{{name:path}}", self._told(self._console), methods=["POST"]),
        ]

    async def _to_overview(self, _request: Request) -> Response:
        return RedirectResponse(f"{DASHBOARD}/", 308)

    async def _overview(self, request: Request) -> Response:
        return self._render(
            "overview.html",
            request,
            "",
            picture=picture_of(self._session, DASHBOARD),
            shelves={shelf.name: shelf for shelf in await self._shelves()},
            failing={host.config.name for host in self._session.hosts if host.failure is not None},
            rate=self._rate,
            failed=[] if self._recorder is None else failed(self._recorder, _MOST_FAILED),
            happened=[] if self._recorder is None else happened(self._recorder, _MOST_HAPPENED),
        )

    def _rate(self, edge: Edge) -> int:
        """How much went along an edge in the last minute."""
        (_, start), (_, end) = edge.start, edge.end
        names = {
            "call": ("requests", end),
            "send": ("sent", end, start),
            "deliver": ("delivered", start),
            "dead": ("dead", start),
        }
        is_counted = edge.kind != "call" or edge.start[0] == "requests"
        return self._pulse.count(*names[edge.kind]) if is_counted and edge.kind in names else 0

    async def _queues(self, request: Request) -> Response:
        return self._render("queues.html", request, "queues", shelves=await self._shelves())

    async def _queue(self, request: Request) -> Response:
        name = request.path_params["name"]
        self._session.queues.state_of(name)
        skip = min(_number(request, "skip"), 10**9)
        text, wanted, wrong = asked_filter(request, MESSAGES)
        found = await self._rows(name, wanted, skip)
        bodies = await last_bodies(self._session, self._recorder, name)
        asked = request.query_params.get("from", "")
        shelves = {shelf.name: shelf for shelf in await self._shelves()}
        return self._render(
            "queue.html",
            request,
            "queues",
            shelf=shelves[name],
            shelves=shelves,
            found=found[:PAGE_ROWS],
            has_more=len(found) > PAGE_ROWS,
            filter=text,
            wrong=wrong,
            over=MESSAGES,
            unsearched=unsearched(shelves[name].counts, wanted),
            searched=MOST_SEARCHED,
            bodies=bodies,
            beginning=next((each for each in bodies if each.id == asked), bodies[0] if bodies else None),
            skip=skip,
            rows=PAGE_ROWS,
            failing={host.config.name for host in self._session.hosts if host.failure is not None},
        )

    async def _rows(self, name: str, wanted: Filter, skip: int) -> list[FoundMessage]:
        """The messages on a page, and one more if there are more: those that wait, or those that a filter means."""
        if not wanted.terms:
            waiting = await self._session.queues.waiting(name, PAGE_ROWS + 1, skip)
            now = self._session.clock.now()
            return [FoundMessage(name, state_of(each, now), each) for each in waiting]
        rows: list[FoundMessage] = []
        async with aclosing(search(self._session, name, wanted)) as every:
            async for found in every:
                rows.append(found)
                if len(rows) > skip + PAGE_ROWS:
                    break
        return rows[skip:]

    async def _download(self, request: Request) -> Response:
        """The messages of a queue: those that are chosen, or that a filter means, or all that wait."""
        name = request.path_params["name"]
        self._session.queues.state_of(name)
        ids = set(request.query_params.getlist("id"))
        wanted = only_filter(request, MESSAGES)
        if "chosen" in request.query_params and not ids:
            raise NotPossible(400, "No message is chosen.")
        return download(f"{name}.jsonl", self._chosen_lines(name, Filter() if ids else wanted, ids))

    async def _chosen_lines(self, name: str, wanted: Filter, ids: Collection[str]) -> AsyncIterator[FoundMessage]:
        async for found in search(self._session, name, wanted, None):
            if found.message.id in ids if ids else wanted.terms or found.state in WAITING:
                yield found

    async def _workers(self, request: Request) -> Response:
        return self._render("workers.html", request, "workers", hosts=self._session.hosts)

    async def _worker(self, request: Request) -> Response:
        name = request.path_params["name"]
        for host in self._session.hosts:
            if host.config.name == name:
                reloads = [(at, each) for at, each in reversed(self._pulse.reloads) if each.worker == name]
                return self._render(
                    "worker.html",
                    request,
                    "workers",
                    host=host,
                    bindings=self._bindings(host.config),
                    settings=_settings(host.config),
                    reloads=reloads,
                )
        raise NotPossible(404, f"This session has no worker {name}.")

    def _bindings(self, config: WorkerConfig) -> list[tuple[str, str, str, str]]:
        """The bindings of a worker: name, kind, description and where each was read. A kind says what it is, and what a
        secret is it does not say."""
        found = []
        for kind in self._session.open_kinds.kinds:
            for binding in config.bindings:
                if binding.kind == kind.name:
                    place = "" if binding.place is None else binding.place.where
                    described = kind.describe(config, binding.settings)
                    found.append((binding.name, kind.name.replace("_", " "), described, place))
        return found

    async def _crons(self, request: Request) -> Response:
        from emulator.config.cron import parse

        now = self._session.clock.now()
        rows = []
        for host in self._session.hosts:
            crons = host.config.crons or (("",) if "scheduled" in host.handlers else ())
            rows += [(host, cron, _next_runs(parse(cron), now) if cron else []) for cron in crons]
        return self._render(
            "crons.html", request, "crons", rows=rows, run_by_themselves=self._session.crons is not None
        )

    async def _data(self, request: Request) -> Response:
        kinds = [(name, panel, panel.stores(self._session.open_kinds[name])) for name, panel in self._panels().items()]
        return self._render("data.html", request, "data", kinds=kinds)

    async def _store(self, request: Request) -> Response:
        kind, panel, name, title = self._chosen(request)
        sheet = await panel.look(self._session.open_kinds[kind], name, dict(request.query_params))
        return self._sheet(request, (kind, panel, name, title), [sheet])

    async def _console(self, request: Request) -> Response:
        kind, panel, name, title = self._chosen(request)
        if panel.run is None:
            raise NotPossible(405, f"{panel.title} has no console.")
        text = (await form_of(request)).get("text", "")
        chosen = kind, panel, name, title
        try:
            sheets = await panel.run(self._session.open_kinds[kind], name, text)
        except Exception as error:
            return self._sheet(request, chosen, [], text=text, error=str(error) or type(error).__name__)
        return self._sheet(request, chosen, sheets, text=text)

    def _sheet(
        self,
        request: Request,
        chosen: tuple[str, Panel, str, str],
        sheets: Sequence[Any],
        text: str = "",
        error: str = "",
    ) -> Response:
        kind, panel, name, title = chosen
        return self._render(
            "store.html",
            request,
            "data",
            kind=kind,
            panel=panel,
            name=name,
            store_title=title,
            sheets=sheets,
            text=text,
            error=error,
            asked=dict(request.query_params),
        )

    def _chosen(self, request: Request) -> tuple[str, Panel, str, str]:
        kind, name = request.path_params["kind"], request.path_params["name"]
        panel = self._panels().get(kind)
        if panel is not None:
            for each, title in panel.stores(self._session.open_kinds[kind]):
                if each == name:
                    return kind, panel, name, title
        raise NotPossible(404, f"This session has no {kind} {name}.")

    def _panels(self) -> dict[str, Panel]:
        found = {kind.name: kind.panel() for kind in self._session.open_kinds.kinds}
        return {name: panel for name, panel in found.items() if panel is not None}

    async def _shelves(self) -> list[Shelf]:
        queues = self._session.queues
        feeds = {
            state.consumer.dead_letter_queue: name
            for name, state in queues.states.items()
            if state.consumer is not None and state.consumer.dead_letter_queue
        }
        found = []
        for name, state in list(queues.states.items()):
            oldest = (await queues.backlog(name)).oldest_message_timestamp
            found.append(Shelf(state, await queues.counts(name), oldest, feeds.get(name, "")))
        return found


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0


def _next_runs(schedule: Any, now: float, number: int = 3) -> list[float]:
    """When a cron is due next, at most `number` times."""
    found: list[float] = []
    while len(found) < number and (due := schedule.next_after(found[-1] if found else now)) is not None:
        found.append(due)
    return found


def _settings(config: WorkerConfig) -> list[tuple[str, str]]:
    """The settings of a worker that are not bindings, as they are in effect."""
    rows = [
        ("configuration", shown_path(config.path)),
        ("environment", config.environment or "top level"),
        ("main", shown_path(config.main) if config.has_code else "none: assets only"),
        ("compatibility date", config.compatibility_date or "none: today's rules"),
        ("compatibility flags", ", ".join(sorted(config.compatibility_flags)) or "none"),
        ("crons", ", ".join(config.crons) or "none"),
        ("CPU time", f"{config.cpu_ms:,} ms"),
        ("production address", config.origin or "none"),
    ]
    if config.build is not None:
        rows.append(("build", config.build.command))
    return rows
