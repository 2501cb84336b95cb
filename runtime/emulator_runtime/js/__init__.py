"""The module `js` of worker code: the JavaScript globals that Python workers use.

Well-known names that are missing can be imported, and raise an error when they are used. Other names raise an error
when they are imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from emulator_runtime.errors import NotEmulated, NotEmulatedError
from emulator_runtime.invocation import current
from emulator_runtime.js.date import Date
from emulator_runtime.js.objects import JSON, Array, Object, console
from emulator_runtime.js.timers import clearTimeout, queueMicrotask, setTimeout
from emulator_runtime.streams import ReadableStream, TransformStream
from emulator_runtime.url import URL, URLSearchParams
from emulator_runtime.workers.blob import JsBlob as Blob
from emulator_runtime.workers.blob import JsFile as File
from emulator_runtime.workers.formdata import FormData
from emulator_runtime.workers.headers import Headers
from emulator_runtime.workers.request import JsRequest as Request
from emulator_runtime.workers.response import JsResponse as Response

__all__ = [
    "JSON",
    "URL",
    "Array",
    "Blob",
    "Date",
    "File",
    "FormData",
    "Headers",
    "Object",
    "ReadableStream",
    "Request",
    "Response",
    "TransformStream",
    "URLSearchParams",
    "caches",
    "clearTimeout",
    "console",
    "fetch",
    "queueMicrotask",
    "setTimeout",
    "undefined",
]

if TYPE_CHECKING:
    from emulator_runtime.js.cache_storage import CacheStorage

    caches: CacheStorage

undefined = None

_KNOWN = {
    "AbortController": "asyncio.timeout() ends what takes too long",
    "AbortSignal": "asyncio.timeout() ends what takes too long",
    "CompressionStream": "Python's gzip and zlib compress",
    "DecompressionStream": "Python's gzip and zlib decompress",
    "Env": "",
    "EventSource": "",
    "ExecutionContext": "",
    "Math": "Python's math does the same",
    "Promise": "asyncio.gather() and similar functions do the same",
    "connect": "",
    "performance": "time.perf_counter() does the same",
    "scheduler": "asyncio.sleep() does the same",
    "setInterval": "",
}

_RARE = {
    "AggregateError": "errors",
    "ArrayBuffer": "buffers",
    "BigInt64Array": "buffers",
    "BigUint64Array": "buffers",
    "CloseEvent": "event_target",
    "CryptoKey": "web_crypto",
    "DOMException": "errors",
    "DataView": "buffers",
    "Error": "errors",
    "ErrorEvent": "event_target",
    "EvalError": "errors",
    "Event": "event_target",
    "EventTarget": "event_target",
    "Float16Array": "buffers",
    "Float32Array": "buffers",
    "Float64Array": "buffers",
    "HTMLRewriter": "html.rewriter",
    "Int16Array": "buffers",
    "Int32Array": "buffers",
    "Int8Array": "buffers",
    "Map": "collections",
    "MessageEvent": "event_target",
    "Number": "number",
    "RangeError": "errors",
    "ReferenceError": "errors",
    "RegExp": "regexp",
    "Set": "collections",
    "SyntaxError": "errors",
    "TextDecoder": "text_coding",
    "TextEncoder": "text_coding",
    "TypeError": "errors",
    "URIError": "errors",
    "Uint16Array": "buffers",
    "Uint32Array": "buffers",
    "Uint8Array": "buffers",
    "Uint8ClampedArray": "buffers",
    "WebSocket": "web_socket",
    "WebSocketPair": "web_socket",
    "crypto": "web_crypto",
    "structuredClone": "clone",
}
"""Names that few workers use, and the modules here that they are imported from when they are."""


_OF_HOST = {"caches": ("cache_storage", "CacheStorage")}
"""Names whose values depend on the worker: modules here with classes, which are given what the host has for them."""


async def fetch(resource: Any, options: Any = None, **keywords: Any) -> Response:
    """Call `fetch(url, {"method": "POST", ...})`, or with the options as keywords."""
    from emulator_runtime.workers.fetch import fetch as workers_fetch

    request = Request.new(resource, options, **keywords) if options or keywords else resource
    return Response.over(await workers_fetch(request))


def __getattr__(name: str) -> Any:
    if name.startswith("__") and name.endswith("__"):
        raise AttributeError(f"module 'js' has no attribute {name!r}")
    if name in _RARE:
        value = globals()[name] = getattr(import_module(f"emulator_runtime.js.{_RARE[name]}"), name)
        return value
    if name in _OF_HOST:
        module, kind = _OF_HOST[name]
        running = current.get(None)
        behind = None if running is None else running.scope.for_js.get(name)
        if behind is None:
            return NotEmulated(f"js.{name}", "it is there while a worker runs")
        return getattr(import_module(f"emulator_runtime.js.{module}"), kind)(behind)
    if name in _KNOWN:
        return NotEmulated(f"js.{name}", _KNOWN[name])
    raise NotEmulatedError.of(f"js.{name}", f"js has {', '.join(sorted((*__all__, *_RARE)))}")
