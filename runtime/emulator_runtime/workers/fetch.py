"""`fetch()`: sends a request from a worker, through the `outbound` of the scope that the worker runs in."""

from __future__ import annotations

from typing import Unpack

from emulator_runtime import invocation
from emulator_runtime.url import URL
from emulator_runtime.workers.request import Request
from emulator_runtime.workers.response import Response
from emulator_runtime.workers.types import FetchKwargs


async def fetch(resource: Request | URL | str, **options: Unpack[FetchKwargs]) -> Response:
    """Send a request and return the response when its headers have arrived; the body streams.

    `resource` is an absolute URL or a `Request`; `options` are those of `Request`. Returns a response whatever its
    status, and raises `OSError` if there is none. Works only while a worker handles an event, not while its module is
    imported.
    """
    __tracebackhide__ = True  # tracebacks in tests end in the code that called this
    fetcher = options.pop("fetcher", None)
    request = resource if isinstance(resource, Request) and not options else Request(resource, **options)
    if request.url.startswith(("ws:", "wss:")):
        raise TypeError(f"Fetch API cannot load: {request.url}; a WebSocket has an address with http: or https: here")
    if fetcher is not None:
        return await fetcher(request)  # type: ignore[no-any-return]
    response: Response = await invocation.require_current("fetch()").scope.outbound(request)
    return response
