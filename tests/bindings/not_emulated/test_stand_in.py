"""What a JavaScript worker finds in `env` under the name of a binding that is not emulated, on the real workerd."""

from __future__ import annotations

from typing import Any

import pytest

from emulator_runtime.workers.request import Request
from tests.hosts.workerd.support import Workers
from tests.support.node_tools import needs_node

pytest_plugins = ["tests.hosts.workerd.fixtures"]

pytestmark = needs_node

MISSING = {"CACHE": "kv_namespaces", "ROOM": "durable_objects"}


def run(workers: Workers, expression: str) -> str:
    """What a worker answers that has `env.CACHE`: the value of an expression, or what it throws."""
    workers.add(
        f"""
        export default {{
          async fetch(request, env) {{
            try {{ return new Response(String({expression})); }}
            catch (error) {{ return new Response(String(error), {{ status: 500 }}); }}
          }},
        }};
        """,
        vars={"A": "a"},
        not_emulated=MISSING,
    )

    async def test(host: Any) -> str:
        text: str = await (await host.fetch(Request("http://app/"))).text()
        return text

    return workers.run(test)


@pytest.mark.parametrize(
    "expression",
    [
        'await env.CACHE.get("key")',
        "env.CACHE.value",
        "env.CACHE.value = 1",
        "delete env.CACHE.value",
        '"get" in env.CACHE',
        "`${env.CACHE}`",
        "[...env.CACHE]",
        "Object.defineProperty(env.CACHE, 'x', { value: 1 })",
    ],
)
def test_using_it_throws_an_error_that_names_it(workers: Workers, expression: str) -> None:
    assert run(workers, expression) == "Error: env.CACHE (kv_namespaces in wrangler.jsonc) is not emulated yet"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("typeof env.CACHE", "object"),
        ('"CACHE" in env', "true"),
        ("env.CACHE !== undefined", "true"),
        ("Object.keys(env)", "A,CACHE,ROOM"),
        ("Object.keys({ ...env })", "A,CACHE,ROOM"),
        ("JSON.stringify(env)", '{"A":"a","CACHE":{},"ROOM":{}}'),
        ("await env.CACHE === env.CACHE", "true"),
        ("console.log(env)", "undefined"),
        ("console.log(env.CACHE)", "undefined"),
    ],
)
def test_it_can_be_looked_for_passed_on_and_printed(workers: Workers, expression: str, expected: str) -> None:
    assert run(workers, expression) == expected


def test_each_has_its_own_name(workers: Workers) -> None:
    text = run(workers, 'env.ROOM.idFromName("a")')
    assert text == "Error: env.ROOM (durable_objects in wrangler.jsonc) is not emulated yet"


def test_worker_code_cannot_import_what_it_is_made_of(workers: Workers) -> None:
    assert "not-emulated" in run(workers, 'Object.keys(await import("emulator:not-emulated"))')
