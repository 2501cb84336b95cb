"""Serves user traffic: passes HTTP requests to the worker's `fetch`, and sends its response, or a readable error if it
fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from emulator.base.acts import Act, Acts, acting
from emulator.base.bus import Bus
from emulator.bindings.use import Tallies
from emulator.hosts.host import HandlerError, HandlerMissing, NotLoaded, WorkerHost
from emulator.hosts.triggers import FetchTrigger
from emulator.server.asgi import ANSWER
from emulator.server.asked import Overheard, asked, overheard
from emulator.server.events import RequestFinished
from emulator.server.hostname import is_within_this_machine
from emulator_runtime.hosting import FetchResponse, Response, Upgrade, find_header, request_from_scope, send_response

if TYPE_CHECKING:
    from emulator.base.failure import Failure
    from emulator.bindings.kind import Front
    from emulator.bindings.use import Tally
    from emulator.config.model import WorkerConfig
    from emulator.server.asgi import Receive, Scope, Send
    from emulator_runtime.hosting import IncomingRequest

CLIENT_CLOSED_REQUEST: Final = 499

SLOW_SECONDS: Final = 0.05
"""After this time it is worth checking whether the client still waits for the answer."""


class AnswerBrokenError(Exception):
    """Worker code raised an exception while its answer was being streamed. The failure has been reported; the server
    only has to break the connection, which is the only way to tell the client."""


class Gateway:
    """Serves one worker as an ASGI application. With `raise_errors`, exceptions of worker code are raised in the test
    that sent the request. `timer` measures durations in seconds. `fronts` gives what answers before the code of a
    worker with a configuration, and `tallies` count what a request does with bindings."""

    def __init__(
        self,
        host: WorkerHost,
        bus: Bus,
        *,
        raise_errors: bool = False,
        timer: Callable[[], float] = perf_counter,
        fronts: Callable[[WorkerConfig], Front | None] = lambda _config: None,
        tallies: Tallies | None = None,
    ) -> None:
        self.host = host
        self._fronts = fronts
        self._tallies = tallies or Tallies()
        self._fronted: WorkerConfig | None = None
        self._front: Front | None = None
        self._bus = bus
        self._raise_errors = raise_errors
        self._timer = timer

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        tally = self._tallies.begin(self.host.config.name)
        act = None
        acts = self._bus.acts
        if acts is not None:
            act = _act(scope, acts) if acts.follows else acts.begin()
            acting.set(act)  # to its end: every request has a context of its own
        serving = self._serve(scope, receive, send, tally, act)
        return serving if tally is None else self._counted(serving, tally)

    async def _counted(self, serving: Coroutine[Any, Any, None], tally: Tally) -> None:
        try:
            await serving
        finally:
            self._tallies.end(self.host.config.name, tally)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, tally: Tally | None, act: Act | None) -> None:
        started = self._timer()
        seen = scope
        if self.host.config.origin:
            seen, send = _at_origin(self.host.config.origin, scope, send)
        kept = None if act is None else overheard(scope, receive)
        request = request_from_scope(seen, receive if kept is None else kept.receive)
        raised: BaseException | None = None
        response: FetchResponse | None
        try:
            response = self._before_code(request)
            if response is None:
                response = await self.host.invoke("", FetchTrigger(request))
        except (HandlerError, NotLoaded, HandlerMissing) as error:
            raised = _raised(error)
            response = _explain(scope, request, error)
        if raised is not None and self._raise_errors:
            raise raised  # here, as raising it where it was caught would change its own cause and context
        status = response.status
        head = scope["method"] == "HEAD"
        broken: Exception | None = None
        if response.is_streaming and not head:
            try:
                if not await _stream(request, response, send):
                    status = CLIENT_CLOSED_REQUEST
            except Exception as error:
                broken = error
        elif self._timer() - started > SLOW_SECONDS and await _has_left(request):
            status = CLIENT_CLOSED_REQUEST
        else:
            await send_response(response, send, head=head, answer=seen.get(ANSWER))
        _end(request, status)
        self.report(scope, status, self._timer() - started, tally, act, kept=kept)
        if broken is not None:
            raise broken if self._raise_errors else AnswerBrokenError

    def _before_code(self, request: IncomingRequest) -> FetchResponse | None:
        config = self.host.config
        if config is not self._fronted:
            self._fronted, self._front = config, self._fronts(config)
        return None if self._front is None else self._front(request)

    def report(
        self,
        scope: Scope,
        status: int,
        duration: float,
        tally: Tally | None = None,
        act: Act | None = None,
        *,
        kept: Overheard | None = None,
    ) -> None:
        """Report a request that was answered in `act`, if that is known, `duration` seconds after it arrived; with its
        body, if that is `kept`."""
        path: str = scope["path"]
        query: bytes = scope["query_string"]
        if query:
            path = f"{path}?{query.decode('latin-1')}"
        event = RequestFinished(self.host.config.name, scope["method"], path, status, duration)
        if act is not None:
            event.act = act
            event.asked = asked(scope) if kept is None else kept.asked(scope)
        elif self._bus.acts is not None:
            event.act = acting.get() or _act(scope, self._bus.acts, duration)
        if tally is not None and tally.counts:
            event.bindings, event.binding_seconds = tally.counts, tally.seconds
        self._bus.publish(event)


def _act(scope: Scope, acts: Acts, seconds_ago: float = 0.0) -> Act:
    """The act of answering a request, which another program may have caused."""
    named = find_header(scope["headers"], b"traceparent")
    return acts.begin(traceparent="" if named is None else named.decode("latin-1"), seconds_ago=seconds_ago)


def _end(request: IncomingRequest, status: int) -> None:
    if request.has_signal:
        request.ended(client_has_gone=status == CLIENT_CLOSED_REQUEST)


def _raised(error: HandlerError | NotLoaded | HandlerMissing) -> BaseException | None:
    """What worker code raised, if it did."""
    return error.__cause__ if isinstance(error, HandlerError) else None


def _at_origin(origin: str, scope: Scope, send: Send) -> tuple[Scope, Send]:
    from emulator.server.origin import answered_here, seen_at

    return seen_at(origin, scope), answered_here(origin, scope, send)


def _explain(scope: Scope, request: IncomingRequest, error: HandlerError | NotLoaded | HandlerMissing) -> Response:
    """The answer to a request that the worker did not answer. Code is only shown on this machine."""
    if isinstance(error, HandlerMissing):
        return Response(f"{error}\n", status=500)
    heading = "The worker's code failed to load" if isinstance(error, NotLoaded) else "The worker raised an exception"
    if not is_within_this_machine(scope):
        return Response(f"{heading}\n\n{error.failure.summary}\n", status=500)
    return _failure_answer(request, error.failure, heading)


async def _has_left(request: IncomingRequest) -> bool:
    """Whether the client has gone away already."""
    leaving = asyncio.ensure_future(request.client_gone())
    await asyncio.sleep(0)
    left = leaving.done()
    leaving.cancel()
    return left


async def _stream(request: IncomingRequest, response: FetchResponse, send: Send) -> bool:
    """Send a streaming answer until it ends or the client goes away, which ends the worker's stream. Returns whether
    the client stayed."""
    sending = asyncio.ensure_future(_send_all(request, response, send))
    leaving = asyncio.ensure_future(request.client_gone())
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
            return True
        return False
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.wait((sending, leaving))


async def _send_all(request: IncomingRequest, response: FetchResponse, send: Send) -> None:
    if isinstance(response, Upgrade):
        await send({"type": "emulator.websocket", "headers": response.raw_headers, "end": response.end})
    else:
        await send_response(response, send)
    request.ended(client_has_gone=False)  # here, as from now on the server says that the client has gone


def _failure_answer(request: IncomingRequest, failure: Failure, heading: str) -> Response:
    """A page for a browser, plain text for everything else; status 500."""
    if "text/html" in (request.headers.get("accept") or ""):
        from emulator.server.error_page import content_policy, render_error_page

        page = render_error_page(failure, heading, f"{request.method} {request.url}", request.headers.items())
        headers = {"content-type": "text/html;charset=UTF-8", "content-security-policy": content_policy()}
        return Response(page, status=500, headers=headers)
    return Response(f"{heading}\n\n{failure.text}\n", status=500)
