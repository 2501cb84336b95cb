"""The interface of the runtime for everything except worker code: hosts, bindings, servers and the testing kit.

No code outside the runtime imports its other modules, except worker code, whose loader has a table of what it may
import. Each name is imported when it is first used, so that a command that reads one value from a queue does not load
everything that a worker sees.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from emulator_runtime.buffers import bytes_of
    from emulator_runtime.errors import BodyUsedError, NotEmulated
    from emulator_runtime.http import request_from_scope, send_response
    from emulator_runtime.incoming import IncomingRequest
    from emulator_runtime.integers import to_int32
    from emulator_runtime.invocation import Context, Invocation, Scope, current
    from emulator_runtime.js.web_socket import WebSocket
    from emulator_runtime.pyodide.ffi import JsException
    from emulator_runtime.raw_headers import RawHeaders, find_header
    from emulator_runtime.streams import ReadableStream, as_bytes, close_source, read_all
    from emulator_runtime.text import well_formed
    from emulator_runtime.values import AttributeDict, to_attribute_dict
    from emulator_runtime.web_socket_pipe import Closing, End, Item, Lost
    from emulator_runtime.workers.blob import Blob
    from emulator_runtime.workers.email import EmailMessage, ForwardableEmailMessage
    from emulator_runtime.workers.entrypoints import WorkerEntrypoint
    from emulator_runtime.workers.headers import Headers
    from emulator_runtime.workers.queue import BatchMetrics, Decisions, Message, MessageBatch
    from emulator_runtime.workers.request import Request
    from emulator_runtime.workers.response import NULL_BODY_STATUSES, FetchResponse, Response, Upgrade
    from emulator_runtime.workers.scheduled import ScheduledController

__all__ = [
    "NULL_BODY_STATUSES",
    "AttributeDict",
    "BatchMetrics",
    "Blob",
    "BodyUsedError",
    "Closing",
    "Context",
    "Decisions",
    "EmailMessage",
    "End",
    "FetchResponse",
    "ForwardableEmailMessage",
    "Headers",
    "IncomingRequest",
    "Invocation",
    "Item",
    "JsException",
    "Lost",
    "Message",
    "MessageBatch",
    "NotEmulated",
    "RawHeaders",
    "ReadableStream",
    "Request",
    "Response",
    "ScheduledController",
    "Scope",
    "Upgrade",
    "WebSocket",
    "WorkerEntrypoint",
    "as_bytes",
    "bytes_of",
    "close_source",
    "current",
    "find_header",
    "read_all",
    "request_from_scope",
    "send_response",
    "to_attribute_dict",
    "to_int32",
    "well_formed",
]

_HOMES: Final = {
    "buffers": ("bytes_of",),
    "errors": ("BodyUsedError", "NotEmulated"),
    "http": ("request_from_scope", "send_response"),
    "incoming": ("IncomingRequest",),
    "integers": ("to_int32",),
    "invocation": ("Context", "Invocation", "Scope", "current"),
    "js.web_socket": ("WebSocket",),
    "pyodide.ffi": ("JsException",),
    "raw_headers": ("RawHeaders", "find_header"),
    "streams": ("ReadableStream", "as_bytes", "close_source", "read_all"),
    "text": ("well_formed",),
    "values": ("AttributeDict", "to_attribute_dict"),
    "web_socket_pipe": ("Closing", "End", "Item", "Lost"),
    "workers.blob": ("Blob",),
    "workers.email": ("EmailMessage", "ForwardableEmailMessage"),
    "workers.entrypoints": ("WorkerEntrypoint",),
    "workers.headers": ("Headers",),
    "workers.queue": ("BatchMetrics", "Decisions", "Message", "MessageBatch"),
    "workers.request": ("Request",),
    "workers.response": ("NULL_BODY_STATUSES", "FetchResponse", "Response", "Upgrade"),
    "workers.scheduled": ("ScheduledController",),
}
"""Which module of the runtime each name is imported from."""


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"emulator_runtime.{module}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
