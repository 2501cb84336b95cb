"""The control plane: what answers under `/cdn-cgi/`, which production reserves too. Served by Starlette."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import perf_counter, time

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from emulator.base.bus import Bus
from emulator.hosts.events import ScheduledFinished
from emulator.hosts.host import HandlerError, HandlerMissing, Host, NotLoaded
from emulator.server.addresses import API_PREFIX


def make_control(bus: Bus, api: ASGIApp | None = None, routes_beside: Sequence[Route] = ()) -> Starlette:
    """The control plane as an ASGI application, with the REST API if there is one, and with `routes_beside` it. The
    worker that a request is for is in `scope["emulator.worker"]`."""
    routes: list[Route | Mount] = [
        Route("/cdn-cgi/handler/scheduled", partial(_scheduled, bus), methods=["GET", "POST"]),
        *routes_beside,
    ]
    if api is not None:
        routes.append(Mount(API_PREFIX, api))
    return Starlette(routes=routes, exception_handlers={HTTPException: _http_error})


async def _scheduled(bus: Bus, request: Request) -> Response:
    """Run the `scheduled` handler: `?cron=` names the trigger (empty if absent), and `?time=` is the time at which it
    was due, in milliseconds since the epoch (now if absent)."""
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
        return PlainTextResponse(f"The worker's code failed to load\n\n{error.failure.text}\n", 500)
    except HandlerMissing as error:
        return PlainTextResponse(f"{error}\n", 500)
    bus.publish(ScheduledFinished(host.config.name, cron, outcome, perf_counter() - started))
    return answer


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    text = (
        f"{status}: nothing answers {request.method} {request.url.path}. These addresses are answered: "
        f"/cdn-cgi/handler/scheduled?cron= and {API_PREFIX}/accounts/ACCOUNT/queues\n"
    )
    return PlainTextResponse(text, status)
