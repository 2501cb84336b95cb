"""Debuggers of JavaScript workers, against the real program."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.integration.conftest import DEADLINE_SECONDS, Running
from tests.support.cdp import debugger
from tests.support.node_tools import javascript, needs_node  # noqa: F401 - a fixture

pytestmark = [needs_node, pytest.mark.usefixtures("javascript")]

TYPESCRIPT = """\
import { shout, type Loud } from "./loud";

interface Env {
  JOBS: Queue;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const name = new URL(request.url).pathname.slice(1);
    const greeting: Loud = shout(name);
    if (name === "send") await env.JOBS.send({ name });
    return new Response(greeting);
  },
  async queue(batch: MessageBatch<{ name: string }>): Promise<void> {
    for (const message of batch.messages) {
      const { name } = message.body;
      console.log("GOT", name);
    }
  },
};
"""
LOUD = """\
export type Loud = string;

export function shout(name: string): Loud {
  const text = name.toUpperCase();
  return `${text}!`;
}
"""
PLAIN = """\
export default {
  async fetch(request) {
    const answer = 41 + 1;
    return new Response(String(answer));
  },
};
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A worker in TypeScript."""
    return write(
        tmp_path / "app",
        {"src/index.ts": TYPESCRIPT, "src/loud.ts": LOUD},
        queues={
            "producers": [{"binding": "JOBS", "queue": "jobs"}],
            "consumers": [{"queue": "jobs", "max_batch_timeout": 0}],
        },
    )


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as made:
        yield made


def write(root: Path, files: dict[str, str], **settings: Any) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(content))
    described = {"name": root.name, "main": next(iter(files)), "compatibility_date": "2026-04-01", **settings}
    (root / "wrangler.jsonc").write_text(json.dumps(described))
    return root


class Debugged:
    """`emulator dev` with an inspector. Requests are made on threads, as they may be stopped."""

    def __init__(self, running: Running, pool: ThreadPoolExecutor) -> None:
        self.running = running
        self.inspector = running.wait_for(r"Debuggers: (\S+)").group(1)
        self._pool = pool

    def get(self, path: str) -> Future[str]:
        return self._pool.submit(lambda: httpx.get(self.running.url + path, timeout=DEADLINE_SECONDS).text)

    def address(self, worker: str) -> str:
        """Where a debugger of a worker connects, by the list of targets."""
        targets = httpx.get(f"{self.inspector}/json/list").json()
        address: str = next(each["webSocketDebuggerUrl"] for each in targets if each["id"] == worker)
        return address


def test_a_debugger_stops_in_typescript_over_reloads(
    dev: Callable[..., Running], app: Path, pool: ThreadPoolExecutor
) -> None:
    debugged = Debugged(dev(app, "--inspector-port", "0"), pool)
    main, loud = app / "src/index.ts", app / "src/loud.ts"
    with debugger(debugged.address("app")) as person:
        person.break_at(loud, 5)
        delivery = person.break_at(main, 17)
        answer = debugged.get("/ann")
        frame = person.paused()
        assert person.value(frame, "[name, text].join()") == "ann,ANN"
        person.ask("Debugger.resume")
        assert answer.result() == "ANN!"

        answer = debugged.get("/send")
        person.paused()
        person.ask("Debugger.resume")
        assert person.value(person.paused(), "name") == "send"  # of the delivery, which may come before the answer
        person.ask("Debugger.resume")
        assert answer.result() == "SEND!"
        debugged.running.wait_for("QUEUE jobs 1/1 acked")
        person.ask("Debugger.removeBreakpoint", breakpointId=delivery)

        loud.write_text(LOUD.replace("}!`", "}!!`"))
        debugged.running.wait_for("Reloaded app")
        person.event("Runtime.executionContextsCleared")
        context = person.event("Runtime.executionContextCreated")["context"]["id"]
        answer = debugged.get("/bob")
        assert person.value(person.paused(), "text") == "BOB"
        person.ask("Debugger.resume")
        assert answer.result() == "BOB!!"
        assert person.ask("Runtime.evaluate", expression="6 * 7", contextId=context)["result"]["value"] == 42

        answer = debugged.get("/send")
        person.paused()
        person.ask("Debugger.resume")
        debugged.running.wait_for("QUEUE jobs 1/1 acked")  # its breakpoint was taken back


def test_code_that_is_replaced_while_it_stands_still_runs_to_its_end(
    dev: Callable[..., Running], app: Path, pool: ThreadPoolExecutor
) -> None:
    debugged = Debugged(dev(app, "--inspector-port", "0"), pool)
    with debugger(debugged.address("app")) as person:
        person.break_at(app / "src/loud.ts", 5)
        answer = debugged.get("/ann")
        person.paused()
        (app / "src/loud.ts").write_text(LOUD.replace("}!`", "}!!`"))
        debugged.running.wait_for("Reloaded app")
        assert answer.result() == "ANN!"
        person.event("Debugger.resumed")
        person.event("Runtime.executionContextsCleared")
    assert debugged.get("/bob").result() == "BOB!!"


def test_a_plain_file_is_shown_as_it_is_and_a_debugger_may_take_its_time_and_leave(
    dev: Callable[..., Running], tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    root = write(tmp_path / "plain", {"index.js": PLAIN}, limits={"cpu_ms": 100})
    debugged = Debugged(dev(root, "--inspector-port", "0"), pool)
    with debugger(debugged.address("plain")) as person:
        person.break_at(root / "index.js", 4)
        answer = debugged.get("/")
        frame = person.paused()
        assert person.value(frame, "answer") == 42
        spin = "(() => { const end = Date.now() + 2000; while (Date.now() < end) answer * 2; return 'spun'; })()"
        assert person.value(frame, spin) == "spun"  # longer than a handler may compute
    assert answer.result() == "42"  # the debugger has left, and the handler goes on
    assert debugged.get("/").result() == "42"
    assert "has computed" not in debugged.running.output
    assert debugged.running.end() == 0


def test_a_later_debugger_takes_the_place_of_an_earlier_one_and_the_end_waits_for_nobody(
    dev: Callable[..., Running], tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    root = write(tmp_path / "plain", {"index.js": PLAIN})
    debugged = Debugged(dev(root, "--inspector-port", "0"), pool)
    address = debugged.address("plain")
    with debugger(address) as first, debugger(address) as second:
        with pytest.raises(ConnectionClosed, match="another debugger"):
            first.event("Debugger.paused")
        second.break_at(root / "index.js", 4)
        answer = debugged.get("/")
        second.paused()
        assert debugged.running.end() == 0
        assert answer.result() == "42"


def test_who_may_look_and_what_is_there(dev: Callable[..., Running], tmp_path: Path) -> None:
    root = write(tmp_path / "plain", {"index.js": PLAIN}, dev={"inspector_port": 0})
    inspector = Debugged(dev(root), ThreadPoolExecutor()).inspector
    port = inspector.rpartition(":")[2]
    [target] = httpx.get(f"{inspector}/json").json()
    assert (target["id"], target["type"]) == ("plain", "node")
    assert target["webSocketDebuggerUrl"] == f"ws://127.0.0.1:{port}/plain"
    assert target["devtoolsFrontendUrl"].endswith(f"&ws=127.0.0.1:{port}/plain")
    assert httpx.get(f"{inspector}/json/version").json()["Protocol-Version"] == "1.3"
    assert httpx.get(f"{inspector}/json", headers={"host": "evil.example"}).status_code == 403
    assert httpx.get(f"{inspector}/json", headers={"origin": "https://evil.example"}).status_code == 403
    assert httpx.get(f"{inspector}/plain").status_code == 426
    absent = httpx.get(f"{inspector}/absent")
    assert (absent.status_code, absent.text) == (404, "There is no JavaScript worker of that name, but: plain\n")
    with pytest.raises(InvalidStatus), connect(target["webSocketDebuggerUrl"], origin=Origin("https://evil.example")):
        pass
    with connect(target["webSocketDebuggerUrl"], origin=Origin("devtools://devtools")) as page:
        page.send("no JSON")
        page.send(json.dumps({"id": 1, "method": "Absent.method"}))
        assert "error" in json.loads(page.recv(DEADLINE_SECONDS))


def test_a_python_worker_is_debugged_otherwise_and_a_taken_port_is_said(
    dev: Callable[..., Running], start: Callable[..., Running], tmp_path: Path
) -> None:
    code = "async def on_fetch(request):\n    pass\n"
    root = write(tmp_path / "snake", {"entry.py": code}, compatibility_flags=["python_workers"])
    python = dev(root, "--inspector-port", "0")
    assert "No worker is JavaScript, so the inspector has nothing to show; debugpy debugs Python" in python.output
    plain = write(tmp_path / "plain", {"index.js": PLAIN})
    taken = python.url.rpartition(":")[2]
    second = start("dev", "-p", "0", "--inspector-port", taken, cwd=plain)
    second.wait_for(rf"Port {taken} is in use on 127.0.0.1; port \d+ is free: use --inspector-port \d+")
    assert second.process.wait(DEADLINE_SECONDS) == 2
