"""Telemetry of the real program, as a collector gets it."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.telemetry.telemetry import FLUSH_SECONDS
from tests.integration.conftest import Running, write_worker
from tests.support.languages import LANGUAGES, write_project
from tests.support.node_tools import needs_node
from tests.support.otlp import Collector, Span, collecting

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}

PYTHON = """
import asyncio
from urllib.parse import urlsplit

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = urlsplit(request.url).path
        print("working on", path)
        await asyncio.sleep(0.2)
        await self.env.STORE.put(path, "value")
        await self.env.JOBS.send({"path": path})
        self.ctx.waitUntil(self.later(path))
        if path == "/boom":
            raise TypeError("boom")
        return Response("ok")

    async def later(self, path):
        await asyncio.sleep(0.1)
        await self.env.STORE.get(f"late {path}")
        print("done with", path)

    async def queue(self, batch, env, ctx):
        print("batch of", batch.queue, [str(message.body) for message in batch.messages])
        await self.env.STORE.get("job")
        if batch.queue == "jobs":
            raise ValueError("no")

    async def scheduled(self, controller, env, ctx):
        print("tick")
        await self.env.STORE.delete("tick")
"""

JAVASCRIPT = """
import { env as shared } from "cloudflare:workers";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let store;

async function later(path) {
  await sleep(100);
  await shared.STORE.get(`late ${path}`);
  console.log("done with %s", path);
}

export default {
  async fetch(request, env, ctx) {
    store ??= env.STORE; // as many workers do, for all requests
    const path = new URL(request.url).pathname;
    console.log("working on", path);
    await sleep(200);
    await store.put(path, "value");
    await env.JOBS.send({ path });
    ctx.waitUntil(later(path));
    if (path === "/boom") {
      throw new TypeError("boom");
    }
    return new Response("ok");
  },
  async queue(batch, env) {
    console.log("batch of", batch.queue, batch.messages.map((message) => JSON.stringify(message.body)));
    await env.STORE.get("job");
    if (batch.queue === "jobs") {
      throw new RangeError("no");
    }
  },
  async scheduled(controller, env) {
    console.log("tick");
    await env.STORE.delete("tick");
  },
};
"""

SETTINGS = {
    "kv_namespaces": [{"binding": "STORE", "id": "store"}],
    "queues": {
        "producers": [{"binding": "JOBS", "queue": "jobs"}],
        "consumers": [
            {"queue": "jobs", "max_batch_timeout": 0, "max_retries": 1, "dead_letter_queue": "jobs-dlq"},
            {"queue": "jobs-dlq", "max_batch_timeout": 0},
        ],
    },
}

SOURCES = {"entry.py": PYTHON, "index.js": JAVASCRIPT}

Dev = Callable[..., Running]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


def variables(collector: Collector, **more: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50", **more}


@pytest.fixture
def start_app(dev: Dev, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Running]:
    """Starts `emulator dev` with the worker in a language, which exports to a collector."""

    def start(main: str, environment: dict[str, str], sources: Mapping[str, str] = SOURCES, **settings: Any) -> Running:
        if main.endswith(".js"):
            request.getfixturevalue("javascript")
        write_project(tmp_path, main, sources, {**SETTINGS, **settings})
        return dev(tmp_path, "--no-persist", "-c", "wrangler.json", environment=environment)

    return start


def ids(links: list[tuple[str, str]]) -> list[str]:
    return [link for _, link in links]


@pytest.mark.parametrize("main", LANGUAGES)
def test_a_request_leads_to_a_dead_letter_by_spans_and_links(
    start_app: Callable[..., Running], collector: Collector, client: httpx.Client, main: str
) -> None:
    running = start_app(main, variables(collector))
    assert client.get(f"{running.url}/a?b=1", headers=TRACEPARENT).text == "ok"
    collector.wait_until(lambda it: bool(it.named("attempt jobs-dlq")))
    running.end()

    [request] = collector.named("GET /a")
    assert (request.service, request.kind, request.trace, request.parent) == ("app", "SERVER", TRACE, PARENT)
    assert request.attributes["url.query"] == "b=1"
    assert request.attributes["http.response.status_code"] == 200
    assert request.ended - request.began > 150_000_000
    assert collector.below(request) == ["kv_get", "kv_put", "send jobs"]
    put = collector.named("kv_put")[0]
    assert (put.kind, put.attributes["cloudflare.binding.name"], put.error) == ("CLIENT", "STORE", None)
    assert put.attributes["emulator.binding.key"] == "/a"
    [send] = collector.named("send jobs")
    assert (send.kind, send.links) == ("PRODUCER", [])

    first, second = collector.named("process jobs")
    for number, delivery in enumerate((first, second), 1):
        assert delivery.kind == "CONSUMER"
        assert delivery.parent == ""
        assert delivery.links == [(TRACE, send.id)]
        assert delivery.error is not None
        assert delivery.error.endswith(": no")
        assert delivery.events["exception"]["exception.message"] == delivery.error
        assert collector.below(delivery) == ["attempt jobs", "kv_get"]
        attempt = collector.named("attempt jobs")[number - 1]
        assert attempt.attributes["emulator.attempt"] == number
        assert ids(attempt.links) == [send.id]
        assert attempt.attributes["messaging.message.id"] == send.attributes["messaging.message.id"]
    assert len({request.trace, first.trace, second.trace}) == 3
    results = [span.attributes["emulator.result"] for span in collector.named("attempt jobs")]
    assert results == ["retried", "dead"]

    [letter] = collector.named("dead letter jobs-dlq")
    assert letter.parent == collector.named("attempt jobs")[1].id
    assert letter.attributes["emulator.dead_letter.queue"] == "jobs"
    [buried] = collector.named("process jobs-dlq")
    assert buried.links == [(letter.trace, letter.id)]
    assert buried.error is None

    assert collector.logged(request) == ["working on /a", "done with /a"]
    body = "{'path': '/a'}" if main.endswith(".py") else """'{"path":"/a"}'"""
    for delivery in (first, second):
        text, failure = collector.logged(delivery)
        assert text.startswith("batch of jobs [")
        assert body in text
        assert "traceparent" not in text
        assert failure == delivery.error
    assert {record.service for record in collector.records} == {"app"}
    severities = {record.text: record.severity for record in collector.records}
    assert severities["working on /a"] == "INFO"
    assert severities[first.error or ""] == "ERROR"

    assert collector.last("emulator_messages_sent", queue="jobs", source="app") == 1
    assert collector.last("emulator_messages_settled", queue="jobs", result="retried") == 1
    assert collector.last("emulator_messages_settled", queue="jobs", result="dead") == 1
    assert collector.last("emulator_messages_settled", queue="jobs-dlq", result="acked") == 1
    assert collector.last("emulator_delivery_seconds", queue="jobs", worker="app", outcome="exception") == 2
    assert collector.last("emulator_request_seconds", worker="app", method="GET", status=200) == 1
    for gauge in ("messages", "bytes", "oldest_seconds", "in_flight"):
        assert collector.last(f"emulator_queue_{gauge}", queue="jobs") == 0


@pytest.mark.parametrize("main", LANGUAGES)
def test_requests_that_run_at_once_are_told_apart(
    start_app: Callable[..., Running], collector: Collector, client: httpx.Client, main: str
) -> None:
    running = start_app(main, variables(collector))
    paths = [f"/{number}" for number in range(6)]
    with ThreadPoolExecutor(len(paths)) as pool:
        assert [answer.text for answer in pool.map(lambda path: client.get(running.url + path), paths)] == ["ok"] * 6
    collector.wait_until(lambda it: all(len(it.named(name)) >= 6 for name in ("send jobs", "kv_put")))
    collector.wait_until(
        lambda it: sum("late" in span.attributes["emulator.binding.key"] for span in it.named("kv_get")) == 6
    )
    running.end()
    requests = [span for path in paths for span in collector.named(f"GET {path}")]
    first, second, *_ = sorted(requests, key=lambda span: span.began)
    assert second.began < first.ended
    for path, request in zip(paths, requests, strict=True):
        assert collector.below(request) == ["kv_get", "kv_put", "send jobs"]
        keys = [
            span.attributes["emulator.binding.key"]
            for name in ("kv_put", "kv_get")
            for span in collector.named(name)
            if span.trace == request.trace
        ]
        assert keys == [path, f"late {path}"]
        assert collector.logged(request) == [f"working on {path}", f"done with {path}"]


@pytest.mark.parametrize("main", LANGUAGES)
def test_a_handler_that_raises_and_one_that_a_cron_runs(
    start_app: Callable[..., Running], collector: Collector, client: httpx.Client, main: str
) -> None:
    running = start_app(main, variables(collector))
    assert client.get(f"{running.url}/boom").status_code == 500
    assert client.get(f"{running.url}/cdn-cgi/handler/scheduled?cron=0+0+*+*+*").status_code == 200
    collector.wait_until(lambda it: bool(it.named("GET /boom") and it.named("scheduled 0 0 * * *")))
    running.end()
    [request] = collector.named("GET /boom")
    assert request.parent == ""
    assert request.error == "TypeError: boom"
    assert request.events["exception"]["exception.type"] == "TypeError"
    assert "boom" in request.events["exception"]["exception.stacktrace"]
    [cron] = collector.named("scheduled 0 0 * * *")
    assert cron.attributes["faas.trigger"] == "timer"
    assert collector.below(cron) == ["kv_delete"]
    assert collector.logged(cron) == ["tick"]


LOOK = """
import { WorkerEntrypoint, env as shared } from "cloudflare:workers";

const atImport = Object.keys(shared);

export class Other extends WorkerEntrypoint {}

export default class extends WorkerEntrypoint {
  async fetch() {
    await this.env.STORE.put("a", "b");
    const seen = [atImport, Object.keys(shared), Object.keys(this.env)];
    return Response.json([...seen, this.ctx.props, Object.keys(this.ctx.exports ?? {}).sort()]);
  }
}
"""

SCRIPT = """
const own = ["ExtendableEvent", "FetchEvent", "STORE", "ScheduledEvent"];
const atImport = Object.keys(globalThis).filter((name) => own.includes(name) || name.startsWith("emulator")).sort();

addEventListener("fetch", (event) => event.respondWith(answer()));

async function answer() {
  await STORE.put("a", "b");
  return Response.json(atImport);
}
"""


@needs_node
@pytest.mark.usefixtures("javascript")
@pytest.mark.parametrize("source", [LOOK, SCRIPT], ids=["class", "script"])
def test_javascript_sees_nothing_of_what_tells_its_requests_apart(
    dev: Dev, collector: Collector, client: httpx.Client, tmp_path: Path, source: str
) -> None:
    write_project(tmp_path, "index.js", {"index.js": source}, {"kv_namespaces": SETTINGS["kv_namespaces"]})
    seen = []
    for environment in ({}, variables(collector)):
        running = dev(tmp_path, "--no-persist", "-c", "wrangler.json", environment=environment)
        seen.append(client.get(f"{running.url}/").json())
        running.end()
    assert seen[0] == seen[1]
    assert "STORE" in str(seen[0])
    [request] = collector.named("GET /")
    assert collector.below(request) == ["kv_put"]


FETCHES = {
    "entry.py": """
from workers import Response, WorkerEntrypoint, fetch


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/inner"):
            return Response("inner", status=404)
        answer = await fetch(request.url.replace("/outer", "/inner"), method="PUT", body="content")
        try:
            await fetch("http://127.0.0.1:9/nobody")
        except OSError:
            return Response(f"{answer.status} {await answer.text()}")
""",
    "index.js": """
export default {
  async fetch(request) {
    if (request.url.endsWith("/inner")) {
      return new Response("inner", { status: 404 });
    }
    const url = new URL("/inner", request.url);
    const answer = await fetch(new Request(url, { method: "PUT", body: "content" }));
    try {
      await fetch("http://127.0.0.1:9/nobody");
    } catch {
      return new Response(`${answer.status} ${await answer.text()}`);
    }
  },
};
""",
}


@pytest.mark.parametrize("main", LANGUAGES)
def test_what_worker_code_fetches_is_told(
    start_app: Callable[..., Running], collector: Collector, client: httpx.Client, main: str
) -> None:
    running = start_app(main, variables(collector), FETCHES)
    assert client.get(f"{running.url}/outer").text == "404 inner"
    collector.wait_until(lambda it: bool(it.named("GET /outer")))
    running.end()
    [outer] = collector.named("GET /outer")
    assert collector.below(outer) == ["fetch GET", "fetch PUT"]
    [put] = collector.named("fetch PUT")
    assert put.kind == "CLIENT"
    assert put.attributes["url.full"] == f"{running.url}/inner"
    assert put.attributes["http.response.status_code"] == 404
    assert outer.began <= put.began <= put.ended <= outer.ended
    [get] = collector.named("fetch GET")
    assert get.attributes["url.full"] == "http://127.0.0.1:9/nobody"
    assert "http.response.status_code" not in get.attributes
    assert get.error
    assert collector.logged(outer) == []
    assert "fetched" not in running.output


ALL_KINDS = """
export default {
  async fetch(request, env) {
    const found = await env.DB.prepare("SELECT 1 AS one").first();
    await env.DB.batch([env.DB.prepare("SELECT 2"), env.DB.prepare("SELECT 3")]);
    await env.FILES.put("a", "b");
    const file = await (await env.FILES.get("a")).text();
    const missing = await env.FILES.get("c");
    const secret = await env.SECRET.get().catch(({ message }) => message);
    env.VISITS.writeDataPoint({ blobs: ["a"] });
    const { success } = await env.LIMIT.limit({ key: "a" });
    await env.JOBS.sendBatch([{ body: 1 }, { body: 2 }]);
    await caches.default.match("http://localhost/cached");
    return Response.json([found, file, missing, secret, success, env.DB.prepare.name, env.FILES.get.length]);
  },
};
"""


@needs_node
@pytest.mark.usefixtures("javascript")
def test_all_kinds_of_bindings_of_javascript_are_told(
    dev: Dev, collector: Collector, client: httpx.Client, tmp_path: Path
) -> None:
    settings = {
        "d1_databases": [{"binding": "DB", "database_name": "db", "database_id": "db"}],
        "r2_buckets": [{"binding": "FILES", "bucket_name": "files"}],
        "queues": {"producers": [{"binding": "JOBS", "queue": "jobs"}]},
        "secrets_store_secrets": [{"binding": "SECRET", "store_id": "store", "secret_name": "secret"}],
        "ratelimits": [{"name": "LIMIT", "namespace_id": "1", "simple": {"limit": 10, "period": 60}}],
        "analytics_engine_datasets": [{"binding": "VISITS", "dataset": "visits"}],
    }
    write_project(tmp_path, "index.js", {"index.js": ALL_KINDS}, settings)
    answers = []
    for environment in ({}, variables(collector)):
        running = dev(tmp_path, "--no-persist", "-c", "wrangler.json", environment=environment)
        answers.append(client.get(f"{running.url}/").text)
        if environment:
            collector.wait_until(lambda it: bool(it.named("GET /")))
        running.end()
    assert answers[0] == answers[1]
    found, file, missing, secret, *others = json.loads(answers[0])
    assert (found, file, missing, others) == ({"one": 1}, "b", None, [True, "prepare", 0])
    assert "secret" in secret
    [request] = collector.named("GET /")
    databases, files = ["d1_query", "d1_query"], ["r2_get", "r2_get", "r2_put"]
    assert collector.below(request) == [
        "analytics_write",
        "cache_match",
        *databases,
        *files,
        "secrets_store_get",
        "send jobs",
    ]
    [send] = collector.named("send jobs")
    assert send.attributes["messaging.batch.message_count"] == 2


def test_what_is_not_sampled_is_not_exported_and_logs_are(
    start_app: Callable[..., Running], collector: Collector, client: httpx.Client
) -> None:
    sampled = {"OTEL_TRACES_SAMPLER": "parentbased_always_off", "OTEL_SERVICE_NAME": "my-service"}
    running = start_app("entry.py", variables(collector, **sampled))
    assert client.get(f"{running.url}/a").text == "ok"
    assert client.get(f"{running.url}/b", headers=TRACEPARENT).text == "ok"
    collector.wait_until(lambda it: bool(it.named("GET /b")))
    running.end()
    assert collector.named("GET /a") == []
    assert {span.trace for span in collector.spans} == {TRACE}
    assert {span.service for span in collector.spans} == {"my-service"}
    [record] = [record for record in collector.records if record.text == "working on /a"]
    assert len(record.trace) == 32


def test_headers_and_compression_are_those_that_variables_say(
    start_app: Callable[..., Running], collector: Collector, client: httpx.Client
) -> None:
    more = {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=secret", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}
    running = start_app(
        "entry.py", variables(collector, **more, OTEL_LOGS_EXPORTER="none", OTEL_METRICS_EXPORTER="none")
    )
    assert client.get(f"{running.url}/a").text == "ok"
    collector.wait_until(lambda it: bool(it.named("GET /a")))
    running.end()
    headers = {name.lower(): value for name, value in collector.headers[0].items()}
    assert (headers["api-key"], headers["content-encoding"]) == ("secret", "gzip")
    assert (collector.records, collector.points) == ([], [])
    assert "secret" not in running.output


@pytest.mark.parametrize("status", [None, 400], ids=["away", "refuses"])
def test_a_collector_that_is_away_is_one_sentence_and_stops_nothing(
    start_app: Callable[..., Running], client: httpx.Client, status: int | None
) -> None:
    with collecting(status or 200) as collector:
        away = collector.url
        if status is None:
            away = "http://127.0.0.1:9"  # discard, which nothing listens on
        limits = {"OTEL_EXPORTER_OTLP_TIMEOUT": "1", "OTEL_BLRP_SCHEDULE_DELAY": "50", "OTEL_BSP_SCHEDULE_DELAY": "50"}
        running = start_app("entry.py", {"OTEL_EXPORTER_OTLP_ENDPOINT": away, **limits})
        for number in range(3):
            assert client.get(f"{running.url}/{number}").text == "ok"
        running.wait_for(f"OpenTelemetry: {re.escape(away)} does not take (traces|logs)")
        assert client.get(f"{running.url}/after").text == "ok"
        began = time.monotonic()
        assert running.end(signal.SIGINT) == 0
        assert time.monotonic() - began < FLUSH_SECONDS + 5
    assert running.output.count("OpenTelemetry: ") == 2  # where it all goes, and that it does not get there
    assert "Traceback" not in running.output
    assert "Transient error" not in running.output


LOADED = """
    import json
    import sys
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            names = [name for name in sys.modules if "telemetry" in name or name.startswith("google.")]
            return Response(json.dumps(names))
"""


def test_nothing_of_it_is_imported_while_it_is_off(dev: Dev, client: httpx.Client, tmp_path: Path) -> None:
    write_worker(tmp_path, LOADED)
    running = dev(
        tmp_path, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_SDK_DISABLED": "true"}, python=sys.executable
    )
    started = json.loads(client.get(running.url).text)
    assert sorted(started) == ["emulator.telemetry", "emulator.telemetry.settings", "emulator.telemetry.start"]


SENDER = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            await self.env.JOBS.send("hello")
            return Response("sent")
"""
RECEIVER = """
    from workers import WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def queue(self, batch, env, ctx):
            print("got", batch.messages[0].body)
"""


def test_a_message_keeps_its_cause_from_session_to_session(
    dev: Dev, collector: Collector, client: httpx.Client, tmp_path: Path
) -> None:
    (tmp_path / ".git").mkdir()
    queues: dict[str, Any] = {"producers": [{"binding": "JOBS", "queue": "jobs"}]}
    write_worker(tmp_path / "web", SENDER, "web", queues=queues)
    consumers = {"consumers": [{"queue": "jobs", "max_batch_timeout": 0}]}
    write_worker(tmp_path / "jobs", RECEIVER, "jobs", queues=consumers)
    jobs = dev(tmp_path / "jobs", environment=variables(collector))
    web = dev(tmp_path / "web", environment=variables(collector))
    web.wait_for("queue jobs: messages go to ")
    assert client.get(web.url).text == "sent"
    collector.wait_until(lambda it: bool(it.named("process jobs")) and bool(it.named("forward jobs")))
    web.end()
    jobs.end()
    [request], [send], [delivery] = map(collector.named, ("GET /", "send jobs", "process jobs"))
    assert isinstance(delivery, Span)
    assert send.parent == request.id
    assert (send.service, delivery.service) == ("web", "jobs")
    assert delivery.links == [(send.trace, send.id)]
    assert collector.logged(delivery) == ["got hello"]


def test_a_redrive_and_what_it_leads_to_have_links_to_the_dead_letter(
    start_app: Callable[..., Running], collector: Collector, client: httpx.Client
) -> None:
    consumer = {"queue": "jobs", "max_batch_timeout": 0, "max_retries": 0, "dead_letter_queue": "jobs-dlq"}
    queues = {"producers": [{"binding": "JOBS", "queue": "jobs"}], "consumers": [consumer]}
    running = start_app("entry.py", variables(collector), queues=queues)
    assert client.get(f"{running.url}/a").text == "ok"
    running.wait_for("Warning: jobs moved 1 message")
    queues_address = f"{running.url}/cdn-cgi/emulator/client/v4/accounts/{'0' * 32}/queues"
    listed = client.get(queues_address).json()["result"]
    [dead] = [each["queue_id"] for each in listed if each["queue_name"] == "jobs-dlq"]
    redrive_address = f"{running.url}/cdn-cgi/emulator/client/v4/emulator/queues/{dead}/redrive"
    assert client.post(redrive_address, json={}).status_code == 200
    running.wait_for("Warning: jobs moved 1 message")
    running.end()
    first, again = collector.named("process jobs")
    letters = collector.named("dead letter jobs-dlq")
    [redrive] = collector.named("redrive jobs")
    assert redrive.links == again.links == [(letters[0].trace, letters[0].id)]
    assert first.links != again.links
