"""The control plane: what answers under `/cdn-cgi/`, which production reserves too. Served by Starlette."""

from __future__ import annotations

from functools import partial
from time import perf_counter, time

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from emulator.events import Bus, ScheduledFinished
from emulator.hosts.base import HandlerError, HandlerMissing, Host, NotLoaded


def make_control(bus: Bus) -> Starlette:
    """The control plane as an ASGI application. The worker that a request is for is in `scope["emulator.worker"]`."""
    return Starlette(
        routes=[Route("/cdn-cgi/handler/scheduled", partial(_scheduled, bus), methods=["GET", "POST"])],
        exception_handlers={HTTPException: _http_error},
    )


async def _scheduled(bus: Bus, request: Request) -> Response:
    """Run the `scheduled` handler: `?cron=` names the trigger (empty when absent), `?time=` the milliseconds since the
    epoch that it was due (now when absent)."""
    host: Host = request.scope["emulator.worker"]
    cron = request.query_params.get("cron", "")
    given = request.query_params.get("time")
    try:
        scheduled_time_ms = int(time() * 1000) if given is None else int(given)
    except ValueError:
        return PlainTextResponse(f"?time= takes milliseconds since the epoch, not {given!r}\n", 400)
    started = perf_counter()
    outcome, answer = "ok", PlainTextResponse("ok")
    try:
        await host.scheduled(cron, scheduled_time_ms)
    except HandlerError as error:
        outcome, answer = "exception", PlainTextResponse(f"exception\n\n{error.failure.text}\n", 500)
    except NotLoaded as error:
        return PlainTextResponse(f"The worker's code does not load\n\n{error.failure.text}\n", 500)
    except HandlerMissing as error:
        return PlainTextResponse(f"{error}\n", 500)
    bus.publish(ScheduledFinished(host.config.name, cron, outcome, perf_counter() - started))
    return answer


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    text = f"{status}: nothing answers {request.method} {request.url.path}. There is /cdn-cgi/handler/scheduled?cron=\n"
    return PlainTextResponse(text, status)
