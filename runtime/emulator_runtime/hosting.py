"""The door of the runtime for everything that is not worker code: hosts, bindings, servers, the testing kit.

Nobody outside of the runtime imports another module of it; what worker code may import is a table in the host's loader.
Each name is imported when it is first asked for, so that a command that reads one value of a queue does not load all of
what a worker sees.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from emulator_runtime.errors import BodyUsedError, NotEmulated
    from emulator_runtime.http import request_from_scope, send_response
    from emulator_runtime.incoming import IncomingRequest
    from emulator_runtime.integers import to_int32
    from emulator_runtime.invocation import Context, Invocation, Scope, current
    from emulator_runtime.raw_headers import RawHeaders, find_header
    from emulator_runtime.streams import ReadableStream, as_bytes, close_source, read_all
    from emulator_runtime.text import well_formed
    from emulator_runtime.values import Record, to_record
    from emulator_runtime.workers.entrypoints import WorkerEntrypoint
    from emulator_runtime.workers.queue import BatchMetrics, Decisions, Message, MessageBatch
    from emulator_runtime.workers.request import Request
    from emulator_runtime.workers.response import NULL_BODY_STATUSES, FetchResponse, Response
    from emulator_runtime.workers.scheduled import ScheduledController

__all__ = [
    "NULL_BODY_STATUSES",
    "BatchMetrics",
    "BodyUsedError",
    "Context",
    "Decisions",
    "FetchResponse",
    "IncomingRequest",
    "Invocation",
    "Message",
    "MessageBatch",
    "NotEmulated",
    "RawHeaders",
    "ReadableStream",
    "Record",
    "Request",
    "Response",
    "ScheduledController",
    "Scope",
    "WorkerEntrypoint",
    "as_bytes",
    "close_source",
    "current",
    "find_header",
    "read_all",
    "request_from_scope",
    "send_response",
    "to_int32",
    "to_record",
    "well_formed",
]

_HOMES: Final = {
    "errors": ("BodyUsedError", "NotEmulated"),
    "http": ("request_from_scope", "send_response"),
    "incoming": ("IncomingRequest",),
    "integers": ("to_int32",),
    "invocation": ("Context", "Invocation", "Scope", "current"),
    "raw_headers": ("RawHeaders", "find_header"),
    "streams": ("ReadableStream", "as_bytes", "close_source", "read_all"),
    "text": ("well_formed",),
    "values": ("Record", "to_record"),
    "workers.entrypoints": ("WorkerEntrypoint",),
    "workers.queue": ("BatchMetrics", "Decisions", "Message", "MessageBatch"),
    "workers.request": ("Request",),
    "workers.response": ("NULL_BODY_STATUSES", "FetchResponse", "Response"),
    "workers.scheduled": ("ScheduledController",),
}
"""Which module of the runtime each name is imported from."""


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"emulator_runtime.{module}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
