"""The service that the queue bindings of JavaScript workers speak to: workerd's requests in, answers of the queues out.

One server answers one worker, on a Unix socket, and each request names its binding. It is a protocol on bare
connections, without an HTTP framework: a worker that sends waits for it.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, cast

import msgspec

from emulator.config.model import Producer
from emulator.hosts.workerd.configuration import BINDING_HEADER
from emulator.hosts.workerd.connection import Connection, Headers
from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.queues.message import Backlog, NewMessage
from emulator.queues.service import Queues
from emulator.wire.codec import CONTENT_TYPES, ContentType

_BINDING: Final = BINDING_HEADER.encode()
_DEFAULT_TYPE: Final = "v8"


class _BatchEntry(msgspec.Struct, gc=False):
    body: str
    contentType: str = _DEFAULT_TYPE  # noqa: N815 - workerd's name
    delaySecs: int | None = None  # noqa: N815


class _Batch(msgspec.Struct, gc=False):
    messages: list[_BatchEntry]


_read_batch: Final = msgspec.json.Decoder(_Batch).decode


class QueueService:
    """Answers the queue bindings of the worker `worker`."""

    def __init__(self, queues: Queues, worker: str) -> None:
        self._queues = queues
        self._worker = worker
        self._producers: dict[str, Producer] = {}
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._answering: set[asyncio.Task[None]] = set()

    def set_producers(self, producers: Iterable[Producer]) -> None:
        """What the worker's bindings are from now on."""
        self._producers = {producer.binding: producer for producer in producers}

    async def start(self, path: Path) -> None:
        """Listen on the Unix socket `path`."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Connection(self._requested, self._connections), str(path))

    def close(self) -> None:
        """Stop listening, and drop what is connected."""
        if self._server is not None:
            self._server.close()
        for answering in self._answering:
            answering.cancel()
        for connection in list(self._connections):
            connection.close()

    def _requested(self, connection: Connection, url: str, headers: Headers, body: bytes) -> None:
        answering = asyncio.get_running_loop().create_task(self._respond(connection, url, headers, body))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)

    async def _respond(self, connection: Connection, url: str, headers: Headers, body: bytes) -> None:
        connection.transport.write(await self.answer(url, {name.lower(): value for name, value in headers}, body))

    async def answer(self, path: str, headers: Mapping[bytes, bytes], body: bytes) -> bytes:
        """The whole answer to one request."""
        try:
            producer = self._producers[headers[_BINDING].decode()]
            if path == "/metrics":
                return _answer(_metrics(await self._queues.backlog(producer.queue)))
            delay = _delay(headers.get(b"x-msg-delay-secs"))
            if path == "/message":
                content_type = _content_type(headers.get(b"x-msg-fmt", b"v8").decode("latin-1"))
                metrics = await self._send(producer, [NewMessage(body, content_type, delay)], None)
            else:
                entries = _read_batch(body).messages
                outgoing = [
                    NewMessage(b64decode(entry.body), _content_type(entry.contentType), entry.delaySecs)
                    for entry in entries
                ]
                metrics = await self._send(producer, outgoing, delay)
            return _answer(b'{"metadata":{"metrics":%b}}' % _metrics(metrics))
        except QueueError as error:
            return _refusal(error)
        except (KeyError, ValueError) as error:  # msgspec's errors are ValueErrors
            return _refusal(QueueError(QueueErrorCode.UNKNOWN_INTERNAL_ERROR, f"the request is damaged: {error}"))

    async def _send(self, producer: Producer, messages: list[NewMessage], batch_delay: int | None) -> Backlog:
        return await self._queues.send(
            producer.queue,
            messages,
            source=self._worker,
            batch_delay_seconds=batch_delay,
            producer_delay_seconds=producer.delivery_delay,
        )


def _content_type(name: str) -> ContentType:
    if name not in CONTENT_TYPES:
        raise QueueError(QueueErrorCode.MESSAGE_METADATA_INVALID, f"there is no content type {name!r}")
    return cast("ContentType", name)


def _delay(value: bytes | None) -> int | None:
    return None if value is None else int(value)


def _metrics(metrics: Backlog) -> bytes:
    oldest = metrics.oldest_message_timestamp
    return b'{"backlogCount":%d,"backlogBytes":%d,"oldestMessageTimestamp":%d}' % (
        metrics.backlog_count,
        metrics.backlog_bytes,
        0 if oldest is None else round(oldest * 1000),
    )


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _refusal(error: QueueError) -> bytes:
    """An answer whose cause and code workerd puts into the error that it throws; its status line says the cause too,
    which is what workers without error codes are shown."""
    cause = " ".join(error.cause.split()).encode("ascii", "replace")
    return (
        b"HTTP/1.1 400 %b\r\nCF-Queues-Error-Code: %d\r\nCF-Queues-Error-Cause: %b\r\nContent-Length: 0\r\n\r\n"
    ) % (cause, int(error.code), cause)
