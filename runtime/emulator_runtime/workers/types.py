"""The module `workers.types` of worker code: names for annotations, which only type checkers look at."""

from __future__ import annotations

from typing import Any, TypedDict

from emulator_runtime.errors import no_attribute
from emulator_runtime.invocation import Context
from emulator_runtime.workers.headers import Headers

__all__ = ["Body", "Context", "FetchKwargs", "Headers", "JSBody", "RequestInitCfProperties"]

Body = Any
JSBody = Any
RequestInitCfProperties = dict[str, Any]


class FetchKwargs(TypedDict, total=False):
    """The options of `fetch`."""

    method: str
    headers: Any
    body: Body
    redirect: str | None
    cf: RequestInitCfProperties | None
    fetcher: Any
    signal: Any
    cache: Any
    credentials: Any
    integrity: Any
    keepalive: Any
    mode: Any
    referrer: Any


__getattr__ = no_attribute("workers.types")
