"""Workers in service-worker syntax, on a real workerd: listeners in place of exported handlers, bindings as globals."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from emulator.bindings.service.kind import ServiceBinding
from emulator.config.model import Bundling
from emulator.hosts.host import HandlerError
from emulator.hosts.workerd.host import WorkerdHost
from emulator_runtime.workers.request import Request
from tests.hosts.support import fetch
from tests.hosts.workerd.support import Workers, consumer
from tests.support.node_tools import needs_node

pytestmark = needs_node


def answers(workers: Workers, *paths: str) -> list[str]:
    """What the first worker answers to requests for `paths`."""

    async def ask(host: WorkerdHost) -> list[str]:
        assert host.failure is None, host.failure
        return [await (await fetch(host, Request(f"http://localhost{path}"))).text() for path in paths]

    return workers.run(ask)


@pytest.mark.parametrize("suffix", [".js", ".ts"])
def test_a_listener_answers_requests_and_bindings_are_globals(workers: Workers, suffix: str) -> None:
    workers.add(
        """
        const greeting = GREETING;
        addEventListener("fetch", (event) => {
          event.respondWith(handle(event));
        });

        async function handle(event) {
          event.waitUntil(Promise.resolve());
          const { pathname } = new URL(event.request.url);
          const seen = [event.type, event instanceof FetchEvent, event.target === globalThis, SETTINGS.deep];
          return Response.json([greeting, pathname, ...seen]);
        }
        """,
        suffix=suffix,
        compatibility_date="2021-11-01",
        vars={"GREETING": "Hello", "SETTINGS": {"deep": [1]}},
    )
    (text,) = answers(workers, "/a")
    assert json.loads(text) == ["Hello", "/a", "fetch", True, True, [1]]


def test_the_first_listener_that_responds_is_the_last(workers: Workers) -> None:
    workers.add(
        """
        const seen = [];
        const removed = () => void seen.push("removed");
        addEventListener("fetch", removed);
        removeEventListener("fetch", removed);
        addEventListener("fetch", (event) => void seen.push("first"));
        addEventListener("fetch", { handleEvent(event) {
          seen.push("second");
          event.respondWith(new Response(seen.join()));
          try { event.respondWith(new Response("again")); } catch (error) { seen.push(error.name); }
        } });
        addEventListener("fetch", () => void seen.push("third"));
        """
    )
    assert answers(workers, "/", "/") == ["first,second", "first,second,InvalidStateError,first,second"]


def test_a_script_is_sloppy_and_has_a_scope_of_its_own(workers: Workers) -> None:
    workers.add(
        """
        undeclared = 7;
        const kinds = [typeof module, typeof exports, this === globalThis, undeclared];
        addEventListener("fetch", (event) => event.respondWith(Response.json(kinds)));
        """
    )
    assert json.loads(answers(workers, "/")[0]) == ["undefined", "undefined", True, 7]


@pytest.mark.parametrize("date", ["2021-11-01", ""], ids=["old", "newest"])
def test_what_a_listener_throws_names_the_line_that_was_written(workers: Workers, date: str) -> None:
    workers.add(
        """
        addEventListener("fetch", (event) => {
          if (event.request.url.endsWith("/now")) throw new RangeError("at once");
          event.respondWith(later());
        });
        addEventListener("fetch", (event) => event.respondWith(new Response("too late")));
        async function later() { throw new TypeError("later"); }
        """,
        compatibility_date=date,
    )

    async def ask(host: WorkerdHost) -> list[tuple[str, str, list[str]]]:
        told = []
        for path in ("/now", "/later"):
            with pytest.raises(HandlerError) as raised:
                await fetch(host, Request(f"http://localhost{path}"))
            failure = raised.value.failure
            told.append((failure.summary, failure.location, failure.text.splitlines()))
        return told

    now, later = workers.run(ask)
    main = workers.directory / "app/index.js"
    assert now[:2] == ("RangeError: at once", f"{main}:3")
    assert later[:2] == ("TypeError: later", f"{main}:7")
    assert not any("emulator" in line.replace(str(workers.directory), "") for line in (*now[2], *later[2]))


def test_lines_of_a_bundled_script_are_those_of_the_typescript(workers: Workers) -> None:
    (workers.directory / "app").mkdir()
    (workers.directory / "app/lib.ts").write_text("export function fail(): never {\n  throw new Error('in lib');\n}\n")
    workers.add(
        """
        import { fail } from "./lib";
        addEventListener("fetch", (event: FetchEvent) => event.respondWith(fail()));
        """,
        suffix=".ts",
    )

    async def ask(host: WorkerdHost) -> str:
        with pytest.raises(HandlerError) as raised:
            await fetch(host, Request("http://localhost/"))
        return raised.value.failure.location

    assert workers.run(ask) == f"{workers.directory / 'app/lib.ts'}:2"


def test_batches_and_schedules_come_to_listeners(workers: Workers) -> None:
    workers.add(
        """
        addEventListener("queue", (event) => {
          console.log(event.queue, event.messages.map((message) => message.body).join());
          event.messages[0].ack();
          event.waitUntil(Promise.reject(new Error("not this time")));
        });
        addEventListener("scheduled", (event) => {
          console.log(event.cron, event.scheduledTime);
          event.waitUntil(QUEUE.send("from the schedule"));
        });
        """,
        **consumer(max_retries=0),
    )

    async def run(host: WorkerdHost) -> tuple[Any, Any]:
        from emulator.hosts.triggers import ScheduledTrigger

        assert list(host.handlers) == ["queue", "scheduled"]
        await host.invoke("", ScheduledTrigger("* * * * *", 60_000))
        delivered = await workers.until(lambda: workers.delivered[0] if workers.delivered else None)
        return delivered.verdict.outcome, workers.lines()

    outcome, lines = workers.run(run)
    assert outcome == "exception"
    assert lines == ["* * * * * 60000", "jobs from the schedule"]
    assert workers.failed[0].failure.summary == "Error: not this time"


def test_another_worker_calls_a_script_through_a_service(workers: Workers) -> None:
    workers.add(
        "export default { fetch: (request, env) => env.OLD.fetch(request) };",
        services=(ServiceBinding("OLD", "old"),),
    )
    workers.add('addEventListener("fetch", (event) => event.respondWith(new Response("old")));', name="old")
    assert answers(workers, "/") == ["old"]


def test_wasm_text_and_data_are_imported_by_a_script(workers: Workers) -> None:
    (workers.directory / "app").mkdir()
    (workers.directory / "app/note.txt").write_text("a note")
    (workers.directory / "app/data.bin").write_bytes(b"\x01\x02")
    add = "0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b"
    (workers.directory / "app/add.wasm").write_bytes(bytes.fromhex(add))
    workers.add(
        """
        import add from "./add.wasm";
        import note from "./note.txt";
        import data from "./data.bin";
        const sum = new WebAssembly.Instance(add).exports.add(40, 2);
        addEventListener("fetch", (event) => event.respondWith(Response.json([sum, note, data.byteLength])));
        """
    )
    assert json.loads(answers(workers, "/")[0]) == [42, "a note", 2]


def test_exports_without_a_default_one_make_a_script_of_a_module_with_listeners(workers: Workers) -> None:
    workers.add(
        """
        export const name = "app";
        self.addEventListener("fetch", (event) => event.respondWith(new Response(name)));
        """
    )
    assert answers(workers, "/") == ["app"]


def test_a_script_is_run_as_it_is_without_a_bundle(workers: Workers) -> None:
    workers.add(
        'addEventListener("fetch", (event) => event.respondWith(new Response("as it is")));',
        bundling=Bundling(no_bundle=True),
    )
    assert answers(workers, "/") == ["as it is"]


def test_a_module_of_workerd_cannot_be_imported_by_a_script(workers: Workers) -> None:
    workers.add(
        """
        import { Buffer } from "node:buffer";
        addEventListener("fetch", (event) => event.respondWith(new Response(Buffer.from("a"))));
        """,
        compatibility_flags=frozenset({"nodejs_compat"}),
    )

    async def failure(host: WorkerdHost) -> Any:
        await asyncio.sleep(0)
        return host.failure

    told = workers.run(failure)
    assert told.message == "node:buffer cannot be imported in service-worker syntax"
    assert told.location == f"{workers.directory / 'app/index.js'}:2"
    assert "write export default" in told.text


def test_a_binding_that_is_not_emulated_says_so_where_it_is_used(workers: Workers) -> None:
    workers.add(
        """
        addEventListener("fetch", (event) => event.respondWith(CACHE.get("a")));
        """,
        not_emulated={"CACHE": "kv_namespaces"},
    )

    async def ask(host: WorkerdHost) -> str:
        with pytest.raises(HandlerError) as raised:
            await fetch(host, Request("http://localhost/"))
        return raised.value.failure.message

    assert "CACHE (kv_namespaces in wrangler.jsonc) is not emulated yet" in workers.run(ask)


def test_a_script_without_listeners_is_told_what_it_needs(workers: Workers) -> None:
    workers.add("console.log('nothing');")

    async def failure(host: WorkerdHost) -> Any:
        await asyncio.sleep(0)
        return host.failure

    assert "index.js has no default export; a worker exports its handlers" in workers.run(failure).message
