"""What the API of a real account may answer, and what is said then."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from emulator.base.errors import EmulatorError
from emulator.queues.bridge.cloud import Account, Cloud, CloudError, CloudMessage, account_of
from emulator.queues.errors import QueueErrorCode
from emulator.queues.message import NewMessage

QUEUES = {"success": True, "errors": [], "result": [{"queue_id": "q1", "queue_name": "orders"}]}


@contextmanager
def api(status: int, body: object) -> Iterator[tuple[Cloud, list[dict[str, Any]]]]:
    """A cloud whose queue `orders` answers with this; and what it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, body: object) -> None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.answer(200, QUEUES)

        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append({"path": self.path, "token": self.headers["authorization"], "body": sent})
            self.answer(status, body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Cloud(Account(f"http://127.0.0.1:{server.server_port}", "acc", "secret")), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def pull(cloud: Cloud) -> tuple[list[CloudMessage], int]:
    async def pulled() -> tuple[list[CloudMessage], int]:
        try:
            return await cloud.pull("orders", 10, 60)
        finally:
            await cloud.close()

    return asyncio.run(pulled())


@pytest.mark.parametrize(
    ("status", "body", "says", "may_pass"),
    [
        (401, {"errors": [{"code": 10000, "message": "Authentication error"}]}, "refuses the token: Authent", False),
        (403, b"<html>", "refuses the token: 403", False),
        (429, {"errors": [{"code": 971, "message": "slow down"}]}, "too many requests: slow down", True),
        (429, b"", "too many requests", True),
        (500, b"<html>oops", "has answered 500", True),
        (502, {"errors": []}, "has answered 502", True),
        (200, b"<html>captive portal", "what cannot be read", True),
        (200, {"result": {"messages": [{"id": 1}]}}, "what cannot be read", True),
        (400, {"errors": [{"code": 10261, "message": "no pull here"}]}, "no pull here", False),
        (404, {"errors": [{"code": 10104, "message": "gone"}]}, "gone", True),
    ],
)
def test_a_call_that_fails_says_why(status: int, body: object, says: str, may_pass: bool) -> None:
    with api(status, body) as (cloud, _), pytest.raises(CloudError) as caught:
        pull(cloud)
    assert says in caught.value.cause
    assert caught.value.may_pass is may_pass


def test_bodies_come_as_they_were_sent() -> None:
    def message(body: str, kind: object, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "body": body,
            "timestamp_ms": 1500,
            "attempts": 2,
            "lease_id": f"l-{name}",
            "metadata": kind,
        }

    messages = [
        message("hi", {"CF-Content-Type": "text"}, "a"),
        message("eyJhIjoxfQ==", {"CF-Content-Type": "json"}, "b"),
        message("AP8=", {"CF-Content-Type": "bytes"}, "c"),
        message("not base64!", "", "d"),
        message("AP8=", {"CF-Content-Type": "new"}, "e"),
    ]
    with api(200, {"result": {"messages": messages, "message_backlog_count": 7}}) as (cloud, asked):
        found, waiting = pull(cloud)
    assert [(each.body, each.content_type) for each in found] == [
        (b"hi", "text"),
        (b'{"a":1}', "json"),
        (b"\0\xff", "bytes"),
        (b"not base64!", "json"),
        (b"\0\xff", "bytes"),
    ]
    assert (waiting, found[0].timestamp, found[0].attempts, found[0].lease_id) == (7, 1.5, 2, "l-a")
    assert asked == [
        {
            "path": "/accounts/acc/queues/q1/messages/pull",
            "token": "Bearer secret",
            "body": {"batch_size": 10, "visibility_timeout_ms": 60_000},
        }
    ]


def test_messages_are_sent_with_their_own_delay_or_that_of_the_batch() -> None:
    async def send(cloud: Cloud, *messages: NewMessage) -> None:
        try:
            await cloud.send("orders", messages, 9)
        finally:
            await cloud.close()

    text, own = NewMessage(b"a", "text"), NewMessage(b"[1]", "json", 0)
    with api(200, {"result": None}) as (cloud, asked):
        asyncio.run(send(cloud, text, own))
    assert asked[0]["body"]["messages"] == [
        {"body": "a", "content_type": "text", "delay_seconds": 9},
        {"body": [1], "content_type": "json", "delay_seconds": 0},
    ]
    with (
        api(200, {"result": None}) as (cloud, asked),
        pytest.raises(CloudError, match="content type v8 cannot be sent"),
    ):
        asyncio.run(send(cloud, NewMessage(b"\xff\x0f", "v8")))
    assert asked == []


def test_the_account_is_that_of_the_configuration_or_of_the_environment() -> None:
    variables = {"CLOUDFLARE_API_TOKEN": "t", "CLOUDFLARE_ACCOUNT_ID": "e"}
    assert account_of(variables, "").id == "e"
    assert account_of(variables, "c") == Account("https://api.cloudflare.com/client/v4", "c", "t")
    assert account_of({**variables, "CLOUDFLARE_API_BASE_URL": "http://x/"}, "").api == "http://x"
    with pytest.raises(EmulatorError, match="CLOUDFLARE_API_TOKEN is not set"):
        account_of({}, "c")


def test_a_refusal_has_the_code_of_the_service() -> None:
    with api(400, {"errors": [{"code": 10251, "message": "full"}]}) as (cloud, _), pytest.raises(CloudError) as caught:
        pull(cloud)
    assert caught.value.code is QueueErrorCode.QUEUE_STORAGE_LIMIT_EXCEEDED
    assert str(caught.value) == "full (10251)"
