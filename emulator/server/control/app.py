"""The control plane: what answers under `/cdn-cgi/`, which production reserves too. Served by Starlette."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import time

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from emulator.hosts.host import HandlerError, HandlerMissing, NotLoaded, WorkerHost
from emulator.hosts.triggers import ScheduledTrigger
from emulator.server.addresses import API_PREFIX
from emulator.server.app import SCHEDULED_PATH
from emulator.server.control.api.routes import make_api, rest_parts
from emulator.server.control.guard import Guard
from emulator.session.session import Session


def make_control(
    session: Session, token: str = "", bound_host: str = "localhost", routes_beside: Sequence[Route] = ()
) -> ASGIApp:
    """The control plane of a session as an ASGI application, together with `routes_beside`, behind its guard, which
    uses `token` and `bound_host`. `scope["emulator.worker"]` is the worker that a request is for."""
    routes: list[Route | Mount] = [
        Route("/cdn-cgi/handler/scheduled", partial(_scheduled, "ok"), methods=["GET", "POST"]),
        Route(SCHEDULED_PATH, partial(_scheduled, "Ran scheduled event"), methods=["GET", "POST"]),
        *routes_beside,
        Mount(API_PREFIX, make_api(session)),
    ]
    addresses = ["/cdn-cgi/handler/scheduled?cron=", *(f"{API_PREFIX}{part.root}" for part in rest_parts(session))]
    text = f"These addresses are answered: {', '.join(addresses[:-1])} and {addresses[-1]}\n"
    control = Starlette(routes=routes, exception_handlers={HTTPException: partial(_http_error, text)})
    return Guard(control, token, bound_host)


async def _scheduled(done: str, request: Request) -> Response:
    """Run the `scheduled` handler, and answer `done`. `?cron=` names the trigger (empty if absent), and `?time=` is the
    time at which it was due, in milliseconds since the epoch (now if absent)."""
    host: WorkerHost = request.scope["emulator.worker"]
    cron = request.query_params.get("cron", "")
    given = request.query_params.get("time")
    try:
        scheduled_time_ms = int(time() * 1000) if given is None else int(given)
    except ValueError:
        return PlainTextResponse(f"?time= takes milliseconds since the epoch, not {given!r}\n", 400)
    try:
        await host.invoke("", ScheduledTrigger(cron, scheduled_time_ms))
    except HandlerError as error:
        return PlainTextResponse(f"exception\n\n{error.failure.text}\n", 500)
    except NotLoaded as error:
        return PlainTextResponse(f"The worker's code failed to load\n\n{error.failure.text}\n", 500)
    except HandlerMissing as error:
        return PlainTextResponse(f"{error}\n", 500)
    return PlainTextResponse(done)


async def _http_error(there_are: str, request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return PlainTextResponse(f"{status}: nothing answers {request.method} {request.url.path}. {there_are}", status)
