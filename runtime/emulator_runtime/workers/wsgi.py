"""Runs WSGI applications (Django, Flask, ...) in a worker: `wsgi.fetch` answers a request with one.

The application runs inside the handler. What it has to wait for, such as the request's body, it waits for with
`run_sync`, so that everything else goes on. Bodies stream in both directions.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from emulator_runtime import invocation
from emulator_runtime.pyodide.ffi import run_sync
from emulator_runtime.raw_headers import RawHeaders, encode_pairs, find_header
from emulator_runtime.streams import ReadableStream, ReadableStreamReader, as_bytes
from emulator_runtime.workers.request import Request
from emulator_runtime.workers.response import NULL_BODY_STATUSES, JsResponse, check_status

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_NOT_HTTP: Final = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
_logger = logging.getLogger("wsgi")


async def fetch(
    app: Application,
    req: Request,
    env: Any,
    ctx: invocation.Context | None = None,  # noqa: ARG001 - production's
) -> JsResponse:
    """The answer of `app` to `req`; returns when the answer begins. `env` is `environ["workers.env"]` for the
    application. An exception before the first piece of the answer is raised here, one after it breaks the body off."""
    body = req.body
    try:
        return process_request(app, req, env, b"" if body is None else io.BufferedReader(_Input(body)))
    except Exception as error:
        _logger.error("WSGI request failed: %s: %s", type(error).__name__, error)
        raise


def process_request(app: Application, req: Request, env: Any, body: bytes | io.BufferedIOBase) -> JsResponse:
    """The answer of `app` to `req` with another body."""
    environ = build_environ(req, env, body)
    upload = environ["wsgi.input"]
    started = _Start()
    try:
        result = app(environ, started.start_response)
    except BaseException:
        upload.close()
        raise
    answer = _Answer(result, upload, started.written)
    try:
        answer.advance()
        return started.response(answer, result)
    except BaseException:
        answer.close()
        raise


def build_environ(req: Request, env: Any, body: bytes | io.BufferedIOBase) -> dict[str, Any]:
    """The `environ` of PEP 3333 for `req`, whose strings have a character for each byte. `body` is the whole body, or
    what `wsgi.input` is to be."""
    url = urlsplit(req.url)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": req.raw_method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(url.path or "/").decode("latin-1"),
        "QUERY_STRING": url.query,
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": str(url.port or (443 if url.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": io.BytesIO(body) if isinstance(body, bytes) else body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "workers.env": env,
    }
    for name_bytes, value_bytes in req.raw_headers:
        name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
        key = _NOT_HTTP.get(name) or "HTTP_" + name.upper().replace("-", "_")
        environ[key] = f"{environ[key]}, {value}" if key in environ else value
    if body and isinstance(body, bytes) and "CONTENT_LENGTH" not in environ:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ


class _Start:
    """What the application says before the body: its call of `start_response`, and what it passed to `write`."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: RawHeaders = []
        self.written: list[bytes] = []

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[..., None]:
        """As in production, a second call always raises: the exception in `exc_info`, or AssertionError."""
        if self.status:
            if exc_info is not None:
                raise exc_info[1].with_traceback(exc_info[2])
            raise AssertionError("start_response() called more than once")
        self.status = status
        self.headers = encode_pairs(headers)
        return self._write

    def _write(self, chunk: bytes) -> None:
        if chunk:
            self.written.append(as_bytes(chunk))

    def response(self, answer: _Answer, result: Iterable[bytes]) -> JsResponse:
        """The response that streams `answer`, or has it in memory where that does not make anybody wait."""
        if not self.status:
            raise RuntimeError("The WSGI application did not call start_response()")
        code, _, reason = self.status.partition(" ")
        status = check_status(int(code))
        body: bytes | ReadableStream | None
        if status in NULL_BODY_STATUSES:
            answer.close()
            body = None
        else:
            length = find_header(self.headers, b"content-length")
            is_whole = isinstance(result, (list, tuple)) and len(result) <= 1
            if is_whole or (length is not None and length == b"%d" % answer.size):
                body = answer.rest()
            else:
                body = ReadableStream(answer)
        return JsResponse.of_parts(body, self.headers, status, reason)


class _Answer:
    """The body of an answer, as a source of a stream. What was written comes first, then what `result` yields."""

    def __init__(self, result: Iterable[bytes], upload: Any, written: list[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(result)
        self._result: Iterable[bytes] | None = result
        self._upload = upload
        self._ready = written
        self._has_ended = False

    @property
    def size(self) -> int:
        """The number of bytes that are there already."""
        return sum(map(len, self._ready))

    def advance(self) -> None:
        """Take the next piece that is not empty from the application, until which it may not have called
        `start_response`."""
        for chunk in self._chunks:
            if chunk:
                self._ready.append(as_bytes(chunk))
                return
        self._has_ended = True

    def rest(self) -> bytes:
        """Everything that has not been read yet."""
        while not self._has_ended:
            self.advance()
        self.close()
        return b"".join(self._ready)

    def close(self) -> None:
        """The application's part is over. Its `close()` is called once."""
        result, self._result = self._result, None
        if result is None:
            return
        self._has_ended = True
        try:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        except Exception:
            _logger.exception("The WSGI application raised an exception after its answer")
        finally:
            self._upload.close()

    def __aiter__(self) -> _Answer:
        return self

    async def __anext__(self) -> bytes:
        if not self._ready and not self._has_ended:
            try:
                self.advance()
            except BaseException:
                self.close()
                raise
        if self._ready:
            return self._ready.pop(0)
        self.close()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.close()


class _Input(io.RawIOBase):
    """The body of a request as a file. Reading waits for the chunk that is needed, and for no other."""

    def __init__(self, body: ReadableStream) -> None:
        self._reader: ReadableStreamReader | None = body.getReader()
        self._chunk = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._chunk and self._reader is not None:
            result = run_sync(self._reader.read())
            if result.done:
                self._reader.releaseLock()
                self._reader = None
            else:
                self._chunk = memoryview(result.value)
        size = min(len(buffer), len(self._chunk))
        buffer[:size] = self._chunk[:size]
        self._chunk = self._chunk[size:]
        return size

    def close(self) -> None:
        """Discard what has not been read."""
        reader, self._reader = self._reader, None
        if reader is not None:
            with suppress(Exception):
                run_sync(reader.cancel())
        super().close()
