"""The pages about what has happened: messages and requests with the answer to "why?", the log, and a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from emulator.base.errors import EmulatorError
from emulator.base.words import count
from emulator.dashboard.actions import DONE, NotPossible, act_on, asked_filter, filter_of, form_of, only_filter
from emulator.dashboard.asking import as_curl, repeated
from emulator.dashboard.contents import MOST_SEARCHED, ids_of, total, unsearched
from emulator.dashboard.events import event_facts, event_row
from emulator.dashboard.fields import EVENTS, MESSAGES, REQUESTS, SUBJECTS
from emulator.dashboard.filters import Filter, FilterError, Term, parse
from emulator.dashboard.parts import together
from emulator.dashboard.rehearsal import last_delivery, rehearse
from emulator.dashboard.rendering import download
from emulator.server.addresses import DASHBOARD

if TYPE_CHECKING:
    from starlette.requests import Request

    from emulator.dashboard.events import EventRow
    from emulator.dashboard.rendering import Renderer
    from emulator.dashboard.stories import Stories
    from emulator.dashboard.story import ActPart, MessageStory, RequestStory, Trouble
    from emulator.session.session import Session

ROWS: Final = 100
_MOST_EVENTS: Final = 20_000
_MOST_FOUND: Final = 20
"""How many messages, requests and lines of the log the search shows of each."""
_REPLAY_SECONDS: Final = 30.0


class History:
    """The pages that tell what `stories` know of a session."""

    def __init__(self, session: Session, stories: Stories, renderer: Renderer) -> None:
        self._session = session
        self._stories = stories
        self._render = renderer.render
        self._told = renderer.told

    def routes(self) -> list[Route]:
        """All addresses."""
        pages = {
            "/messages": self._messages,
            "/messages.jsonl": self._download,
            "/messages/{id}": self._message,
            "/requests": self._requests,
            "/requests/{id}": self._request,
            "/logs": self._logs,
            "/search": self._search,
        }
        return [
            *(Route(f"{DASHBOARD}{path}", self._told(page)) for path, page in pages.items()),
            Route(f"{DASHBOARD}/messages/{{act}}", self._told(self._act), methods=["POST"]),
            Route(f"{DASHBOARD}/requests/{{id}}/replay", self._told(self._replay), methods=["POST"]),
            Route(f"{DASHBOARD}/messages/{{id}}/rehearsal", self._told(self._rehearsal), methods=["POST"]),
        ]

    async def _messages(self, request: Request) -> Response:
        text, wanted, wrong = asked_filter(request, MESSAGES)
        rows = await self._stories.messages(wanted, ROWS)
        queues = self._session.queues
        names = list(queues.states)
        counts = [await queues.counts(name) for name in names]
        oldest = [(await queues.backlog(name)).oldest_message_timestamp for name in names]
        return self._render(
            "messages.html",
            request,
            "messages",
            over=MESSAGES,
            rows=rows,
            filter=text,
            wrong=wrong,
            most=ROWS,
            counts=total(counts),
            oldest=min((each for each in oldest if each is not None), default=None),
            unsearched=sum(unsearched(each, wanted) for each in counts),
            searched=MOST_SEARCHED,
            missing=self._stories.missing(),
        )

    async def _message(self, request: Request) -> Response:
        story = await self._stories.message(request.path_params["id"])
        return self._render(
            "message.html",
            request,
            "messages",
            story=story,
            trouble=None if story.state == "acked" else _last_trouble(story),
            test=as_test(story),
            can_send=story.content_type in {"json", "text"},
            can_rehearse=last_delivery(self._stories.recorder, story.id) is not None and story.state != "acked",
            queues=list(self._session.queues.states),
        )

    async def _rehearsal(self, request: Request) -> Response:
        """Run the batch of a message on the code as it is now, without effects, and show what came of it."""
        await form_of(request)
        story = await self._stories.message(request.path_params["id"])
        rehearsal = await rehearse(self._session, self._stories.recorder, story.id)
        return self._render("rehearsal.html", request, "messages", story=story, rehearsal=rehearsal)

    async def _act(self, request: Request) -> Response:
        """Redrive, promote or delete all waiting messages that a filter means."""
        act, text = request.path_params["act"], (await form_of(request)).get("filter", "")
        if act not in DONE:
            raise NotPossible(404, "There is no such page.")
        wanted, queues = filter_of(text), self._session.queues
        only, number = wanted.only("queue"), 0
        for queue in list(queues.states):
            if only is None or queue.casefold() == only:
                ids = await ids_of(self._session, queue, wanted)
                number += await act_on(queues, act, queue, ids) if ids else 0
        said = urlencode({"filter": text, "said": f"{count(number, 'message')} {DONE[act]}"})
        return RedirectResponse(f"{DASHBOARD}/messages?{said}", 303)

    async def _download(self, request: Request) -> Response:
        return download("messages.jsonl", self._stories.found(only_filter(request, MESSAGES), None))

    async def _requests(self, request: Request) -> Response:
        text, wanted, wrong = asked_filter(request, REQUESTS)
        given = request.query_params.get("before", "")
        before = int(given) if given.isascii() and given.isdigit() and len(given) < 16 else None
        found = self._stories.requests(wanted, ROWS, before)
        more = found[-1][0] if len(found) == ROWS else None
        rows = [story for _, story in found]
        return self._render(
            "requests.html",
            request,
            "requests",
            over=REQUESTS,
            rows=rows,
            filter=text,
            wrong=wrong,
            more=more,
            missing=self._stories.missing(),
            is_newest=before is None,
        )

    async def _request(self, request: Request) -> Response:
        story = self._stories.request(request.path_params["id"])
        url = str(request.base_url).rstrip("/")
        return self._render(
            "request.html",
            request,
            "requests",
            story=story,
            bars=waterfall(story),
            curl=as_curl(story, url),
            content_type=next((value for name, value in story.headers if name.lower() == "content-type"), ""),
        )

    async def _replay(self, request: Request) -> Response:
        """Ask the worker again, as a client over HTTP does."""
        import httpx  # only this action needs it

        story = self._stories.request(request.path_params["id"])
        asked = self._stories.asked(story.id)
        form = await form_of(request)
        method, path = form.get("method", story.method).upper(), form.get("path", story.path)
        if story.kind != "request" or not method.isalpha() or not path.startswith("/"):
            raise NotPossible(400, "A method and a path that begins with / are needed.")
        body = form.get("body", "").replace("\r\n", "\n").encode()
        if asked is not None and ("same" in form or body == asked.body.replace(b"\r\n", b"\n")):
            body = asked.body
        headers = httpx.Headers(repeated(asked))
        headers["host"] = self._host_of(story.worker, request.headers.get("host", ""))
        if form.get("type"):
            headers["content-type"] = form["type"]
        scheme, (host, port, *_) = request.scope["scheme"], request.scope["server"]
        url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{path}"
        before = self._stories.recorder.last
        try:
            async with httpx.AsyncClient(verify=False, timeout=_REPLAY_SECONDS, trust_env=False) as client:
                answer = await client.request(method, url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise NotPossible(502, f"The request failed: {str(error) or type(error).__name__}.") from None
        said = urlencode({"said": f"{method} {path} was answered with {answer.status_code}"})
        page = self._stories.request_since(before, story.worker, method, path)
        return RedirectResponse(f"{DASHBOARD}/requests{page and '/' + page}?{said}", 303)

    def _host_of(self, worker: str, host: str) -> str:
        """The `Host` by which the server knows which worker is meant."""
        if worker == self._session.configs[0].name:
            return host
        port = host.rpartition(":")[2]
        return f"{worker}.localhost:{port}"

    async def _logs(self, request: Request) -> Response:
        text, wanted, wrong = asked_filter(request, EVENTS)
        rows = self._lines(wanted, ROWS * 2)
        return self._render(
            "logs.html",
            request,
            "logs",
            over=EVENTS,
            rows=rows,
            filter=text,
            wrong=wrong,
            acts=_acts(rows),
            missing=self._stories.missing(),
        )

    def _lines(self, wanted: Filter, most: int) -> list[EventRow]:
        """The newest lines of the log that a filter means; without one, those that the terminal shows."""
        rows: list[EventRow] = []
        now = self._session.clock.now()
        for recorded in islice(self._stories.recorder.newest(), _MOST_EVENTS):
            row = event_row(recorded)
            if (row.level != "debug" or wanted.terms) and wanted.matches(event_facts(row, now)):
                rows.append(row)
                if len(rows) == most:
                    break
        return rows

    async def _search(self, request: Request) -> Response:
        asked = request.query_params.get("q", "").strip()[:200]
        if len(asked) >= 4 and all(char in "0123456789abcdef" for char in asked):
            for kind, find in (("messages", self._stories.message), ("requests", self._find_request)):
                try:
                    found = await find(asked)
                except EmulatorError:
                    continue
                return RedirectResponse(f"{DASHBOARD}/{kind}/{found.id}", 303)
        wanted, wrong = _searched(asked)
        messages, requests, lines = (wanted.get(over) for over in SUBJECTS)
        rows = [] if lines is None else self._lines(lines, _MOST_FOUND)
        return self._render(
            "search.html",
            request,
            "search",
            search_text=asked,
            wrong=wrong,
            wanted=wanted,
            most=_MOST_FOUND,
            places=[each for each in self._places() if asked.casefold() in each[1].casefold()],
            messages=[] if messages is None else await self._stories.messages(messages, _MOST_FOUND),
            requests=[] if requests is None else [each for _, each in self._stories.requests(requests, _MOST_FOUND)],
            rows=rows,
            acts=_acts(rows),
        )

    async def _find_request(self, identifier: str) -> RequestStory:
        return self._stories.request(identifier)

    def _places(self) -> Iterator[tuple[str, str, str]]:
        """What has a name: what it is, the name, and where its page is."""
        session = self._session
        for name in session.queues.states:
            yield "queue", name, f"queues/{quote(name, safe='')}"
        for config in session.configs:
            yield "worker", config.name, f"workers/{quote(config.name, safe='')}"
            yield from (("cron", f"{cron} ({config.name})", "crons") for cron in config.crons)
        for kind in session.open_kinds.kinds:
            panel = kind.panel()
            for name, title in () if panel is None else panel.stores(session.open_kinds[kind.name]):
                assert panel is not None
                yield panel.title, title, f"data/{kind.name}/{quote(name, safe='')}"


def _last_trouble(story: MessageStory) -> Trouble | None:
    """What went wrong in the last attempt in which something did."""
    attempts = [attempt for life in story.lives for attempt in life.attempts]
    return next((attempt.trouble for attempt in reversed(attempts) if attempt.trouble is not None), None)


def _searched(asked: str) -> tuple[dict[str, Filter], str]:
    """What is looked for, as a filter over whatever has its fields; as a text if nothing does, and then why."""
    wanted: dict[str, Filter] = {}
    wrong = ""
    for name, over in SUBJECTS.items() if asked else ():
        try:
            wanted[name] = parse(asked, over)
        except FilterError as error:
            wrong = wrong or str(error)
    if asked and not wanted:
        return dict.fromkeys(SUBJECTS, Filter((Term("", "", asked),))), wrong
    return wanted, ""


def _acts(rows: Sequence[EventRow]) -> set[str]:
    """The ids of the requests, crons and e-mails among events."""
    return {row.act for row in rows if row.event in {"request", "scheduled", "email"} and row.act}


def waterfall(story: RequestStory) -> list[tuple[ActPart, float, float]]:
    """The parts of a request, each with where its bar begins and how long it is, in percent of the whole."""
    whole = max([story.duration, *(part.at + part.duration - story.at for part in story.parts)], default=0.0) or 1.0
    return [
        (
            part,
            round(min(max(part.at - story.at, 0.0) / whole * 100, 99.0), 2),
            round(max(part.duration / whole * 100, 0.6), 2),
        )
        for part in together(story.parts)
    ]


def as_test(story: MessageStory) -> str:
    """A pytest test that sends the same message and says what became of it, or if that is not decided yet, how it
    failed; empty if the body cannot be written so."""
    queue = next((life.queue for life in story.lives), story.queue)
    if story.content_type not in {"json", "text"}:
        return ""
    kind = "" if story.content_type == "json" else ', content_type="text"'
    lines = [
        f"def test_message_{story.id[:8]}(emulator):",
        f"    queue = emulator.queue({queue!r})",
        f"    queue.send({story.body!r}{kind})",
        "    [message] = queue.messages",
        "    emulator.run_until_idle()",
        "",
        "    story = emulator.why(message)",
    ]
    error = "" if story.state == "acked" else story.error.partition("\n")[0]
    if story.state == "dead" or not error:
        lines.append(f"    assert story.state == {'dead' if story.state == 'dead' else 'acked'!r}")
    if error:
        lines.append(f"    assert {error!r} in story.error")
    return "\n".join(lines) + "\n"
