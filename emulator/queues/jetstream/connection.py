"""The connection to a NATS server, and what is asked of JetStream there: the one module that uses nats-py."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from ssl import SSLCertVerificationError
from time import time
from typing import Any, Final, TypeVar

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from emulator.base.bus import Level
from emulator.base.errors import EmulatorError
from emulator.queues.jetstream.address import Address
from emulator.queues.jetstream.errors import MESSAGE_NOT_FOUND, RefusedError, UnreachableError

OLDEST_SERVER: Final = (2, 12)
REQUEST_SECONDS: Final = 5.0
CONFIRM_SECONDS: Final = 2.0
CONNECT_SECONDS: Final = 3.0
RETRY_SECONDS: Final = 0.5
ACCOUNT_HAS_NO_JETSTREAM: Final = 10039
SCAN_COUNT: Final = 500
"""How many messages are read with one request."""

BATCHES_AT_ONCE: Final = 8
"""How many atomic batches a session has under way: the server allows 50 for each stream, from all sessions."""

MAX_ATOMIC: Final = 500
"""How many messages are published all or none; the server allows 1,000."""

_REFUSALS: Final = ("authori", "authenti")
"""What is in the words of a server that does not let us in."""

R = TypeVar("R")

Tell = Callable[[Level, str], None]
"""Tells the user something in one sentence."""

Headers = Mapping[str, str]


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A message to publish. The value of the header `padded` is made longer with dots until all headers, as they are
    sent, have `size` bytes; 0 leaves them as they are."""

    subject: str
    payload: bytes
    headers: dict[str, str]
    padded: str = ""
    size: int = 0


class PublishAck(msgspec.Struct, frozen=True, gc=False):
    """Where a message is, and whether one with the same `Nats-Msg-Id` was there before, which it is then."""

    seq: int
    duplicate: bool = False


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A message in a stream."""

    seq: int
    subject: str
    headers: Headers
    payload: bytes


class Delivered(msgspec.Struct, frozen=True, gc=False):
    """What the server says of a delivery in the subject that it is to be acked at: how often it has delivered the
    message, the sequence of the message in its stream and of the delivery in its consumer, when the message was stored,
    in seconds since the epoch, and how many wait behind it."""

    deliveries: int
    seq: int
    number: int
    at: float
    pending: int


class _ApiError(msgspec.Struct, gc=False):
    description: str = ""
    err_code: int = 0


class _Reply(msgspec.Struct, gc=False):
    """What the answers to publishing have in common."""

    error: _ApiError | None = None
    seq: int = 0
    duplicate: bool = False


_decode_reply = msgspec.json.Decoder(_Reply).decode


class Connection:
    """A connection to the servers of `address`, which is made again when it is lost. `tell` is told of that.

    `pace` is how many seconds of the server a second of the queues' clock takes: 1, but for a test that moves its
    clock. Requests raise UnreachableError if the server does not answer, and RefusedError if it answers with an error.
    """

    def __init__(self, address: Address, tell: Tell, *, pace: float = 1.0) -> None:
        self.address = address
        self.pace = pace
        self.returned: list[Callable[[], None]] = []
        """Called when the connection is there again after it was lost."""
        self._tell = tell
        self._client = Client()
        self._offset = 0.0
        self._inbox = ""
        self._asked: dict[str, asyncio.Future[Msg]] = {}
        self._waiting: set[asyncio.Future[Any]] = set()
        self._batches = asyncio.Semaphore(BATCHES_AT_ONCE)
        self._count = 0

    @property
    def is_up(self) -> bool:
        """Whether the server can be asked something now, as far as is known."""
        return self._client.is_connected

    @property
    def max_payload(self) -> int:
        """How many bytes a message may have, headers included."""
        return self._client.max_payload

    async def open(self) -> None:
        """Connect, and try for as long as the servers do not answer. Raises EmulatorError if they cannot be used."""
        address, told = self.address, False
        while not await self._try_to_connect():
            if not told:
                self._tell("warning", f"The queue engine at {address} does not answer; it is tried again until it does")
            told = True
            await asyncio.sleep(RETRY_SECONDS)
        self._inbox = self.inbox()
        await self.subscribe(f"{self._inbox}.*", self._answered)
        await self._check_server()
        self._tell("info", f"Queues are kept in the NATS server at {address}, under the prefix {address.prefix}")

    def report(self, error: Exception) -> None:
        """Tell of an error of ours, which nobody else sees."""
        self._tell("error", f"The queue engine has failed: {error!r}")

    async def close(self) -> None:
        """Close the connection. Nothing that is under way is waited for."""
        self.returned.clear()
        if not self._client.is_closed:
            with suppress(Exception):  # a connection that ends badly has ended, too
                await self._client.close()

    def now(self) -> float:
        """The time of the server, in seconds since the epoch."""
        return time() + self._offset

    async def set_time(self, stream: str) -> None:
        """Learn how far the clock of this machine is from that of the server."""
        before = time()
        told = (await self.api(f"STREAM.INFO.{stream}"))["ts"]
        self._offset = epoch(told) - (before + time()) / 2

    async def api(self, name: str, body: object = None) -> dict[str, Any]:
        """Ask the JetStream API."""
        payload = b"" if body is None else json.dumps(body).encode()
        answer: dict[str, Any] = json.loads((await self._request(f"$JS.API.{name}", payload)).data)
        error = answer.get("error")
        if error is not None:
            raise RefusedError(error.get("err_code", 0), error.get("description", "no reason given"))
        return answer

    async def publish(self, message: Outgoing) -> PublishAck:
        """Publish a message, and wait until it is stored."""
        self._finish(message)
        return self._published(await self._request(message.subject, message.payload, message.headers))

    async def publish_all(self, messages: Sequence[Outgoing]) -> None:
        """Publish at most MAX_ATOMIC messages to one stream, all or none."""
        if len(messages) <= 1:
            for message in messages:
                await self.publish(message)
            return
        self._count += 1
        batch = f"{id(self) % 10**6:06}{self._count % 10**9:09}"
        for number, message in enumerate(messages, 1):
            message.headers["Nats-Batch-Id"] = batch
            message.headers["Nats-Batch-Sequence"] = str(number)
        messages[-1].headers["Nats-Batch-Commit"] = "1"
        for message in messages:
            self._finish(message)
        async with self._batches:
            for message in messages[:-1]:
                await self._send(message.subject, message.payload, headers=message.headers)
            last = messages[-1]
            self._published(await self._request(last.subject, last.payload, last.headers))

    async def confirm(self, reply: str) -> bool:
        """Acknowledge a delivery, and wait until the server has taken note. Returns False if it says nothing, which is
        so when it has forgotten the delivery because it was killed just then."""
        try:
            await self._request(reply, b"+ACK", seconds=CONFIRM_SECONDS)
        except UnreachableError:
            if not self.is_up:
                raise
            return False
        return True

    async def tell_delivery(self, reply: str, payload: bytes) -> None:
        """Say something about a delivery, and do not wait."""
        await self._send(reply, payload)

    async def ask(self, subject: str, body: object, reply: str) -> None:
        """Ask for something that arrives at `reply`."""
        await self._send(subject, json.dumps(body).encode(), reply)

    async def subscribe(self, subject: str, receive: Callable[[Msg], Awaitable[None]]) -> Subscription:
        """Receive what arrives at a subject."""
        if not self.is_up:
            raise self._away()
        try:
            return await self._client.subscribe(
                subject, cb=receive, pending_msgs_limit=2**20, pending_bytes_limit=2**30
            )
        except (nats.errors.Error, OSError):
            raise self._away() from None

    async def drain(self, subscription: Subscription) -> None:
        """End a subscription. When this returns, everything that the server has sent to it has been received."""
        with suppress(nats.errors.Error, asyncio.TimeoutError, OSError):  # with the connection it ends by itself
            await subscription.drain()  # type: ignore[no-untyped-call] # it has no annotations

    def inbox(self) -> str:
        """A subject that nobody else uses."""
        return self._client.new_inbox()

    async def get(self, stream: str, seq: int) -> Stored | None:
        """A message of a stream, or None if there is none."""
        return await self._get(stream, {"seq": seq})

    async def last(self, stream: str, subject: str) -> Stored | None:
        """The last message of a subject, or None if there is none."""
        return await self._get(stream, {"last_by_subj": subject})

    async def _get(self, stream: str, which: Mapping[str, object]) -> Stored | None:
        """Ask the leader, which knows what was stored a moment ago."""
        try:
            message = (await self.api(f"STREAM.MSG.GET.{stream}", which))["message"]
        except RefusedError as error:
            if error.number == MESSAGE_NOT_FOUND:
                return None
            raise
        lines = b64decode(message.get("hdrs", "")).decode().split("\r\n")[1:]
        headers = dict(line.split(": ", 1) for line in lines if ": " in line)
        headers["Nats-Time-Stamp"] = message["time"]
        return Stored(message["seq"], message["subject"], headers, b64decode(message.get("data", "")))

    async def scan(self, stream: str, subject: str, limit: int | None = None, *, first: int = 1) -> list[Stored]:
        """The messages of a subject, which may have wildcards, in the order of their sequence, from `first` on."""
        found: list[Stored] = []
        while limit is None or len(found) < limit:
            count = SCAN_COUNT if limit is None else min(SCAN_COUNT, limit - len(found))
            part, pending = await self._scan(stream, subject, first, count)
            found.extend(part)
            if not part or not pending:
                break
            first = part[-1].seq + 1
        return found

    async def delete(self, stream: str, seq: int) -> bool:
        """Delete a message of a stream. Returns False if it was not there, or is not any more."""
        try:
            return bool((await self.api(f"STREAM.MSG.DELETE.{stream}", {"seq": seq, "no_erase": True})).get("success"))
        except RefusedError:
            return False

    async def _scan(self, stream: str, subject: str, first: int, count: int) -> tuple[list[Stored], int]:
        found: list[Stored] = []
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def receive(message: Msg) -> None:
            status = status_of(message)
            if not status:
                found.append(_stored(message))
            elif not done.done():
                done.set_result(int((message.headers or {}).get("Nats-Num-Pending", "0")))

        inbox = self.inbox()
        subscription = await self.subscribe(inbox, receive)
        try:
            body = {"seq": first, "batch": count, "next_by_subj": subject}
            await self.ask(f"$JS.API.DIRECT.GET.{stream}", body, inbox)
            return found, await self._in_time(done, REQUEST_SECONDS)
        finally:
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def _send(self, subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None) -> None:
        if not self._client.is_connected:
            raise self._away()
        try:
            await self._client.publish(subject, payload, reply, headers)
        except (nats.errors.Error, OSError):
            raise self._away() from None

    async def _request(
        self,
        subject: str,
        payload: bytes,
        headers: dict[str, str] | None = None,
        *,
        seconds: float = REQUEST_SECONDS,
    ) -> Msg:
        """Ask, and wait for the answer."""
        self._count += 1
        number = str(self._count)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(subject, payload, f"{self._inbox}.{number}", headers)
            message: Msg = await self._in_time(answer, seconds)
        finally:
            del self._asked[number]
        if status_of(message) == "503":  # nobody is there who could answer
            raise self._away()
        return message

    async def _in_time(self, answer: asyncio.Future[R], seconds: float) -> R:
        """Wait for an answer, but not after the connection is lost, as nats-py does."""
        timer = asyncio.get_running_loop().call_later(seconds, self._give_up, answer)
        self._waiting.add(answer)
        try:
            return await answer
        finally:
            timer.cancel()
            self._waiting.discard(answer)

    def _give_up(self, answer: asyncio.Future[Any]) -> None:
        if not answer.done():
            answer.set_exception(self._away())

    async def _answered(self, message: Msg) -> None:
        answer = self._asked.get(message.subject.rpartition(".")[2])
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _finish(self, message: Outgoing) -> None:
        """Pad the headers. A message that is too large would end the connection for good, so it is refused here."""
        size = header_size(message.headers)
        if size < message.size:
            message.headers[message.padded] += "." * (message.size - size)
        size = max(size, message.size) + len(message.payload)
        if size > self.max_payload:
            raise RefusedError(
                0, f"a message has {size:,} bytes with its headers, and its max_payload is {self.max_payload:,}"
            )

    def _published(self, answer: Msg) -> PublishAck:
        reply = _decode_reply(answer.data)
        if reply.error is not None:
            raise RefusedError(reply.error.err_code, reply.error.description)
        return PublishAck(reply.seq, reply.duplicate)

    def _away(self) -> UnreachableError:
        return UnreachableError(f"the queue engine at {self.address} does not answer")

    async def _try_to_connect(self) -> bool:
        """Try for a moment. nats-py would go on trying where the server does not let us in."""
        client = self._client = Client()
        address = self.address
        refusal: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def note(error: Exception) -> None:
            why = _refusal(error)
            if why and not refusal.done():
                refusal.set_result(why)
            elif not isinstance(error, nats.errors.Error | OSError):  # one of ours, in what was to receive something
                self.report(error)

        connecting = asyncio.create_task(
            client.connect(
                servers=list(address.servers),
                name="workers-emulator",
                user=address.user or None,
                password=address.password or None,
                token=address.token or None,
                user_credentials=address.creds or None,
                nkeys_seed=address.nkey or None,
                error_cb=note,
                disconnected_cb=self._lost,
                reconnected_cb=self._found,
                reconnect_time_wait=0.1,  # type: ignore[arg-type] # seconds, and a fraction works
                max_reconnect_attempts=-1,
                ping_interval=5,
                connect_timeout=2,
                pending_size=0,
            )
        )
        either: list[asyncio.Future[Any]] = [connecting, refusal]
        await asyncio.wait(either, timeout=CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if connecting.done() and not refusal.done():
            return await self._is_connected(connecting)
        connecting.cancel()
        await asyncio.wait([connecting])
        await self.close()
        if refusal.done():
            raise EmulatorError(f"the queue engine at {address} {refusal.result()}")
        return False

    async def _is_connected(self, connecting: asyncio.Task[None]) -> bool:
        try:
            await connecting
        except (FileNotFoundError, ValueError) as error:
            raise EmulatorError(f"the queue engine at {self.address} cannot be used: {error}") from None
        except (TimeoutError, nats.errors.Error, OSError):
            await self.close()
            return False
        return True

    async def _check_server(self) -> None:
        version = self._client.connected_server_version
        if (version.major, version.minor) < OLDEST_SERVER:
            await self.close()
            raise EmulatorError(
                f"the NATS server at {self.address} is version {version.major}.{version.minor}.{version.patch}, and "
                f"queues need {'.'.join(map(str, OLDEST_SERVER))} or newer, which can delay messages"
            )
        try:
            await self.api("INFO")
        except (UnreachableError, RefusedError) as error:
            if isinstance(error, UnreachableError) or error.number == ACCOUNT_HAS_NO_JETSTREAM:
                await self.close()
                raise EmulatorError(
                    f"the NATS server at {self.address} has no JetStream, which keeps messages: start it with "
                    f"`nats-server -js`"
                ) from None
            raise

    async def _lost(self) -> None:
        for answer in list(self._waiting):
            self._give_up(answer)
        if self.returned:
            text = f"The queue engine at {self.address} is away: sends fail, and deliveries go on when it is back"
            self._tell("warning", text)

    async def _found(self) -> None:
        if self.returned:
            self._tell("info", f"The queue engine at {self.address} is back")
        for returned in list(self.returned):
            returned()


def _refusal(error: Exception) -> str:
    """Why a server is not to be tried again, if an error says so."""
    if isinstance(error, SSLCertVerificationError):
        return f"has a certificate that is not trusted ({error.verify_message}); SSL_CERT_FILE can name one that is"
    if any(word in str(error).lower() for word in _REFUSALS):
        return "does not let us in: check the user, the token or the credentials"
    return ""


def delivered(reply: str) -> Delivered:
    """Read the subject that a delivery is to be acked at. It has two more words where servers have domains."""
    words = reply.split(".")
    base = 4 if len(words) == 9 else 6
    deliveries, seq, number, at, pending = map(int, words[base : base + 5])
    return Delivered(deliveries, seq, number, at / 1e9, pending)


def status_of(message: Msg) -> str:
    """The status of a message in which the server says something; empty for one that has content."""
    return (message.headers or {}).get("Status", "")


def header_size(headers: Headers) -> int:
    """How many bytes headers have when they are sent."""
    return sum(len(name) + len(value.encode()) + 4 for name, value in headers.items()) + 12


def epoch(text: str) -> float:
    """Seconds since the epoch of a time as the server writes it, which may have nanoseconds."""
    return datetime.fromisoformat(text).timestamp()


def utc(seconds: float) -> str:
    """A time as the server reads it, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _stored(message: Msg) -> Stored:
    headers = message.headers or {}
    return Stored(int(headers["Nats-Sequence"]), headers["Nats-Subject"], headers, message.data)
