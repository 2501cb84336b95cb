"""`WorkerdHost` on a real workerd: requests, queues, failures, reload, and what becomes of its processes."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.base.acts import Acts, acting
from emulator.base.coroutines import run_now
from emulator.base.failure import MAX_ERROR_BYTES, MAX_TRACEBACK_BYTES
from emulator.bindings.queue.config import Producer
from emulator.hosts.events import RuntimeExited
from emulator.hosts.host import HandlerError, HandlerMissing, NotLoaded
from emulator.hosts.workerd.host import WorkerdHost
from emulator.queues.message import NewMessage, QueueMessage
from emulator.queues.settings import QueueSettings
from emulator.wire.codec import ContentType, decode, encode
from emulator_runtime.http import request_from_scope, send_response
from emulator_runtime.workers.request import Request
from tests.hosts.support import fetch, run_scheduled
from tests.hosts.workerd.support import Workers, consumer, processes_below, workerd_of
from tests.support.configs import declared
from tests.support.node_tools import needs_node

pytestmark = needs_node

OK = 'export default { fetch() { return new Response("ok"); } };'


async def text(host: WorkerdHost, path: str = "/", **options: Any) -> str:
    return await (await fetch(host, Request(f"http://localhost:8787{path}", **options))).text()


def server_request(
    path: str = "/",
    *,
    method: str = "GET",
    headers: Any = (),
    body: bytes = b"",
    gone: asyncio.Event | None = None,
    receive: Callable[[], Awaitable[dict[str, Any]]] | None = None,
) -> Request:
    """A request as the server makes it. Its client goes away when `gone` is set; or `receive` gives all that comes."""
    received = False

    async def play() -> dict[str, Any]:
        nonlocal received
        if not received:
            received = True
            return {"type": "http.request", "body": body, "more_body": False}
        await (gone or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost:8787"), *headers],
        "http_version": "1.1",
        "client": ("10.0.0.7", 50_000),
    }
    return request_from_scope(scope, receive or play)


async def sent(
    host: WorkerdHost, request: Request, *, head: bool = False
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """What the server would send: status, headers and body."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await send_response(await fetch(host, request), send, head=head)
    body = b"".join(message["body"] for message in messages[1:])
    return messages[0]["status"], messages[0]["headers"], body


def test_a_worker_sees_the_url_method_headers_and_cf_of_the_client(workers: Workers) -> None:
    workers.add("""
        export default {
          fetch(request) {
            const { url, method, headers, cf } = request;
            return Response.json({ url, method, headers: [...headers], colo: cf.colo });
          },
        };
    """)

    async def test(host: WorkerdHost) -> None:
        headers = [(b"x-one", b"1"), (b"connection", b"keep-alive"), (b"cookie", b"a=b")]
        _, _, body = await sent(host, server_request("/a%20b/%C3%A9", method="DELETE", headers=headers))
        assert json.loads(body) == {
            "url": "http://localhost:8787/a%20b/%C3%A9",
            "method": "DELETE",
            "headers": [
                ["accept-encoding", "br, gzip"],
                ["cf-connecting-ip", "10.0.0.7"],
                ["cookie", "a=b"],
                ["host", "localhost:8787"],
                ["x-one", "1"],
            ],
            "colo": "DFW",
        }

    workers.run(test)


def test_production_accepts_its_own_encodings_and_keeps_what_the_client_says(workers: Workers) -> None:
    workers.add("""
        export default {
          fetch({ headers, cf }) {
            const names = ["accept-encoding", "cf-connecting-ip"];
            return Response.json([...names.map((name) => headers.get(name)), cf.clientAcceptEncoding]);
          },
        };
    """)

    async def test(host: WorkerdHost) -> None:
        for encodings, given, address in [(b"zstd, gzip;q=0.5", b"", "10.0.0.7"), (b"", b"192.0.2.1", "192.0.2.1")]:
            headers = [(b"accept-encoding", encodings)] if encodings else []
            headers += [(b"cf-connecting-ip", given)] if given else []
            _, _, body = await sent(host, server_request(headers=headers))
            assert json.loads(body) == ["br, gzip", address, encodings.decode()]

    workers.run(test)


@pytest.mark.parametrize("size", [10, 500_000])
@pytest.mark.parametrize(
    ("path", "accepted", "coding"),
    [
        ("/auto/gzip", b"gzip, deflate", b"gzip"),
        ("/auto/gzip", b"br", None),
        ("/auto/gzip", b"identity", None),
        ("/auto/gzip", b"gzip;q=0, *", None),
        ("/auto/gzip", b"*;q=0.5", b"gzip"),
        ("/auto/gzip", None, None),
        ("/auto/br", b"gzip", None),
        ("/manual/gzip", b"gzip", b"gzip"),
        ("/manual/gzip", None, None),
        ("/auto/other", None, b"other"),
    ],
)
def test_an_answer_is_compressed_only_for_clients_that_ask_for_it(
    workers: Workers, path: str, accepted: bytes | None, coding: bytes | None, size: int
) -> None:
    workers.add("""
        export default {
          fetch(request, env) {
            const [, way, coding] = new URL(request.url).pathname.split("/");
            const body = new Response("x".repeat(env.SIZE)).body;
            const headers = { "content-encoding": coding, "content-type": "text/plain" };
            if (way === "auto") {
              return new Response(body, { headers });
            }
            return new Response(body.pipeThrough(new CompressionStream(coding)), { headers, encodeBody: "manual" });
          },
        };
    """, vars={"SIZE": size})  # fmt: skip

    async def test(host: WorkerdHost) -> None:
        for _ in range(2):
            headers = [] if accepted is None else [(b"accept-encoding", accepted)]
            status, got, body = await sent(host, server_request(path, headers=headers))
            assert (status, dict(got).get(b"content-encoding")) == (200, coding)
            assert (gzip.decompress(body) if coding == b"gzip" else body) == b"x" * size
            assert dict(got)[b"content-type"] == b"text/plain"

    workers.run(test)


def test_status_and_headers_come_back_as_they_are(workers: Workers) -> None:
    workers.add("""
        export default {
          fetch() {
            const headers = new Headers({ "x-one": "é" });
            headers.append("set-cookie", "a=1");
            headers.append("set-cookie", "b=2");
            return new Response("nothing", { status: 418, headers });
          },
        };
    """)

    async def test(host: WorkerdHost) -> None:
        status, headers, body = await sent(host, server_request())
        assert (status, body) == (418, b"nothing")
        assert [value for name, value in headers if name == b"set-cookie"] == [b"a=1", b"b=2"]
        assert not {name for name, _ in headers} & {b"connection", b"transfer-encoding", b"x-emulator-failure"}

    workers.run(test)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_none(workers: Workers, status: int) -> None:
    workers.add(f"export default {{ fetch() {{ return new Response(null, {{ status: {status} }}); }} }};")

    async def test(host: WorkerdHost) -> None:
        for _ in range(3):  # on one connection
            assert (await sent(host, server_request()))[::2] == (status, b"")

    workers.run(test)


def test_a_head_request_gets_the_length_and_no_body(workers: Workers) -> None:
    workers.add("export default { fetch(request) { return new Response(`${request.method} of ten`); } };")

    async def test(host: WorkerdHost) -> None:
        for _ in range(2):
            status, headers, body = await sent(host, server_request(method="HEAD"), head=True)
            assert (status, body) == (200, b"")
            assert (b"content-length", b"11") in headers
        assert await text(host) == "GET of ten"

    workers.run(test)


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 3_000_000])
@pytest.mark.parametrize("has_length", [True, False])
def test_bodies_of_all_sizes_go_there_and_back(workers: Workers, size: int, has_length: bool) -> None:
    workers.add("export default { fetch(request) { return new Response(request.body); } };")
    content = os.urandom(size)
    headers = [(b"content-length", b"%d" % size)] if has_length else [(b"transfer-encoding", b"chunked")]

    async def test(host: WorkerdHost) -> None:
        for _ in range(2):
            request = server_request(method="POST", headers=headers, body=content)
            assert (await sent(host, request))[::2] == (200, content)
        assert await text(host, method="POST", body=content) == content.decode("utf-8", "replace").removeprefix(
            "\ufeff"
        )

    workers.run(test)


def test_an_answer_is_streamed_while_the_request_still_is(workers: Workers) -> None:
    workers.add("export default { fetch(request) { return new Response(request.body); } };")

    async def test(host: WorkerdHost) -> None:
        goes_on = asyncio.Event()

        async def upload() -> AsyncIterator[bytes]:
            yield b"first"
            await goes_on.wait()
            yield b"second"

        response = await fetch(host, Request("http://localhost/", method="POST", body=upload()))
        assert response.body is not None
        chunks = response.body.__aiter__()
        assert bytes(await anext(chunks)) == b"first"
        goes_on.set()
        assert bytes(await anext(chunks)) == b"second"
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)

    workers.run(test)


def test_many_requests_at_once_are_answered_each_with_its_own_answer(workers: Workers) -> None:
    workers.add("""
        export default {
          async fetch(request) {
            await scheduler.wait(5);
            return new Response(new URL(request.url).pathname);
          },
        };
    """)

    async def test(host: WorkerdHost) -> None:
        for _ in range(3):
            paths = [f"/{number}" for number in range(100)]
            assert await asyncio.gather(*(text(host, path) for path in paths)) == paths
        assert host.calls_under_way == 0

    workers.run(test)


def test_a_client_that_goes_away_cancels_the_handler(workers: Workers) -> None:
    workers.add("""
        export default {
          async fetch(request) {
            console.log("began");
            request.signal.addEventListener("abort", () => console.log("aborted"));
            await scheduler.wait(60_000);
          },
        };
    """, compatibility_flags=frozenset({"enable_request_signal"}))  # fmt: skip

    async def test(host: WorkerdHost) -> None:
        gone = asyncio.Event()
        fetching = asyncio.ensure_future(fetch(host, server_request(gone=gone)))
        await workers.until_line("began")
        gone.set()
        assert (await fetching).status == 499
        await workers.until_line("aborted")
        assert host.calls_under_way == 0

    workers.run(test)


@pytest.mark.parametrize("length", [10_000, 1_000_000, None])
def test_a_client_that_breaks_off_its_upload_is_no_failure(workers: Workers, length: int | None) -> None:
    workers.add("""
        export default {
          async fetch(request) {
            return new Response(String((await request.arrayBuffer()).byteLength));
          },
        };
    """)  # fmt: skip
    kind = (b"transfer-encoding", b"chunked") if length is None else (b"content-length", b"%d" % length)

    async def receive() -> dict[str, Any]:
        if not begun:
            begun.append(True)
            return {"type": "http.request", "body": b"x" * 1000, "more_body": True}
        return {"type": "http.disconnect"}

    begun: list[bool] = []

    async def test(host: WorkerdHost) -> None:
        request = server_request(method="POST", headers=[kind], receive=receive)
        assert (await fetch(host, request)).status == 499
        assert workers.failed == []
        assert host.calls_under_way == 0

    workers.run(test)


def test_an_answer_that_nobody_reads_on_is_over_and_no_failure(workers: Workers) -> None:
    workers.add("""
        export default {
          fetch() {
            return new Response(new ReadableStream({
              async pull(controller) {
                controller.enqueue(new TextEncoder().encode("more"));
                await scheduler.wait(1);
              },
            }));
          },
        };
    """, compatibility_flags=frozenset({"enable_request_signal"}))  # fmt: skip

    async def test(host: WorkerdHost) -> None:
        response = await fetch(host, server_request())
        assert host.calls_under_way == 1
        await response.discard_body()
        assert host.calls_under_way == 0
        assert workers.failed == []

    workers.run(test)


def test_a_class_is_an_entrypoint_too(workers: Workers) -> None:
    workers.add("""
        import { WorkerEntrypoint } from "cloudflare:workers";
        export default class Worker extends WorkerEntrypoint {
          fetch() { return new Response(this.env.GREETING); }
          scheduled(controller) { console.log("due", controller.cron); }
          async queue(batch) { this.ctx.waitUntil(Promise.reject(new Error("too late"))); }
        }
    """, vars={"GREETING": "hello"}, **consumer(max_retries=0))  # fmt: skip

    async def test(host: WorkerdHost) -> None:
        assert host.handlers == ("fetch", "queue", "scheduled")
        assert await text(host) == "hello"
        await run_scheduled(host, "* * * * *", 0)
        assert (await workers.until_line("due")).trigger == "SCHEDULED * * * * *"
        send(workers, encode({}, "json"))
        delivered = await workers.until(lambda: workers.delivered[0] if workers.delivered else None)
        assert (delivered.verdict.outcome, delivered.verdict.error) == ("exception", "Error: too late")

    workers.run(test)


def test_vars_are_json_and_secrets_text(workers: Workers) -> None:
    workers.add(
        "export default { fetch(request, env) { return Response.json(env); } };",
        vars={"TEXT": 'a "b" \\ \n é 日本 \x01', "LIMITS": {"free": [1, None, "\\"]}, "HIDDEN": {"a": 1}},
        secrets={"HIDDEN": "secret"},
    )

    async def test(host: WorkerdHost) -> None:
        assert json.loads(await text(host)) == {
            "TEXT": 'a "b" \\ \n é 日本 \x01',
            "LIMITS": {"free": [1, None, "\\"]},
            "HIDDEN": "secret",
        }

    workers.run(test)


def test_compatibility_flags_are_the_workers(workers: Workers) -> None:
    workers.add(
        """
        import { Buffer } from "node:buffer";
        export default { fetch() { return new Response(Buffer.from("hi").toString("hex")); } };
        """,
        compatibility_flags=frozenset({"nodejs_compat"}),
    )
    assert workers.run(text) == "6869"


def test_what_fetch_throws_is_a_failure_with_the_users_own_frames(workers: Workers) -> None:
    config = workers.add("""\
        function inner() {
          throw new RangeError("too far", { cause: new Error("the cause") });
        }
        export default {
          async fetch() { inner(); },
        };
    """)

    async def test(host: WorkerdHost) -> None:
        with pytest.raises(HandlerError) as caught:
            await fetch(host, server_request("/x"))
        failure = caught.value.failure
        assert failure.summary == "RangeError: too far"
        assert [(frame.function, frame.line) for frame in failure.frames] == [("Object.fetch", 5), ("inner", 2)]
        assert failure.location == f"{config.main}:2"
        assert failure.frames[-1].code.startswith("throw new RangeError")
        assert failure.text.startswith(f"RangeError: too far\n    at inner ({config.main}:2:")
        assert "Caused by: Error: the cause" in failure.text
        assert "__emulator__" not in failure.text
        assert [(event.trigger, event.failure) for event in workers.failed] == [("GET /x", failure)]

    workers.run(test)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", "TypeError: the fetch handler must return a Response, not undefined; is a return missing?"),
        ('return "text";', "TypeError: the fetch handler must return a Response, not string"),
        ('throw "just text";', "thrown: just text"),
        ("throw { code: 7 };", 'thrown: {"code":7}'),
        ("throw undefined;", "thrown: undefined"),
        ("await new Promise(() => {});", "Error: The Workers runtime canceled this request"),
    ],
)
def test_other_ways_to_fail(workers: Workers, body: str, expected: str) -> None:
    workers.add(f"export default {{ async fetch() {{ {body} }} }};")

    async def test(host: WorkerdHost) -> None:
        with pytest.raises(HandlerError) as caught:
            await fetch(host, server_request())
        assert caught.value.failure.summary.startswith(expected)

    workers.run(test)


def test_a_handler_that_hangs_has_failed_as_production_says_it(workers: Workers) -> None:
    workers.add(
        """
        const never = () => new Promise(() => {});
        export default {
          fetch: never,
          async queue(batch) { batch.messages[0].ack(); await never(); },
          scheduled: never,
        };
        """,
        **consumer(max_retries=0),
    )

    async def test(host: WorkerdHost) -> None:
        send(workers, b"1", b"2")
        batch = await workers.until(lambda: next(iter(workers.delivered), None))
        assert batch.verdict.outcome == "exception"
        assert len(batch.settlement.acked) == 1
        for call in (fetch(host, server_request()), run_scheduled(host, "* * * * *")):
            with pytest.raises(HandlerError):
                await call
        assert [event.trigger for event in workers.failed] == ["QUEUE jobs", "GET /", "SCHEDULED * * * * *"]
        for event in workers.failed:
            text = event.failure.text
            assert text.startswith(
                "Error: The Workers runtime canceled this request because it detected that your Work"
            )
            assert text == workers.failed[1].failure.text, "the text is ours where workerd has none"
        assert workers.lines() == []

    workers.run(test)


def test_a_worker_cannot_be_mistaken_for_failing(workers: Workers) -> None:
    workers.add("""
        export default {
          fetch() {
            const headers = { "x-emulator-failure": "1" };
            return new Response("Internal Server Error", { status: 500, headers });
          },
        };
    """)

    async def test(host: WorkerdHost) -> None:
        status, headers, body = await sent(host, server_request())
        assert (status, body) == (500, b"Internal Server Error")
        assert (b"x-emulator-failure", b"1") in headers

    workers.run(test)


def test_what_wait_until_rejects_with_is_told(workers: Workers) -> None:
    workers.add("""
        export default {
          fetch(request, env, ctx) {
            ctx.waitUntil(scheduler.wait(1).then(() => { throw new Error("late"); }));
            return new Response("ok");
          },
        };
    """)

    async def test(host: WorkerdHost) -> None:
        assert await text(host) == "ok"
        failed = await workers.until(lambda: workers.failed[0] if workers.failed else None)
        assert (failed.trigger, failed.failure.summary) == ("waitUntil", "Error: late")
        assert workers.output == []

    workers.run(test)


def test_a_missing_handler_is_said(workers: Workers) -> None:
    workers.add("export default { queue() {}, scheduled() {} };")

    async def test(host: WorkerdHost) -> None:
        with pytest.raises(
            HandlerMissing, match="worker app has no fetch handler, it has queue and scheduled; add a fetch"
        ):
            await fetch(host, server_request())

    workers.run(test)


@pytest.mark.parametrize(
    ("source", "settings", "expected"),
    [
        ("export const a = () => {};", {}, "index.js has no default export; a worker exports its handlers"),
        ("export default {};", {}, "index.js: the default export has no handler"),
        ("export default {\n  fetch() { return 1 \n", {}, "SyntaxError: Unexpected end of input"),
        ('const a = 1;\nthrow new Error("at the top");\nexport default {};', {}, "Error: at the top"),
        ('import a from "./missing.js"; export default {};', {}, 'Could not resolve "./missing.js"'),
        (OK, {"compatibility_flags": frozenset({"nonsense"})}, "compatibility_flags: workerd has no flag 'nonsense'"),
        (
            OK,
            {"compatibility_flags": frozenset({"nodejs_compat", "no_nodejs_compat"})},
            "wrangler.jsonc: Compatibility flags are mutually contradictory: nodejs_compat vs no_nodejs_compat",
        ),
    ],
    ids=["no default", "no handler", "syntax", "top level", "import", "flag", "flags"],
)
def test_code_that_does_not_load_is_held_with_a_reason(
    workers: Workers, source: str, settings: dict[str, Any], expected: str
) -> None:
    workers.add(source, **settings)

    async def test(host: WorkerdHost) -> None:
        assert host.failure is not None
        assert expected in host.failure.summary
        with pytest.raises(NotLoaded):
            await fetch(host, server_request())

    workers.run(test)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("export default {\n  fetch() { return new Response(; }\n};", 2),
        ('const a = 1;\nthrow new Error("at the top");\nexport default {};', 2),
    ],
)
def test_a_failure_to_load_names_the_line(workers: Workers, source: str, line: int) -> None:
    config = workers.add(source)

    async def test(host: WorkerdHost) -> None:
        assert host.failure is not None
        assert host.failure.location == f"{config.main}:{line}"

    workers.run(test)


def test_a_missing_workerd_is_said(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMULATOR_WORKERD", "/nowhere/workerd")
    workers.add(OK)

    async def test(host: WorkerdHost) -> None:
        assert host.failure is not None
        assert host.failure.text == "EMULATOR_WORKERD names /nowhere/workerd, which does not exist"

    workers.run(test)


def test_a_workerd_that_does_not_run_here_is_said(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    binary = tmp_path / "workerd"
    binary.write_bytes(b"\x7fELF of another machine")
    binary.chmod(0o755)
    monkeypatch.setenv("EMULATOR_WORKERD", str(binary))
    workers.add(OK)

    async def test(host: WorkerdHost) -> None:
        assert host.failure is not None
        assert str(binary) in host.failure.text

    workers.run(test)


def test_a_compatibility_date_that_workerd_does_not_know_yet_is_its_newest(workers: Workers) -> None:
    workers.add(OK, compatibility_date="2999-01-01")

    async def test(host: WorkerdHost) -> None:
        assert await text(host) == "ok"
        assert "compatibility_date 2999-01-01 is newer than this workerd" in workers.notices[0].text

    workers.run(test)


def test_output_has_its_level_worker_and_trigger(workers: Workers) -> None:
    workers.add("""
        console.log("at the top");
        export default {
          fetch() {
            console.log("an object", { a: [1, { b: 2 }] });
            console.debug("debug");
            console.warn("warn");
            console.error("two\\nlines");
            return new Response("ok");
          },
        };
    """)

    async def test(host: WorkerdHost) -> None:
        await fetch(host, server_request("/path"))
        assert [(event.trigger, event.level, event.text) for event in workers.output] == [
            ("", "info", "at the top"),
            ("GET /path", "info", "an object { a: [ 1, { b: 2 } ] }"),
            ("GET /path", "debug", "debug"),
            ("GET /path", "warning", "warn"),
            ("GET /path", "error", "two\nlines"),
        ]
        assert {event.worker for event in workers.output} == {"app"}

    workers.run(test)


def send(workers: Workers, *bodies: bytes, content_type: ContentType = "json", queue: str = "jobs") -> None:
    run_now(workers.session.queues.send(queue, [NewMessage(body, content_type) for body in bodies], source="test"))


def waiting(workers: Workers, queue: str) -> list[QueueMessage]:
    return list(run_now(workers.session.queues.peek(queue, 100)))


def test_every_kind_of_body_that_javascript_sends_arrives(workers: Workers) -> None:
    workers.add("""
        const bodies = [
          [{ a: [1, "é"] }, "json"],
          ["text", "text"],
          [new Uint8Array([1, 2, 255]), "bytes"],
          [new Map([["when", new Date(0)], ["set", new Set([1n])]]), "v8"],
        ];
        export default {
          async fetch(request, env) {
            const batch = bodies.map(([body, contentType]) => ({ body, contentType }));
            const result = await env.QUEUE.sendBatch(batch);
            return Response.json(result.metadata.metrics.backlogCount);
          },
          queue(batch) {
            for (const { body, attempts, id, timestamp } of batch.messages) {
              const kind = Object.prototype.toString.call(body);
              console.log(kind, body, attempts, id.length, timestamp instanceof Date);
            }
            console.log(batch.queue, batch.messages.length, batch.metadata.metrics.backlogCount);
          },
        };
    """, **consumer())  # fmt: skip

    async def test(host: WorkerdHost) -> None:
        assert await text(host) == "4"
        await workers.until_line("jobs 4 4")
        assert " ".join(workers.lines()[:-1]).split(" 1 32 true") == [
            "[object Object] { a: [ 1, 'é' ] }",
            " [object String] text",
            " [object Uint8Array] Uint8Array(3) [ 1, 2, 255 ]",
            " [object Map] Map(2) { 'when' => 1970-01-01T00:00:00.000Z, 'set' => Set(1) { 1n } }",
            "",
        ]

    workers.run(test)


def test_a_v8_message_from_python_arrives_as_the_value(workers: Workers) -> None:
    workers.add("""
        export default {
          queue(batch) {
            const { when, ids, raw, big } = batch.messages[0].body;
            console.log(when.toISOString(), ids.has("a"), raw instanceof Uint8Array, raw.length, big === 2n ** 70n);
          },
        };
    """, **consumer())  # fmt: skip

    async def test(host: WorkerdHost) -> None:
        from datetime import UTC, datetime

        value = {"when": datetime(2026, 1, 2, tzinfo=UTC), "ids": {"a"}, "raw": b"abc", "big": 2**70}
        send(workers, encode(value, "v8"), content_type="v8")
        line = await workers.until_line("true")
        assert line.text == "2026-01-02T00:00:00.000Z true true 3 true"
        assert line.trigger == "QUEUE jobs"

    workers.run(test)


def test_a_v8_message_from_javascript_arrives_in_python_as_the_value(workers: Workers) -> None:
    settings = consumer()
    workers.add(
        """
        export default {
          async fetch(request, env) {
            const body = { when: new Date(0), ids: new Set(["a"]), raw: new Uint8Array([1, 2]), big: 2n ** 70n };
            body.list = [body.ids, undefined, 1.5, -3];
            await env.QUEUE.send(body, { contentType: "v8" });
            return new Response("sent");
          },
        };
        """,
        producers=settings["producers"],
    )
    workers.add(
        """
        from workers import WorkerEntrypoint

        class Default(WorkerEntrypoint):
            async def queue(self, batch, env, ctx):
                body = batch.messages[0].body
                assert body == {
                    "when": body["when"], "ids": {"a"}, "raw": b"\\1\\2", "big": 2**70,
                    "list": [{"a"}, None, 1.5, -3],
                }, body
                assert body.when.isoformat() == "1970-01-01T00:00:00+00:00"
        """,
        "python",
        ".py",
        consumers=settings["consumers"],
    )

    async def test(host: WorkerdHost) -> None:
        assert await text(host) == "sent"
        delivered = await workers.until(lambda: workers.delivered[0] if workers.delivered else None)
        assert (delivered.verdict.outcome, delivered.verdict.traceback) == ("ok", "")

    workers.run(test)


def test_delays_of_messages_batches_and_queues_hold(workers: Workers) -> None:
    workers.add("""
        export default {
          async fetch(request, env) {
            await env.QUEUE.send(1);
            await env.QUEUE.send(2, { delaySeconds: 0 });
            await env.QUEUE.sendBatch([{ body: 3 }, { body: 4, delaySeconds: 50 }], { delaySeconds: 7 });
            return new Response("ok");
          },
        };
    """, producers=(Producer("QUEUE", "jobs"),))  # fmt: skip

    async def test(host: WorkerdHost) -> None:
        await workers.session.queues.update_queue("jobs", QueueSettings(delivery_delay=9))
        await text(host)
        delays = {decode(m.body, "json"): round(m.ready_at - m.timestamp) for m in waiting(workers, "jobs")}
        assert delays == {1: 9, 2: 0, 3: 7, 4: 50}

    workers.run(test)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('send("x".repeat(128000))', "Error: Message is 128,002 bytes long, over the limit of 128,000 bytes (10204)"),
        ("send(1, { delaySeconds: 86401 })", "(10203)"),
        ("sendBatch([{ body: 1 }], { delaySeconds: -1 })", "(10202)"),
        ("sendBatch(Array(101).fill({ body: 1 }))", "(10206)"),
        ("send(undefined)", "TypeError: Message body cannot be undefined"),
        ("send(() => 1)", "Error: Message body is nothing that JSON can say: a function or a symbol (10208)"),
        ('send(Symbol("x"))', "(10208)"),
        ("send({ toJSON() {} })", "(10208)"),
        ("sendBatch([{ body: 1 }, { body: () => 1 }])", "(10208)"),
        ("send(1n)", "TypeError: Do not know how to serialize a BigInt"),
        (
            "send(1, { delaySeconds: 2 ** 31 })",
            "TypeError: Value out of range. Must be between -2147483648 and 2147483647",
        ),
        ('send(new ArrayBuffer(3), { contentType: "bytes" })', 'TypeError: Content Type "bytes" requires'),
        ('sendBatch([{ body: "x", contentType: "TEXT" }])', "TypeError: Unsupported queue message content type: TEXT"),
        ('send("x", { contentType: "TEXT" })', "accepted"),
        ('send(1, { contentType: "text" })', 'TypeError: Content Type "text" requires a value of type string'),
    ],
)
def test_what_the_queue_refuses_is_thrown_with_its_code(workers: Workers, call: str, expected: str) -> None:
    workers.add(f"""
        export default {{
          async fetch(request, env) {{
            try {{ await env.QUEUE.{call}; return new Response("accepted"); }}
            catch (error) {{ return new Response(String(error)); }}
          }},
        }};
    """, **consumer())  # fmt: skip
    assert expected in workers.run(text)


def test_a_delay_is_converted_to_whole_seconds(workers: Workers) -> None:
    workers.add("""
        export default {
          async fetch(request, env) {
            for (const delaySeconds of [1.7, "5", " 0x10 ", true, -0.5, NaN, Infinity, "soon"]) {
              await env.QUEUE.send(String(delaySeconds), { delaySeconds, contentType: "text" });
            }
            return new Response("ok");
          },
        };
    """, **consumer(max_batch_timeout=60))  # fmt: skip

    async def test(host: WorkerdHost) -> None:
        await text(host)
        delays = {m.body: round(m.ready_at - m.timestamp) for m in waiting(workers, "jobs")}
        positive = {b"1.7": 1, b"5": 5, b" 0x10 ": 16, b"true": 1}
        assert delays == positive | dict.fromkeys((b"-0.5", b"NaN", b"Infinity", b"soon"), 0)

    workers.run(test)


def test_an_older_worker_is_told_the_cause_without_the_code(workers: Workers) -> None:
    workers.add("""
        export default {
          async fetch(request, env) {
            try { await env.QUEUE.send("x".repeat(128000)); }
            catch (error) { return new Response(String(error)); }
          },
        };
    """, compatibility_date="2025-01-01", **consumer())  # fmt: skip
    expected = "Error: Queue send failed: Message is 128,002 bytes long, over the limit of 128,000 bytes"
    assert workers.run(text) == expected


def test_acks_and_retries_settle_as_the_handler_asked(workers: Workers) -> None:
    workers.add("""
        export default {
          queue(batch) {
            for (const message of batch.messages) {
              if (message.body === "ack") message.ack();
              if (message.body === "retry") message.retry({ delaySeconds: 100 });
            }
            batch.retryAll({ delaySeconds: 200 });
          },
        };
    """, **consumer())  # fmt: skip

    async def test(host: WorkerdHost) -> None:
        send(workers, b'"ack"', b'"retry"', b'"rest"')
        delivered = await workers.until(lambda: workers.delivered[0] if workers.delivered else None)
        settlement = delivered.settlement
        assert [message.body for message in settlement.acked] == [b'"ack"']
        assert [(message.body, delay) for message, delay in settlement.retried] == [(b'"retry"', 100), (b'"rest"', 200)]

    workers.run(test)


def test_a_call_that_comes_too_late_has_no_effect_and_workerd_says_so(workers: Workers) -> None:
    workers.add("""
        export default {
          queue(batch) {
            batch.ackAll();
            batch.messages[0].retry();
            batch.retryAll();
          },
        };
    """, **consumer())  # fmt: skip

    async def test(host: WorkerdHost) -> None:
        send(workers, b"1")
        delivered = await workers.until(lambda: workers.delivered[0] if workers.delivered else None)
        assert len(delivered.settlement.acked) == 1
        await workers.until_line("retryAll() after ackAll()")
        assert [(event.level, event.trigger) for event in workers.output] == [("warning", "QUEUE jobs")] * 2

    workers.run(test)


def test_an_acked_message_stays_acked_when_the_handler_throws(workers: Workers) -> None:
    config = workers.add("""\
        export default {
          async queue(batch) {
            batch.messages[0].ack();
            throw new Error("after the ack");
          },
        };
    """, **consumer(retry_delay=60))  # fmt: skip

    async def test(host: WorkerdHost) -> None:
        send(workers, b"1", b"2")
        delivered = await workers.until(lambda: workers.delivered[0] if workers.delivered else None)
        assert [message.body for message in delivered.settlement.acked] == [b"1"]
        assert [message.body for message, _ in delivered.settlement.retried] == [b"2"]
        assert delivered.verdict.error == "Error: after the ack"
        assert f"{config.main}:4" in delivered.verdict.traceback
        (failed,) = workers.failed
        assert failed.trigger == "QUEUE jobs"
        assert workers.output == []

    workers.run(test)


def test_an_ack_stays_where_the_error_has_half_of_a_surrogate_pair(workers: Workers) -> None:
    workers.add("""
        export default {
          queue(batch) {
            for (const message of batch.messages) {
              JSON.parse(message.body);
              message.ack();
            }
          },
        };
    """, **consumer(retry_delay=60))  # fmt: skip

    async def test(host: WorkerdHost) -> None:
        send(workers, b"1", "\U0001f600 hello".encode(), content_type="text")
        delivered = await workers.until(lambda: workers.delivered[0] if workers.delivered else None)
        assert [message.body for message in delivered.settlement.acked] == [b"1"]
        assert [message.body for message, _ in delivered.settlement.retried] == ["\U0001f600 hello".encode()]
        assert delivered.verdict.error.startswith("SyntaxError: Unexpected token '\ufffd'")
        assert len(workers.failed) == 1

    workers.run(test)


@pytest.mark.parametrize(
    ("thrown", "error"),
    [
        (r"new Error('a \ud83d b')", "Error: a \ufffd b"),
        (r"'just \udc00 text'", "thrown: just \ufffd text"),
        ("Object.defineProperty(new Error(), 'stack', { get() { throw 1; } })", "thrown: a value that cannot be"),
        ("new Error('x'.repeat(200_000))", "Error: xxx"),
    ],
)
def test_an_ack_stays_whatever_is_thrown(workers: Workers, thrown: str, error: str) -> None:
    workers.add(f"""
        export default {{
          fetch() {{ throw {thrown}; }},
          scheduled() {{ throw {thrown}; }},
          queue(batch, env, ctx) {{
            batch.messages[0].ack();
            ctx.waitUntil(Promise.reject({thrown}));
            throw {thrown};
          }},
        }};
    """, **consumer(retry_delay=60))  # fmt: skip

    async def test(host: WorkerdHost) -> None:
        send(workers, b"1", b"2")
        delivered = await workers.until(lambda: workers.delivered[0] if workers.delivered else None)
        assert [message.body for message in delivered.settlement.acked] == [b"1"]
        assert delivered.verdict.error.startswith(error)
        assert len(delivered.verdict.error.encode()) <= MAX_ERROR_BYTES
        assert len(delivered.verdict.traceback.encode()) <= MAX_TRACEBACK_BYTES
        for invoked in (fetch(host, server_request()), run_scheduled(host, "\ud83d", 1)):
            with pytest.raises(HandlerError) as caught:
                await invoked
            assert caught.value.failure.summary.startswith(error)

    workers.run(test)


def test_what_is_printed_and_fails_late_with_half_of_a_surrogate_pair_is_told(workers: Workers) -> None:
    workers.add(r"""
        export default {
          fetch(request, env, ctx) {
            console.log("printed \ud83d");
            ctx.waitUntil(Promise.reject(new Error("late \ud83d")));
            return new Response("ok");
          },
        };
    """)

    async def test(host: WorkerdHost) -> None:
        assert await text(host) == "ok"
        await workers.until_line("printed ")
        failed = await workers.until(lambda: workers.failed[0] if workers.failed else None)
        assert failed.failure.summary == "Error: late \ufffd"

    workers.run(test)


def test_scheduled_work_that_throws_is_a_failure(workers: Workers) -> None:
    workers.add("""
        export default {
          async scheduled(controller, env, ctx) {
            throw new Error(`${controller.cron} at ${controller.scheduledTime}`);
          },
        };
    """)

    async def test(host: WorkerdHost) -> None:
        with pytest.raises(HandlerError, match=r"Error: 5 \* \* \* \* at 60000"):
            await run_scheduled(host, "5 * * * *", 60_000)
        assert [event.trigger for event in workers.failed] == ["SCHEDULED 5 * * * *"]

    workers.run(test)


# Code that spins


@pytest.fixture
def quick_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.hosts.workerd.watchdog.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("emulator.hosts.workerd.watchdog.BLOCKED_SECONDS", 0.05)


SPINNING = """
    export default {
      fetch(request) {
        const { pathname } = new URL(request.url);
        if (pathname === "/spin") {
          console.log("began");
          while (true);
        }
        return new Response("ok");
      },
      queue(batch) { if (batch.messages[0].attempts === 1) while (true); },
    };
"""


@pytest.mark.usefixtures("quick_watchdog")
def test_a_handler_that_spins_is_named_and_ended_at_its_limit(workers: Workers) -> None:
    workers.add(SPINNING, cpu_ms=300)
    limit = r"more than 300 ms of CPU time without a pause \(limits.cpu_ms\)"

    async def test(host: WorkerdHost) -> None:
        spinning = asyncio.ensure_future(text(host, "/spin"))
        await workers.until_line("began")
        await workers.until(lambda: [notice for notice in workers.notices if "GET /spin" in notice.text])
        waiting = asyncio.ensure_future(text(host))
        with pytest.raises(HandlerError, match=f"CpuLimitExceeded: the handler used {limit}"):
            await spinning
        with pytest.raises(HandlerError, match=f"waited, because another handler used {limit}"):
            await waiting
        assert await text(host) == "ok"

    workers.run(test)
    [gone] = workers.exits
    assert gone.reason.startswith("was ended, because a handler used more than 300 ms of CPU time")


@pytest.mark.usefixtures("quick_watchdog")
def test_a_batch_that_spins_has_exceeded_its_cpu_time_and_is_retried(workers: Workers) -> None:
    workers.add(SPINNING, cpu_ms=300, **consumer())

    async def test(_host: WorkerdHost) -> None:
        send(workers, b"1")
        await workers.until(lambda: len(workers.delivered) == 2)

    workers.run(test)
    assert [event.verdict.outcome for event in workers.delivered] == ["exceeded_cpu", "ok"]


def test_a_reload_lets_what_runs_finish_on_the_old_code(workers: Workers) -> None:
    source = """
        export default {
          async fetch(request, env, ctx) {
            console.log("began VERSION");
            ctx.waitUntil(scheduler.wait(300).then(() => console.log("work of VERSION is done")));
            await scheduler.wait(200);
            return new Response("VERSION");
          },
        };
    """
    workers.add(source.replace("VERSION", "old"))

    async def test(host: WorkerdHost) -> None:
        before = asyncio.ensure_future(text(host))
        await workers.until_line("began old")
        workers.write(source.replace("VERSION", "new"))
        await workers.session.reload(0)
        after = asyncio.ensure_future(text(host))
        assert await before == "old"
        assert await after == "new"
        await workers.until_line("work of old is done")

    workers.run(test)
    assert "work of new is done" in workers.lines()  # stopping waits for it too


def test_old_code_that_does_not_give_way_is_ended(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.hosts.workerd.version.STUCK_SECONDS", 0.2)
    workers.add('export default { fetch() { console.log("began"); while (true); } };')

    async def test(host: WorkerdHost) -> None:
        stuck = asyncio.ensure_future(text(host))
        await workers.until_line("began")
        workers.write(OK)
        await workers.session.reload(0)
        assert await text(host) == "ok"
        with pytest.raises(HandlerError, match="workerd was killed by SIGKILL while it ran the handler"):
            await stuck
        (notice,) = workers.notices
        assert notice.text == "the old code did not stop by itself, so its process was ended"

    workers.run(test)


def test_old_code_that_waits_for_long_is_left_to_finish(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.hosts.workerd.version.STUCK_SECONDS", 0.05)
    workers.add("""
        export default {
          async fetch() {
            console.log("began");
            await scheduler.wait(500);
            return new Response("finished");
          },
        };
    """)

    async def test(host: WorkerdHost) -> None:
        before = asyncio.ensure_future(text(host))
        await workers.until_line("began")
        workers.write(OK)
        await workers.session.reload(0)
        assert await before == "finished"
        assert workers.notices == []

    workers.run(test)


def test_old_code_stays_in_service_while_new_code_is_only_tried(workers: Workers) -> None:
    config = workers.add(OK)

    async def test(host: WorkerdHost) -> None:
        workers.write("export default {")
        failure = await host.try_reload(config)
        assert failure is not None
        assert host.failure is None
        assert await text(host) == "ok"
        host.fail(failure)
        with pytest.raises(NotLoaded):
            await text(host)
        workers.write(OK.replace("ok", "new"))
        assert await host.try_reload(config) is None
        assert await text(host) == "new"

    workers.run(test)


def test_messages_wait_while_the_code_does_not_load(workers: Workers) -> None:
    good = 'export default { queue(batch) { console.log("got", batch.messages[0].attempts); } };'
    workers.add(good, **consumer())

    async def test(host: WorkerdHost) -> None:
        workers.write("export default {")
        await workers.session.reload(0)
        assert host.failure is not None
        send(workers, b"1")
        workers.write(good)
        await workers.session.reload(0)
        assert host.failure is None
        await workers.until_line("got 1")

    workers.run(test)


def test_what_runs_after_a_reload_is_linked_though_causes_were_not_followed_just_then(workers: Workers) -> None:
    source = 'export default { fetch() { console.log("hello"); return new Response("ok"); } };'
    workers.add(source)
    acts = Acts(lambda: 1.0, is_exported=False)
    workers.bus.follow(acts)

    async def test(host: WorkerdHost) -> None:
        workers.bus.acts = None  # as while there is too much to record
        workers.write(source.replace("hello", "again"))
        await workers.session.reload(0)
        workers.bus.acts = acts
        act = acts.begin()
        token = acting.set(act)
        assert await text(host) == "ok"
        acting.reset(token)
        assert (await workers.until_line("again")).act == act

    workers.run(test)


def test_changed_vars_come_with_the_reload(workers: Workers) -> None:
    from msgspec.structs import replace

    config = workers.add("export default { fetch(_, env) { return new Response(env.A); } };", vars={"A": "1"})

    async def test(host: WorkerdHost) -> None:
        await workers.session.reconfigure(0, replace(config, **declared(vars={"A": "2"})))
        assert await text(host) == "1"
        await workers.session.reload(0)
        assert await text(host) == "2"

    workers.run(test)


def test_nothing_is_left_of_a_session_that_has_stopped(workers: Workers) -> None:
    workers.add(OK)
    workers.add(OK, "other")

    async def test(host: WorkerdHost) -> Path:
        assert len(workerd_of(os.getpid())) == 2
        return host._sockets.path

    directory = workers.run(test)
    assert not directory.exists()
    assert not [name for name in processes_below(os.getpid()).values() if name in ("sh", "workerd")]


def test_a_workerd_that_dies_is_started_again_and_nothing_is_lost(workers: Workers) -> None:
    workers.add("""
        export default {
          fetch() { return new Response("ok"); },
          async queue(batch) {
            console.log("attempt", batch.messages[0].attempts);
            if (batch.messages[0].attempts === 1) await scheduler.wait(60_000);
          },
        };
    """, **consumer())  # fmt: skip

    async def test(host: WorkerdHost) -> None:
        send(workers, b"1")
        await workers.until_line("attempt 1")
        (pid,) = workerd_of(os.getpid())
        os.kill(pid, signal.SIGKILL)
        await workers.until_line("attempt 2")
        first = workers.delivered[0]
        assert first.verdict.outcome == "exception"
        assert first.verdict.error == "workerd was killed by SIGKILL while it ran the handler"
        assert workers.exits == [RuntimeExited("app", "was killed by SIGKILL", 0.0)]
        assert await text(host) == "ok"

    workers.run(test)


def test_requests_wait_for_a_workerd_that_is_started_again(workers: Workers) -> None:
    workers.add(OK)

    async def test(host: WorkerdHost) -> None:
        for _ in range(2):
            (pid,) = workerd_of(os.getpid())
            os.kill(pid, signal.SIGKILL)
            count = len(workers.exits)
            await workers.until(lambda count=count: len(workers.exits) > count)  # type: ignore[misc]
            assert await text(host) == "ok"
        assert [event.restart_seconds for event in workers.exits] == [0.0, 0.1]

    workers.run(test)


def test_what_workerd_cannot_be_started_for_is_tried_again_while_messages_wait(
    workers: Workers, workerd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers.add(
        'export default { queue(batch) { console.log("attempt", batch.messages[0].attempts); } };', **consumer()
    )

    async def test(host: WorkerdHost) -> None:
        monkeypatch.setenv("EMULATOR_WORKERD", "/nowhere/workerd")
        (pid,) = workerd_of(os.getpid())
        os.kill(pid, signal.SIGKILL)
        await workers.until(lambda: [event for event in workers.exits if event.reason.startswith("failed to start")])
        assert host.failure is not None
        send(workers, b"1")
        monkeypatch.setenv("EMULATOR_WORKERD", workerd)
        await workers.until_line("attempt 1")
        assert host.failure is None

    workers.run(test)
