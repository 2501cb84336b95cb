"""Workers that call each other on a real workerd: what comes through a service binding, and what does not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from emulator.bindings.service.kind import ServiceBinding
from emulator.hosts.workerd.host import WorkerdHost
from tests.hosts.workerd.support import Workers
from tests.hosts.workerd.test_host import OK, sent, server_request, text
from tests.support.node_tools import needs_node

pytestmark = needs_node

AUTH = ServiceBinding("AUTH", "auth")


def calling(workers: Workers, code: str, *services: ServiceBinding) -> None:
    """Add the worker that calls: `code` returns a value, which it answers as JSON."""
    source = f"""
        import {{ RpcTarget }} from "cloudflare:workers";
        const caught = (call) => call().then(
          (value) => ({{ value }}),
          ({{ name, message, remote }}) => ({{ name, message, remote }}),
        );
        async function called(request, env, ctx) {{ {code} }}
        export default {{
          async fetch(request, env, ctx) {{ return Response.json(await called(request, env, ctx)); }},
        }};
    """
    workers.add(source, services=services or (AUTH,))


def answered(workers: Workers) -> Any:
    """What the calling worker answers."""

    async def test(host: WorkerdHost) -> Any:
        _, _, body = await sent(host, server_request())
        return json.loads(body)

    return workers.run(test)


def test_workers_call_each_other_through_service_bindings(workers: Workers) -> None:
    calling(
        workers,
        """
        const answer = await env.AUTH.fetch("http://auth/path");
        return [await answer.text(), await env.AUTH.add(1, 2), await env.ADMIN.whoami()];
        """,
        AUTH,
        ServiceBinding("ADMIN", "auth", "Admin"),
    )
    workers.add(
        """
        import { WorkerEntrypoint } from "cloudflare:workers";
        export default class extends WorkerEntrypoint {
          fetch(request) { return new Response(request.url); }
          add(a, b) { return a + b; }
        }
        export class Admin extends WorkerEntrypoint { whoami() { return "admin"; } }
        """,
        "auth",
    )

    async def test(host: WorkerdHost) -> None:
        assert json.loads(await text(host)) == ["http://auth/path", 3, "admin"]
        workers.write("""
            import { WorkerEntrypoint } from "cloudflare:workers";
            export default class extends WorkerEntrypoint {
              fetch(request) { return new Response("new"); }
              add(a, b) { return a * 10 + b; }
            }
            export class Admin extends WorkerEntrypoint { whoami() { return "boss"; } }
        """, "auth")  # fmt: skip
        await workers.session.reload(1)
        assert json.loads(await text(host)) == ["new", 12, "boss"]

    workers.run(test)


def test_a_reload_lets_calls_of_other_workers_finish_on_the_old_code(workers: Workers) -> None:
    calling(
        workers,
        """
        const calls = [env.AUTH, env.ADMIN].flatMap((each) => [each.fetch("http://auth/"), each.wait(1)]);
        return await Promise.all(calls.map(async (call) => (await call).text?.() ?? call));
        """,
        AUTH,
        ServiceBinding("ADMIN", "auth", "Admin"),
    )
    source = """
        import { WorkerEntrypoint } from "cloudflare:workers";
        async function wait() { console.log("began VERSION"); await scheduler.wait(200); return "VERSION"; }
        export default { wait: (_, env, ctx) => wait(), async fetch() { return new Response(await wait()); } };
        class Waits extends WorkerEntrypoint { wait() { return wait(); } }
        export class Admin extends Waits {
          async fetch() { return new Response(await this.wait()); }
        }
    """
    workers.add(source.replace("VERSION", "old"), "auth")

    async def test(host: WorkerdHost) -> None:
        before = asyncio.ensure_future(text(host))
        await workers.until(lambda: workers.lines().count("began old") == 4)
        workers.write(source.replace("VERSION", "new"), "auth")
        await workers.session.reload(1)
        assert json.loads(await text(host)) == ["new"] * 4
        assert json.loads(await before) == ["old"] * 4

    workers.run(test)


def test_a_method_that_the_worker_calls_itself_returns_what_it_returns(workers: Workers) -> None:
    workers.add("""
        import { WorkerEntrypoint } from "cloudflare:workers";
        export class Api extends WorkerEntrypoint {
          #name = "name";
          get name() { return this.#name; }
          one(a, b) { return [a, b, this.#name]; }
          fetch() { return Response.json([this.one(1, 2), this.name, this.one.length, this.one.name]); }
        }
        export default Api;
    """)
    assert answered(workers) == [[1, 2, "name"], "name", 2, "one"]


def test_an_object_with_fetch_has_methods_to_call_and_keeps_its_state(workers: Workers) -> None:
    calling(workers, 'return [await env.AUTH.add(5), await (await env.AUTH.fetch("http://auth/")).text()];')
    workers.add(
        """
        export default {
          sum: 0,
          add(number, env, ctx) { this.sum += number; return [number, typeof env, typeof ctx.waitUntil]; },
          text(...words) { return words.join(" "); },
          fetch() { return new Response(this.text("the sum", "is", this.sum)); },
        };
        """,
        "auth",
    )
    assert answered(workers) == [[5, "object", "function"], "the sum is 5"]


def test_an_instance_has_the_methods_that_production_calls(workers: Workers) -> None:
    calling(workers, "return await Promise.all([caught(() => env.AUTH.own(1)), caught(() => env.AUTH.inherited(1))]);")
    workers.add(
        """
        class Api {
          own = async (number) => number + 1;
          inherited(number) { return number; }
          fetch() { return new Response("ok"); }
        }
        export default new Api();
        """,
        "auth",
    )
    own, inherited = answered(workers)
    assert own == {"value": 2}
    assert inherited["message"] == 'The RPC receiver does not implement the method "inherited".'


def test_fetch_keeps_the_scheme_and_cf(workers: Workers) -> None:
    calling(
        workers,
        """
        const call = (options) => env.AUTH.fetch("https://auth.example/a?b=c", options);
        return [await (await call({ cf: { colo: "ZRH" }, method: "POST", body: "text" })).json(),
                await (await env.AUTH.fetch(request)).json()];
        """,
    )
    workers.add(
        """
        export default {
          async fetch(request) {
            return Response.json([request.url, request.method, request.cf?.colo, await request.text()]);
          },
        };
        """,
        "auth",
    )
    assert answered(workers) == [
        ["https://auth.example/a?b=c", "POST", "ZRH", "text"],
        ["http://localhost:8787/", "GET", "DFW", ""],
    ]


@pytest.mark.parametrize(
    ("thrown", "expected"),
    [
        ('new RangeError("too far")', {"name": "RangeError", "message": "too far"}),
        ('new Refused("not you")', {"name": "Error", "message": "Refused: not you"}),
        ('"text"', {"name": "Error", "message": "text"}),
    ],
)
def test_what_the_called_worker_throws_is_thrown_in_the_caller(
    workers: Workers, thrown: str, expected: dict[str, str]
) -> None:
    calling(
        workers,
        """
        return await Promise.all([() => env.AUTH.fetch("http://auth/"), () => env.AUTH.fail(), () => env.ADMIN.fetch("http://auth/")].map(caught));
        """,
        AUTH,
        ServiceBinding("ADMIN", "auth", "Admin"),
    )
    workers.add(
        f"""
        import {{ WorkerEntrypoint }} from "cloudflare:workers";
        class Refused extends Error {{ name = "Refused"; }}
        export class Admin extends WorkerEntrypoint {{
          fetch() {{ throw {thrown}; }}
          fail() {{ throw {thrown}; }}
        }}
        export default class extends Admin {{}}
        """,
        "auth",
    )
    assert answered(workers) == [{**expected, "remote": True}] * 3


def test_functions_stubs_streams_and_properties_go_both_ways(workers: Workers) -> None:
    calling(
        workers,
        """
        using counter = await env.AUTH.counter();
        await counter.add(2);
        return [
          await counter.add(3), await counter.sum, await env.AUTH.counter().add(7),
          await env.AUTH.twice((number) => number * 2), await env.AUTH.table.rows.count(4), await env.AUTH.version,
          await new Response(await env.AUTH.stream()).text(), await env.AUTH.url(new Request("https://x.example/")),
        ];
        """,
    )
    workers.add(
        """
        import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
        class Counter extends RpcTarget {
          #sum = 0;
          add(number) { return this.#sum += number; }
          get sum() { return this.#sum; }
        }
        export default class extends WorkerEntrypoint {
          fetch() {}
          counter() { return new Counter(); }
          async twice(call) { return await call(await call(1)); }
          get table() { return { rows: { count: (number) => number + 1 } }; }
          get version() { return "v1"; }
          stream() { return new Response("streamed").body; }
          url(request) { return request.url; }
        }
        """,
        "auth",
    )
    assert answered(workers) == [5, 5, 7, 4, 5, "v1", "streamed", "https://x.example/"]


def test_a_websocket_goes_through_a_service_binding(workers: Workers) -> None:
    calling(
        workers,
        """
        const { webSocket } = await env.AUTH.fetch("https://auth/", { headers: { Upgrade: "websocket" } });
        webSocket.accept();
        const answer = new Promise((resolve) => webSocket.addEventListener("message", ({ data }) => resolve(data)));
        webSocket.send("hello");
        return await answer;
        """,
    )
    workers.add(
        """
        export default {
          fetch() {
            const [client, server] = Object.values(new WebSocketPair());
            server.accept();
            server.addEventListener("message", ({ data }) => server.send(`echo ${data}`));
            return new Response(null, { status: 101, webSocket: client });
          },
        };
        """,
        "auth",
    )
    assert answered(workers) == "echo hello"


def test_props_of_the_binding_are_those_of_the_called_worker(workers: Workers) -> None:
    calling(
        workers,
        "return [await env.AUTH.props(), await env.PLAIN.props(), await env.DEFAULT.name(0)];",
        ServiceBinding("AUTH", "auth", "Admin", {"team": ["a", 1]}),
        ServiceBinding("PLAIN", "auth", "Admin"),
        ServiceBinding("DEFAULT", "auth", "default"),
    )
    workers.add(
        """
        import { WorkerEntrypoint } from "cloudflare:workers";
        export default { fetch() {}, name(_, env, ctx) { return "default"; } };
        export class Admin extends WorkerEntrypoint { props() { return this.ctx.props; } }
        """,
        "auth",
    )
    assert answered(workers) == [{"team": ["a", 1]}, {}, "default"]


def test_a_worker_calls_itself(workers: Workers) -> None:
    workers.add(
        """
        import { WorkerEntrypoint } from "cloudflare:workers";
        export default { async fetch(request, env) { return Response.json(await env.SELF.one()); } };
        export class Own extends WorkerEntrypoint { one() { return 1; } }
        """,
        services=(ServiceBinding("SELF", "app", "Own"),),
    )
    assert answered(workers) == 1


def test_an_entrypoint_that_is_missing_is_named_by_the_call(workers: Workers) -> None:
    calling(workers, "return await caught(() => env.AUTH.add(1));", ServiceBinding("AUTH", "auth", "Missing"))
    workers.add(OK, "auth")
    assert "Missing" in answered(workers)["message"]


ABSENT = "env.AUTH leads to the worker auth, which is not a worker of this session; name its configuration with -c too"
PYTHON = "env.AUTH leads to the worker auth, which is a Python worker; calling one from JavaScript is not emulated yet"


@pytest.mark.parametrize(("others", "sentence"), [([], ABSENT), ([".py"], PYTHON)])
def test_a_service_that_cannot_be_called_is_named_at_the_start_and_by_the_call(
    workers: Workers, others: list[str], sentence: str
) -> None:
    calling(
        workers,
        """
        const answer = await env.AUTH.fetch("http://auth/");
        return [answer.status, await answer.text(), await caught(() => env.AUTH.add(1, 2))];
        """,
    )
    for suffix in others:
        workers.add("from workers import Response\ndef fetch(request): return Response('ok')\n", "auth", suffix)
    answer = answered(workers)
    assert answer == [503, sentence, {"name": "Error", "message": sentence, "remote": True}]
    assert sentence in [notice.text for notice in workers.notices]


@pytest.mark.parametrize(
    "said",
    ["workerd serve: --debug-port: unrecognized option", "c.capnp:3:9: Struct has no field named 'workerdDebugPort'."],
)
def test_a_workerd_that_is_too_old_for_calls_is_said(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str
) -> None:
    old = tmp_path / "workerd"
    old.write_text(f'#!/bin/sh\necho "{said}"\nexit 1\n')
    old.chmod(0o755)
    monkeypatch.setenv("EMULATOR_WORKERD", str(old))
    calling(workers, "")

    async def test(host: WorkerdHost) -> None:
        assert host.failure is not None
        assert host.failure.text.startswith("this workerd is too old for workers that call each other; ")

    workers.run(test)


@pytest.mark.parametrize(
    "source", ["export default {{ {} }};", "export default class extends WorkerEntrypoint {{ {} }}"]
)
def test_exports_have_only_the_workers_own_names(workers: Workers, source: str) -> None:
    handler = """
        fetch(request, env, ctx) {
          const names = [Object.keys((ctx ?? this.ctx).exports), Object.keys(exports)];
          return Response.json(names.map((each) => each.sort()));
        }
    """
    workers.add(f"""
        import {{ WorkerEntrypoint, exports }} from "cloudflare:workers";
        export class Admin extends WorkerEntrypoint {{}}
        {source.format(handler)}
    """)
    assert answered(workers) == [["Admin", "default"]] * 2
