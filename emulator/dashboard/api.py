"""What programs ask: `GET /cdn-cgi/emulator/api/...`, and its description as OpenAPI, which is made from the same table
as the addresses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from emulator.base.errors import EmulatorError
from emulator.dashboard.completion import Completion, complete
from emulator.dashboard.events import EventRow, event_facts, event_row
from emulator.dashboard.fields import EVENTS, MESSAGES, REQUESTS, SUBJECTS
from emulator.dashboard.filters import Filter, FilterError, Subject, parse
from emulator.dashboard.rehearsal import Rehearsal, rehearse
from emulator.dashboard.rows import MessageRow
from emulator.dashboard.stories import Stories
from emulator.dashboard.story import MessageStory, Provenance, RequestStory
from emulator.log.summary import sorted_handlers
from emulator.queues.declarations import QueueState
from emulator.queues.settings import ConsumerSettings, QueueSettings
from emulator.server.addresses import DASHBOARD_API
from emulator.wire.texts import write_json

if TYPE_CHECKING:
    from starlette.requests import Request

    from emulator.log.recorder import Recorder
    from emulator.session.session import Session

MOST_ROWS: Final = 1_000
FEW_ROWS: Final = 100


class WhyError(msgspec.Struct, frozen=True):
    """Why something was refused, in a sentence."""

    error: str


class MessageList(msgspec.Struct, frozen=True):
    """The messages that a filter means. `missing` says what of the past is not recorded, as the end of a sentence; it
    is empty if all of it is."""

    messages: Sequence[MessageRow]
    missing: str = ""


class RequestList(msgspec.Struct, frozen=True):
    """The requests that a filter means, newest first. `before` is what to ask with for those before them; None if there
    are none. `missing` is as in MessageList."""

    requests: Sequence[RequestStory]
    before: int | None = None
    missing: str = ""


class EventList(msgspec.Struct, frozen=True):
    """The events that a filter means, newest first, or with `after` oldest first. `last` is the number of the newest
    event that there is, and `gaps` are the times, in seconds since the epoch, from and to, of which only a part is
    recorded, as too much happened."""

    events: Sequence[EventRow]
    last: int
    gaps: Sequence[tuple[float, float]] = ()


class QueueRow(msgspec.Struct, frozen=True):
    """A queue. `backlog` counts all messages that are not settled: those that are `ready`, `delayed` or `in_flight`. Of
    those that wait, `retrying` have been delivered before; of those that are ready, `dead` are dead letters; both are
    None where that is not known. `oldest` is when the oldest was sent, in seconds since the epoch. `worker` is its
    consumer; empty if it has none, or clients pull."""

    name: str
    backlog: int
    backlog_bytes: int
    ready: int
    delayed: int
    in_flight: int
    retrying: int | None
    dead: int | None
    oldest: float | None
    settings: QueueSettings
    worker: str = ""
    consumer: ConsumerSettings | None = None


class QueueList(msgspec.Struct, frozen=True):
    """The queues of the session, in the order of their creation."""

    queues: Sequence[QueueRow]


class WorkerRow(msgspec.Struct, frozen=True):
    """A worker. `error` says why its code does not load; empty if it does."""

    name: str
    main: str
    handlers: Sequence[str]
    crons: Sequence[str]
    produces: Sequence[str]
    consumes: Sequence[str]
    error: str = ""


class WorkerList(msgspec.Struct, frozen=True):
    """The workers of the session; the first answers at `/`."""

    workers: Sequence[WorkerRow]


class BadQueryError(ValueError):
    """A question that makes no sense; its text says why."""


class Question(NamedTuple):
    """What can be asked: the path, with `{name}` for what varies, what answers, the type of the answer, and what the
    query can say, each with a sentence."""

    path: str
    answer: Callable[[Api, Request], Awaitable[Any]]
    type: type
    query: Mapping[str, str] = {}
    method: str = "GET"


class Api:
    """Answers for a session, of which `recorder` knows what happened."""

    def __init__(self, session: Session, recorder: Recorder) -> None:
        self._session = session
        self._recorder = recorder
        self.stories = Stories(session, recorder)

    def routes(self) -> list[Route]:
        """All addresses, with that of their description."""
        described = Route(f"{DASHBOARD_API}/openapi.json", self._describe)
        answers = [
            Route(f"{DASHBOARD_API}{each.path}", partial(self._answer, each), methods=[each.method])
            for each in ADDRESSES
        ]
        return [described, *answers]

    def close(self) -> None:
        """Every answer ends by itself."""

    async def messages(self, request: Request) -> MessageList:
        """The messages in the queues and those that have left them, as far as that is recorded: at most 20,000 of each
        queue are looked through."""
        found = await self.stories.messages(_filter(request, MESSAGES), _limit(request))
        return MessageList(found, self.stories.missing())

    async def message(self, request: Request) -> MessageStory:
        """A message, by its id or the first digits of it, and why it is as it is."""
        return await self.stories.message(request.path_params["id"])

    async def origin(self, request: Request) -> Provenance:
        """Where a message came from when it entered a queue, as far as this session knows. Sessions ask each other that
        of messages that they have forwarded."""
        until = _number(request, "until_ms")
        identifier, queue = request.path_params["id"], request.query_params.get("queue", "")
        return self.stories.origin(identifier, queue, None if until is None else until / 1000)

    async def rehearse(self, request: Request) -> Rehearsal:
        """Run the batch that a message was delivered in once more, on the code as it is now. What the handler sends and
        writes is told and not carried out; a `fetch()` goes out."""
        story = await self.stories.message(request.path_params["id"])
        return await rehearse(self._session, self._recorder, story.id)

    async def requests(self, request: Request) -> RequestList:
        """The requests that were answered, and the crons and e-mails that were handled."""
        limit = _limit(request)
        found = self.stories.requests(_filter(request, REQUESTS), limit, _number(request, "before"))
        before = found[-1][0] if len(found) == limit else None
        return RequestList([story for _, story in found], before, self.stories.missing())

    async def request(self, request: Request) -> RequestStory:
        """A request, by its id, with what happened in it."""
        return self.stories.request(request.path_params["id"])

    async def events(self, request: Request) -> EventList:
        """What happened, as the log tells it."""
        wanted, limit, now = _filter(request, EVENTS), _limit(request), self._session.clock.now()
        after = _number(request, "after")
        recorder = self._recorder
        events = recorder.newest(_number(request, "before")) if after is None else recorder.after(after)
        rows: list[EventRow] = []
        for recorded in events:
            row = event_row(recorded)
            if wanted.matches(event_facts(row, now)):
                rows.append(row)
                if len(rows) == limit:
                    break
        return EventList(rows, recorder.last, recorder.gaps)

    async def complete(self, request: Request) -> Completion:
        """How a filter that is being written may go on: fields, and values that have occurred lately."""
        over = SUBJECTS.get(request.query_params.get("over", ""))
        if over is None:
            raise BadQueryError(f"over must be one of {', '.join(SUBJECTS)}")
        return complete(request.query_params.get("filter", ""), over, self._session, self.stories)

    async def queues(self, _request: Request) -> QueueList:
        """The queues."""
        return QueueList([await self._queue(state) for state in list(self._session.queues.states.values())])

    async def workers(self, _request: Request) -> WorkerList:
        """The workers. Their secrets are not shown."""
        queues = self._session.queues.states.values()
        rows = []
        for host in self._session.hosts:
            config = host.config
            produces = [state.name for state in queues if config.name in self._session.producers_of(state.name)]
            consumes = [state.name for state in queues if state.consumer is not None and state.worker == config.name]
            main = str(config.main) if config.has_code else ""
            error = "" if host.failure is None else host.failure.summary
            rows.append(WorkerRow(config.name, main, sorted_handlers(host), config.crons, produces, consumes, error))
        return WorkerList(rows)

    async def _queue(self, state: QueueState) -> QueueRow:
        queues = self._session.queues
        backlog, counts = await queues.backlog(state.name), await queues.counts(state.name)
        return QueueRow(
            state.name,
            backlog.backlog_count,
            backlog.backlog_bytes,
            counts.ready,
            counts.delayed,
            counts.in_flight,
            counts.retrying,
            counts.dead,
            backlog.oldest_message_timestamp,
            state.settings,
            state.worker,
            state.consumer,
        )

    async def _answer(self, address: Question, request: Request) -> Response:
        try:
            return _json(await address.answer(self, request))
        except (BadQueryError, FilterError) as error:
            return _json(WhyError(str(error)), 400)
        except EmulatorError as error:
            return _json(WhyError(str(error)), 404)

    async def _describe(self, _request: Request) -> Response:
        return _json(openapi())


_FILTER: Final = {
    "filter": "Which are meant, such as `state:dead attempts>2`; all of them if it is not given.",
    "limit": f"The most to answer with, 1 to {MOST_ROWS:,}; {FEW_ROWS} if it is not given.",
}
_BEGUN: Final = {
    "over": f"What the filter is over: {', '.join(SUBJECTS)}.",
    "filter": "How it begins: what is before the cursor.",
}
_TEXTS: Final = {"filter", "over", "queue"}
"""What in a query is a text; the rest are whole numbers."""
_ORIGIN: Final = {
    "queue": "The queue.",
    "until_ms": "The last time that it entered the queue until then, in milliseconds since the epoch.",
}
_BEFORE: Final = {"before": "Only those whose events have lower numbers."}

ADDRESSES: Final[Sequence[Question]] = (
    Question("/messages", Api.messages, MessageList, _FILTER),
    Question("/messages/{id}", Api.message, MessageStory),
    Question("/messages/{id}/origin", Api.origin, Provenance, _ORIGIN),
    Question("/messages/{id}/rehearsal", Api.rehearse, Rehearsal, method="POST"),
    Question("/requests", Api.requests, RequestList, {**_FILTER, **_BEFORE}),
    Question("/requests/{id}", Api.request, RequestStory),
    Question("/events", Api.events, EventList, {**_FILTER, **_BEFORE, "after": "Only those with higher numbers."}),
    Question("/complete", Api.complete, Completion, _BEGUN),
    Question("/queues", Api.queues, QueueList),
    Question("/workers", Api.workers, WorkerList),
)
"""Everything that can be asked."""


def openapi() -> dict[str, Any]:
    """The description of all addresses."""
    types = [*(each.type for each in ADDRESSES), WhyError]
    references, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    shapes = dict(zip(types, references, strict=True))

    def answer(about: str, shape: Any) -> dict[str, Any]:
        return {"description": about, "content": {"application/json": {"schema": shape}}}

    paths = {}
    for each in ADDRESSES:
        about = " ".join(cleandoc(each.answer.__doc__ or "").split())
        refusals = {"400": "The filter, or a number, cannot be read.", "404": "Nothing is known of it."}
        parameters: list[dict[str, Any]] = [
            {
                "name": name,
                "in": "query",
                "description": text,
                "schema": {"type": "string" if name in _TEXTS else "integer"},
            }
            for name, text in each.query.items()
        ]
        if "{id}" in each.path:
            parameters.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})
        status = "404" if "{id}" in each.path else "400" if each.query else ""
        responses = {"200": answer(about, shapes[each.type])}
        if status:
            responses[status] = answer(refusals[status], shapes[WhyError])
        operation = {
            "operationId": each.answer.__name__,
            "summary": about,
            "parameters": parameters,
            "responses": responses,
        }
        paths[f"{DASHBOARD_API}{each.path}"] = {each.method.lower(): operation}
    info = {"title": "What happened in a session of workers-emulator, and why", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": components}}


def _filter(request: Request, over: Subject) -> Filter:
    return parse(request.query_params.get("filter", ""), over)


def _limit(request: Request) -> int:
    given = _number(request, "limit")
    return FEW_ROWS if given is None else max(1, min(given, MOST_ROWS))


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise BadQueryError(f"{name} is {text[:32]!r}; it must be a whole number")
    return int(text)


def _json(value: Any, status: int = 200) -> Response:
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(write_json(value), status, headers, "application/json")
