"""JavaScript workers under test: the same engine, the same virtual time, in a process of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.base.errors import EmulatorError, WorkerLoadError
from emulator.hosts.host import JavaScriptError
from emulator.testing import Emulator
from emulator.testing.outbound import UnmatchedFetchError
from tests.support.node_tools import needs_node

pytestmark = [needs_node, pytest.mark.usefixtures("javascript")]

QUEUES: dict[str, Any] = {
    "producers": [{"binding": "JOBS", "queue": "jobs"}],
    "consumers": [{"queue": "jobs", "max_retries": 2, "retry_delay": 3_600, "dead_letter_queue": "dead-jobs"}],
}

WORKER = """
    export default {
      async fetch(request, env, ctx) {
        const { pathname, searchParams } = new URL(request.url);
        if (pathname === "/send") {
          await env.JOBS.send({ to: searchParams.get("to") }, { delaySeconds: Number(searchParams.get("delay") ?? 0) });
        }
        if (pathname === "/later") {
          ctx.waitUntil(scheduler.wait(50).then(() => env.JOBS.send({ to: "later" })));
        }
        if (pathname === "/throw") throw new TypeError("boom");
        if (pathname === "/fetch") {
          const asked = { method: "POST", body: "asked", headers: { "x-a": "b" } };
          const answer = await fetch(searchParams.get("url"), asked);
          const headers = { "x-kind": answer.headers.get("x-kind") };
          return new Response(await answer.text(), { status: answer.status, headers });
        }
        return Response.json({ path: pathname, greeting: env.GREETING });
      },
      async queue(batch) {
        for (const message of batch.messages) {
          if (message.body.to === "nobody") throw new Error("no such mailbox");
          if (message.body.to === "busy" && message.attempts === 1) message.retry({ delaySeconds: 60 });
        }
      },
      async scheduled(controller, env) {
        await env.JOBS.send({ to: controller.cron });
      },
    };
"""


@pytest.fixture
def main(tmp_path: Path) -> Path:
    path = tmp_path / "index.js"
    path.write_text(WORKER)
    return path


def emulated(main: Path, **settings: Any) -> Emulator:
    return Emulator(main=main, queues=QUEUES, vars={"GREETING": "hello"}, **settings)


def test_requests_and_deliveries(main: Path) -> None:
    with emulated(main) as emulator:
        assert emulator.get("/path").json() == {"path": "/path", "greeting": "hello"}
        emulator.get("/send?to=ada")
        assert [message.body for message in emulator.queue("jobs").messages] == [{"to": "ada"}]
        assert emulator.advance(seconds=4.9) == []
        [delivery] = emulator.advance(seconds=0.1)
        assert (delivery.outcome, [message.body for message in delivery.acked]) == ("ok", [{"to": "ada"}])


def test_hours_of_retries_take_no_waiting(main: Path) -> None:
    with emulated(main) as emulator:
        emulator.get("/send?to=nobody&delay=86400")
        deliveries = emulator.run_until_idle()
        assert [delivery.outcome for delivery in deliveries] == ["exception"] * 3
        [dead] = emulator.queue("dead-jobs").messages
        assert (dead.body, dead.last_error) == ({"to": "nobody"}, "Error: no such mailbox")


def test_a_retry_comes_when_it_was_asked_for(main: Path) -> None:
    with emulated(main) as emulator:
        emulator.queue("jobs").send({"to": "busy"})
        [first] = emulator.advance(seconds=5)
        assert len(first.retried) == 1
        assert emulator.advance(seconds=59) == []
        [second] = emulator.advance(seconds=6)
        assert [message.attempts for message in second.acked] == [2]


def test_wait_until_is_waited_for(main: Path) -> None:
    with emulated(main) as emulator:
        emulator.get("/later")
        assert [message.body for message in emulator.queue("jobs").messages] == [{"to": "later"}]


def test_what_worker_code_throws_comes_out(main: Path) -> None:
    with emulated(main) as emulator, pytest.raises(JavaScriptError, match=r"TypeError: boom\n    at Object.fetch"):
        emulator.get("/throw")
    with emulated(main, raise_errors=False) as emulator:
        assert emulator.get("/throw").status_code == 500


def test_a_script_in_service_worker_syntax_is_tested_like_a_module(tmp_path: Path) -> None:
    main = tmp_path / "script.js"
    main.write_text("""
        addEventListener("fetch", (event) => {
          const { pathname } = new URL(event.request.url);
          if (pathname === "/throw") throw new TypeError("boom");
          if (pathname === "/send") event.waitUntil(scheduler.wait(50).then(() => JOBS.send({ to: GREETING })));
          if (pathname !== "/origin") event.respondWith(new Response(GREETING));
        });
        addEventListener("queue", (event) => event.messages.forEach((message) => message.retry({ delaySeconds: 60 })));
    """)
    with emulated(main) as emulator:
        assert emulator.get("/send").text == "hello"
        deliveries = emulator.run_until_idle()
        assert [message.attempts for delivery in deliveries for message in delivery.messages] == [1, 2, 3]
        assert [message.body for message in emulator.queue("dead-jobs").messages] == [{"to": "hello"}]
        with pytest.raises(JavaScriptError, match=r"TypeError: boom\n    at .*script\.js:4"):
            emulator.get("/throw")
        with pytest.raises(JavaScriptError, match=r"no listener of fetch called event\.respondWith"):
            emulator.get("/origin")
        emulator.outbound.get("https://example.com/origin", text="from the origin")
        assert emulator.get("https://example.com/origin").text == "from the origin"


def test_what_it_fetches_is_answered_by_routes(main: Path) -> None:
    with emulated(main) as emulator:
        emulator.outbound.post("https://api.example.com/mail", text="taken", status=202, headers={"x-kind": "made"})
        response = emulator.get("/fetch?url=https://api.example.com/mail")
        assert (response.status_code, response.text, response.headers["x-kind"]) == (202, "taken", "made")
        [call] = emulator.outbound.calls
        assert (call.method, call.url, call.text, call.headers["x-a"]) == (
            "POST",
            "https://api.example.com/mail",
            "asked",
            "b",
        )


def test_what_no_route_answers_fails_the_test(main: Path) -> None:
    with emulated(main) as emulator, pytest.raises(UnmatchedFetchError, match=r"api\.example\.com"):
        emulator.get("/fetch?url=https://api.example.com/mail")


def test_scheduled_runs(main: Path) -> None:
    with emulated(main) as emulator:
        emulator.dispatch_scheduled("0 0 * * *")
        assert [message.body for message in emulator.queue("jobs").messages] == [{"to": "0 0 * * *"}]


def test_python_consumes_what_javascript_sends(main: Path, tmp_path: Path) -> None:
    for name, entry, queues in (
        ("sender", str(main), {"producers": QUEUES["producers"]}),
        ("receiver", "entry.py", {"consumers": [{"queue": "jobs"}]}),
    ):
        directory = tmp_path / name
        directory.mkdir()
        configuration = {"name": name, "main": entry, "compatibility_date": "2026-04-01", "queues": queues}
        (directory / "wrangler.jsonc").write_text(json.dumps(configuration))
    (tmp_path / "receiver/entry.py").write_text("async def queue(batch, env):\n    print(batch.messages[0].body.to)\n")
    with Emulator([tmp_path / "sender/wrangler.jsonc", tmp_path / "receiver/wrangler.jsonc"]) as emulator:
        emulator.get("/send?to=python")
        [delivery] = emulator.run_until_idle()
        assert (delivery.worker, delivery.outcome) == ("receiver", "ok")


def test_code_that_does_not_load_fails_when_it_opens(main: Path) -> None:
    main.write_text("export default {")
    with pytest.raises(WorkerLoadError, match="worker worker failed to load: "):
        Emulator(main=main).__enter__()


def test_an_env_in_another_process_cannot_be_changed(main: Path) -> None:
    with emulated(main) as emulator, pytest.raises(EmulatorError, match="its code runs in another process"):
        emulator.override(GREETING="hi")


def test_crons_run_when_time_passes_over_them(tmp_path: Path) -> None:
    main = tmp_path / "worker.js"
    main.write_text("""
        export default {
          scheduled: (controller, env) => env.JOBS.send([controller.cron, controller.scheduledTime]),
          queue() {},
        };
    """)
    with Emulator(main=main, queues=QUEUES, settings={"triggers": {"crons": ["*/10 * * * *"]}}) as emulator:
        begun = emulator.now.timestamp()
        deliveries = emulator.advance(seconds=1_805)
    due = [["*/10 * * * *", int(begun + each) * 1000] for each in (600, 1_200, 1_800)]
    assert [message.body for delivery in deliveries for message in delivery.acked] == due


def test_an_answer_that_is_longer_than_anybody_has_read_holds_nothing_up(tmp_path: Path) -> None:
    (tmp_path / "index.js").write_text("""
        export default {
          async fetch(request, env, ctx) {
            let left = 32;
            const pull = (controller) => (left-- ? controller.enqueue(new Uint8Array(65536)) : controller.close());
            return new Response(new ReadableStream({ pull }));
          },
        };
    """)
    settings = {"name": "long", "main": "index.js", "compatibility_date": "2026-04-01"}
    (tmp_path / "wrangler.json").write_text(json.dumps(settings))
    with Emulator(tmp_path / "wrangler.json") as emulator:
        assert len(emulator.get("/").content) == 32 * 65536
        with emulator.client.stream("GET", "/") as answer:
            assert next(answer.iter_bytes())
            assert emulator.advance(60) == []
