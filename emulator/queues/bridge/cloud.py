"""The queues of a Cloudflare account, by its REST API."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, cast
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from emulator.base.errors import EmulatorError
from emulator.base.quiet import quiet
from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.queues.message import NewMessage
from emulator.wire.codec import CONTENT_TYPES, ContentType

DEFAULT_API: Final = "https://api.cloudflare.com/client/v4"
TIMEOUT_SECONDS: Final = 30.0
_PAGE: Final = 100
_REFUSED: Final = frozenset({401, 403})
_BUSY: Final = 429


class Account(NamedTuple):
    """Which account it is: the address of the REST API, the account's id, and a token that may use its queues."""

    api: str
    id: str
    token: str


def account_of(environment: Mapping[str, str], account_id: str) -> Account:
    """The account that the variables of wrangler name, and `account_id` of a configuration. Raises EmulatorError if
    one is missing."""
    token = environment.get("CLOUDFLARE_API_TOKEN", "")
    account_id = account_id or environment.get("CLOUDFLARE_ACCOUNT_ID", "")
    if not token or not account_id:
        missing = "CLOUDFLARE_ACCOUNT_ID is not set, nor account_id in a configuration" if token else (
            "CLOUDFLARE_API_TOKEN is not set"
        )  # fmt: skip
        raise EmulatorError(
            f"a queue is a real one, by its `remote`, and {missing}",
            hint="Set it, or keep all queues here with `emulator dev --local`.",
        )
    return Account(environment.get("CLOUDFLARE_API_BASE_URL", DEFAULT_API).rstrip("/"), account_id, token)


class CloudError(QueueError):
    """A call was not answered, or refused. `cause` is a sentence; `may_pass` says whether trying again can help."""

    def __init__(self, cause: str, code: QueueErrorCode, *, may_pass: bool) -> None:
        super().__init__(code, cause)
        self.may_pass = may_pass


class CloudMessage(NamedTuple):
    """A message of a real queue. `timestamp` is in seconds since the epoch. `lease_id` is empty if it was only looked
    at."""

    id: str
    body: bytes
    content_type: ContentType
    timestamp: float
    attempts: int
    lease_id: str


class _Metadata(msgspec.Struct):
    content_type: str = msgspec.field(default="json", name="CF-Content-Type")


class _Message(msgspec.Struct):
    id: str
    body: str = ""
    timestamp_ms: float = 0
    attempts: int = 0
    lease_id: str = ""
    metadata: _Metadata | str = msgspec.field(default_factory=_Metadata)


class _Messages(msgspec.Struct):
    messages: list[_Message] | None = None
    message_backlog_count: int = 0


class _Queue(msgspec.Struct):
    queue_id: str
    queue_name: str


class _Reason(msgspec.Struct):
    message: str = ""
    code: int = 0


class _Envelope(msgspec.Struct):
    result: msgspec.Raw = msgspec.Raw(b"null")
    errors: list[_Reason] | None = None


class Cloud:
    """The queues of `account`, by name. All methods raise CloudError."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._where = urlsplit(account.api).netloc
        headers = {"authorization": f"Bearer {account.token}"}
        self._client = quiet(httpx.AsyncClient(timeout=TIMEOUT_SECONDS, headers=headers))
        self._ids: dict[str, str] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def send(self, queue: str, messages: Sequence[NewMessage], delay_seconds: int | None) -> None:
        """Send messages, all or none. `delay_seconds` is for those without their own; None is the queue's."""
        outgoing = [_outgoing(message, delay_seconds) for message in messages]
        await self._post(queue, "/batch", {"messages": outgoing}, msgspec.Raw)

    async def pull(self, queue: str, count: int, visibility_seconds: float) -> tuple[list[CloudMessage], int]:
        """Lease up to `count` messages, which may be none. Returns them, and how many wait."""
        asked = {"batch_size": count, "visibility_timeout_ms": int(visibility_seconds * 1000)}
        found = await self._post(queue, "/pull", asked, _Messages)
        return _messages(found), found.message_backlog_count

    async def peek(self, queue: str, count: int) -> list[CloudMessage]:
        """The first `count` waiting messages, which do not change."""
        return _messages(await self._post(queue, "/peek", {"batch_size": count}, _Messages))

    async def acknowledge(self, queue: str, acks: Sequence[str], retries: Sequence[tuple[str, int]]) -> None:
        """End leases: of messages that are done, and of those that come back after a delay in seconds."""
        body = {
            "acks": [{"lease_id": each} for each in acks],
            "retries": [{"lease_id": each, "delay_seconds": delay} for each, delay in retries],
        }
        await self._post(queue, "/ack", body, msgspec.Raw)

    async def _post(self, queue: str, what: str, body: object, shape: type[Any]) -> Any:
        identifier = self._ids.get(queue) or await self._find(queue)
        return await self._call("POST", f"/{quote(identifier, safe='')}/messages{what}", shape, body)

    async def _find(self, queue: str) -> str:
        """The id of a queue."""
        page = 1
        while True:
            found: list[_Queue] = await self._call("GET", f"?page={page}&per_page={_PAGE}", list[_Queue])
            for each in found:
                self._ids[each.queue_name] = each.queue_id
            if queue in self._ids:
                return self._ids[queue]
            if len(found) < _PAGE:
                text = f"the account has no queue {queue}: `wrangler queues create {queue}` makes it"
                raise CloudError(text, QueueErrorCode.QUEUE_NOT_FOUND, may_pass=True)
            page += 1

    async def _call(self, method: Literal["GET", "POST"], path: str, shape: Any, body: object = None) -> Any:
        url = f"{self._account.api}/accounts/{quote(self._account.id, safe='')}/queues{path}"
        try:
            answer = await self._client.request(method, url, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unanswered(f"cannot be reached: {str(error) or type(error).__name__}") from None
        try:
            envelope = msgspec.json.decode(answer.content, type=_Envelope)
            if answer.is_success:
                return msgspec.json.decode(envelope.result, type=shape)
        except msgspec.MsgspecError as error:
            if answer.is_success:
                raise self._unanswered(f"has answered what cannot be read: {error}") from None
            envelope = _Envelope()
        raise self._refusal(answer.status_code, envelope.errors or [])

    def _unanswered(self, how: str) -> CloudError:
        return CloudError(
            f"Cloudflare's API at {self._where} {how}", QueueErrorCode.UNKNOWN_INTERNAL_ERROR, may_pass=True
        )

    def _refusal(self, status: int, reasons: Sequence[_Reason]) -> CloudError:
        """What a call was refused for, in the service's own words where it has said some."""
        said = "; ".join(each.message for each in reasons if each.message)
        if status in _REFUSED:
            text = f"Cloudflare's API at {self._where} refuses the token: {said or status}"
            return CloudError(text, QueueErrorCode.UNKNOWN_INTERNAL_ERROR, may_pass=False)
        known = [each.code for each in reasons if each.code in QueueErrorCode._value2member_map_]
        code = QueueErrorCode(known[0]) if known else QueueErrorCode.UNKNOWN_INTERNAL_ERROR
        if code is QueueErrorCode.QUEUE_NOT_FOUND:
            self._ids.clear()  # it was deleted, and perhaps made again
        if status == _BUSY:
            said = f"too many requests: {said}" if said else "too many requests"
        return CloudError(
            said or f"Cloudflare's API at {self._where} has answered {status}",
            code,
            may_pass=status >= 500 or status == _BUSY or code is QueueErrorCode.QUEUE_NOT_FOUND,
        )


def _outgoing(message: NewMessage, delay_seconds: int | None) -> dict[str, object]:
    body: object
    if message.content_type == "text":
        body = message.body.decode("utf-8", "replace")
    elif message.content_type == "json":
        body = json.loads(message.body)
    else:
        text = f"content type {message.content_type} cannot be sent to a real queue from here: use json or text"
        raise CloudError(text, QueueErrorCode.MESSAGE_METADATA_INVALID, may_pass=False)
    delay = delay_seconds if message.delay_seconds is None else message.delay_seconds
    return {
        "body": body,
        "content_type": message.content_type,
        **({} if delay is None else {"delay_seconds": delay}),
    }


def _messages(found: _Messages) -> list[CloudMessage]:
    return [
        CloudMessage(each.id, *_content(each), each.timestamp_ms / 1000, each.attempts, each.lease_id)
        for each in found.messages or ()
    ]


def _content(message: _Message) -> tuple[bytes, ContentType]:
    """A body: text comes as it is, and everything else in base64."""
    metadata = message.metadata
    said = metadata.content_type if isinstance(metadata, _Metadata) else "json"
    content_type = cast("ContentType", said if said in CONTENT_TYPES else "bytes")
    if content_type == "text":
        return message.body.encode(), content_type
    try:
        return b64decode(message.body, validate=True), content_type
    except ValueError:
        return message.body.encode(), content_type
