"""The control plane: what answers under `/cdn-cgi/`, which production reserves too. Served by Starlette."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import time

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from emulator.base.bus import Notice
from emulator.hosts.host import HandlerError, HandlerMissing, NotLoaded, WorkerHost
from emulator.hosts.triggers import ScheduledTrigger
from emulator.server.addresses import API_PREFIX, CRONS_ADDRESS, EMAIL_ADDRESS, METRICS_ADDRESS, SCHEDULED_ADDRESS
from emulator.server.app import SCHEDULED_PATH
from emulator.server.control.api.routes import make_api, rest_parts
from emulator.server.control.guard import Guard
from emulator.server.control.metrics import MetricsPage
from emulator.session.session import Session


def make_control(
    session: Session, token: str = "", bound_host: str = "localhost", routes_beside: Sequence[Route] = ()
) -> ASGIApp:
    """The control plane of a session as an ASGI application, together with `routes_beside`, behind its guard, which
    uses `token` and `bound_host`. `scope["emulator.worker"]` is the worker that a request is for."""
    routes: list[Route | Mount] = [
        *routes_beside,
        Route(SCHEDULED_ADDRESS, partial(_scheduled, session, "ok"), methods=["GET", "POST"]),
        Route(SCHEDULED_PATH, partial(_scheduled, session, "Ran scheduled event"), methods=["GET", "POST"]),
        Route(EMAIL_ADDRESS, partial(_email, session), methods=["POST"]),
        Route(CRONS_ADDRESS, partial(_crons, session)),
        Route(METRICS_ADDRESS, MetricsPage(session).answer),
        Mount(API_PREFIX, make_api(session)),
    ]
    addresses = [f"{SCHEDULED_ADDRESS}?cron=", *(f"{API_PREFIX}{part.root}" for part in rest_parts(session))]
    text = f"These addresses are answered: {', '.join(addresses[:-1])} and {addresses[-1]}\n"
    control = Starlette(routes=routes, exception_handlers={HTTPException: partial(_http_error, text)})
    return Guard(control, token, bound_host)


async def _crons(session: Session, _request: Request) -> Response:
    """The crons of the workers: a list of `worker` and `crons`, which lists `cron` and `next`: when it is due, in
    milliseconds since the epoch, or null."""
    from emulator.config.cron import parse  # most workers have none

    now = session.clock.now()
    listed = []
    for config in session.configs:
        due = [(cron, parse(cron).next_after(now)) for cron in config.crons]
        crons = [{"cron": cron, "next": None if when is None else round(when * 1000)} for cron, when in due]
        listed.append({"worker": config.name, "crons": crons})
    return JSONResponse(listed)


async def _scheduled(session: Session, done: str, request: Request) -> Response:
    """Run the `scheduled` handler, and answer `done`. `?cron=` names the trigger (empty if absent), and `?time=` is the
    time at which it was due, in milliseconds since the epoch (now if absent)."""
    host: WorkerHost = request.scope["emulator.worker"]
    cron = request.query_params.get("cron", "")
    given = request.query_params.get("time")
    try:
        scheduled_time_ms = int(time() * 1000) if given is None else int(given)
    except ValueError:
        return PlainTextResponse(f"?time= takes milliseconds since the epoch, not {given!r}\n", 400)
    if cron and cron not in host.config.crons:
        session.bus.publish(Notice("warning", _undeclared(cron, host), host.config.name))
    try:
        await host.invoke("", ScheduledTrigger(cron, scheduled_time_ms))
    except (HandlerError, HandlerMissing, NotLoaded) as error:
        return _failed(error)
    return PlainTextResponse(done)


async def _email(session: Session, request: Request) -> Response:
    """Run the `email` handler with the body, a message as MIME, from `?from=` to `?to=`, and say what became of it."""
    from emulator.session.email import deliver_email  # few workers have the handler

    host: WorkerHost = request.scope["emulator.worker"]
    sender, recipient = request.query_params.get("from"), request.query_params.get("to")
    raw = await request.body()
    if not sender or not recipient or not raw:
        return PlainTextResponse("?from= and ?to= take addresses, and the body takes a message as MIME\n", 400)
    try:
        message = await deliver_email(session.open_kinds, host, sender, recipient, raw)
    except ValueError as error:
        return PlainTextResponse(f"{error}\n", 400)
    except (HandlerError, HandlerMissing, NotLoaded) as error:
        return _failed(error)
    if message.rejected is not None:
        return PlainTextResponse(f"Worker rejected email with the following reason: {message.rejected}", 400)
    return PlainTextResponse("Worker successfully processed email")


def _failed(error: HandlerError | HandlerMissing | NotLoaded) -> Response:
    """The answer to somebody who has had a handler run that failed."""
    if isinstance(error, HandlerError):
        return PlainTextResponse(f"exception\n\n{error.failure.text}\n", 500)
    if isinstance(error, NotLoaded):
        return PlainTextResponse(f"The worker's code failed to load\n\n{error.failure.text}\n", 500)
    return PlainTextResponse(f"{error}\n", 500)


def _undeclared(cron: str, host: WorkerHost) -> str:
    declared = ", ".join(host.config.crons) or "none"
    return f"cron {cron} runs by hand only: {host.config.path.name} does not declare it (triggers.crons: {declared})"


async def _http_error(there_are: str, request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    text = f"{status}: nothing answers {request.method} {request.url.path}. {there_are}"
    return PlainTextResponse(text, status, {"x-content-type-options": "nosniff"})
