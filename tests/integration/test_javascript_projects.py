"""Projects as people have them, in the real program: service-worker syntax, old compatibility dates, files out of
packages, and code that a command makes."""

from __future__ import annotations

import json
import signal
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.node_tools import NODE_MODULES, needs_node

if TYPE_CHECKING:
    from tests.integration.conftest import Running

pytestmark = [needs_node, pytest.mark.usefixtures("javascript")]

ADD_WASM = bytes.fromhex("0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b")
"""A module that exports `add`, the sum of two numbers."""

FRONT = """
    // Written in 2019.
    addEventListener("fetch", (event) => {
      event.respondWith(handle(event.request));
    });

    async function handle(request) {
      const { pathname } = new URL(request.url);
      console.log("front", pathname);
      if (pathname === "/name") return new Response(NAME);
      if (pathname === "/throw") throw new TypeError("boom");
      return TEXT.fetch("https://text/report");
    }
"""
TEXT = """
    import fs from "node:fs";
    import { EOL } from "node:os";
    import { Buffer } from "node:buffer";
    import util from "util";

    export default {
      async fetch(request, env) {
        const sum = await (await env.SUM.fetch("https://sum/?a=40&b=2")).text();
        const kinds = [typeof fs.readFileSync, process.version.slice(0, 1), EOL];
        return Response.json([util.format("%s is the answer", sum), Buffer.from("a").toString("base64"), ...kinds]);
      },
    };
"""
SUM = """
    import wasm from "adder/dist/add.wasm";

    const { add } = new WebAssembly.Instance(wasm).exports;

    export default {
      async fetch(request: Request, env: { FRONT: Fetcher }): Promise<Response> {
        const { searchParams } = new URL(request.url);
        const name = await (await env.FRONT.fetch("https://front/name")).text();
        return new Response(`${name}: ${add(Number(searchParams.get("a")), Number(searchParams.get("b")))}`);
      },
    };
"""


def write(directory: Path, main: str, source: str, **settings: Any) -> Path:
    """Write a worker that is called as its directory, and return the path of its configuration."""
    path = directory / main
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source))
    config = directory / "wrangler.jsonc"
    config.write_text(json.dumps({"name": directory.name, "main": main, **settings}))
    return config


def service(binding: str, name: str) -> dict[str, Any]:
    return {"services": [{"binding": binding, "service": name}]}


def test_three_workers_that_call_each_other_run_unchanged(start: Callable[..., Running], tmp_path: Path) -> None:
    (tmp_path / "node_modules/@cloudflare").mkdir(parents=True)
    for name in ("@cloudflare/unenv-preset", "unenv"):
        (tmp_path / "node_modules" / name).symlink_to(NODE_MODULES / name)
    adder = tmp_path / "node_modules/adder"
    (adder / "dist").mkdir(parents=True)
    (adder / "package.json").write_text('{"name": "adder", "exports": {".": "./index.js"}}')
    (adder / "dist/add.wasm").write_bytes(ADD_WASM)
    configs = [
        write(
            tmp_path / "front",
            "index.js",
            FRONT,
            compatibility_date="2021-11-01",
            vars={"NAME": "front"},
            **service("TEXT", "text"),
        ),
        write(
            tmp_path / "text",
            "src/index.js",
            TEXT,
            compatibility_date="2024-10-01",
            compatibility_flags=["nodejs_compat"],
            **service("SUM", "sum"),
        ),
        write(tmp_path / "sum", "src/index.ts", SUM, compatibility_date="2026-04-01", **service("FRONT", "front")),
    ]
    arguments = [argument for config in configs for argument in ("-c", str(config))]
    running = start("dev", "-p", "0", *arguments, cwd=tmp_path).ready()
    assert httpx.get(running.url).json() == ["front: 42 is the answer", "YQ==", "function", "v", "\n"]
    running.wait_for(r"\[front GET /\] front /$")

    broken = httpx.get(f"{running.url}/throw")
    assert broken.status_code == 500
    assert f"TypeError: boom\n    at handle ({tmp_path}/front/index.js:11:" in broken.text
    running.wait_for(r"Error in GET /throw \(front\): TypeError: boom")

    main = tmp_path / "front/index.js"
    main.write_text(main.read_text().replace("new Response(NAME)", 'new Response("back")'))
    running.wait_for(r"Reloaded front in \d+ ms \(index\.js\)")
    assert httpx.get(f"{running.url}/name").text == "back"
    assert running.end() == 0
    assert "Warning" not in running.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_takes_long_does_not_keep_the_emulator_from_ending(
    start: Callable[..., Running], tmp_path: Path, number: int
) -> None:
    build = {"command": "echo making it; exec sleep 1000"}
    config = write(tmp_path / "app", "index.js", "", compatibility_date="2026-04-01", build=build)
    running = start("dev", "-p", "0", cwd=config.parent)
    running.wait_for(r"\[app build\] making it")
    assert running.end(number) == 0
    assert "Ready" not in running.output


def test_code_that_a_command_makes_is_made_again_when_what_it_watches_changes(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    command = "mkdir -p dist && cat src/head.txt src/tail.txt > dist/index.js && echo made $(wc -c < dist/index.js)"
    (tmp_path / "src").mkdir()
    (tmp_path / "src/head.txt").write_text("export default { fetch: () => new Response(")
    (tmp_path / "src/tail.txt").write_text("'one') };")
    (tmp_path / "wrangler.jsonc").write_text(
        json.dumps(
            {
                "name": "app",
                "main": "dist/index.js",
                "compatibility_date": "2026-04-01",
                "build": {"command": command},
            }
        )
    )
    running = start("dev", "-p", "0", cwd=tmp_path)
    running.wait_for(r"\[app build\] Running: mkdir -p dist")
    running.wait_for(r"\[app build\] made 52")
    running.ready()
    assert httpx.get(running.url).text == "one"

    (tmp_path / "src/tail.txt").write_text("'second') };")
    running.wait_for(r"\[app build\] made 55")
    running.wait_for(r"Reloaded app in \d+ ms \(src/tail\.txt\)")
    assert httpx.get(running.url).text == "second"

    (tmp_path / "src/tail.txt").rename(tmp_path / "src/end.txt")
    running.wait_for(r"\[app build\] .*src/tail\.txt")
    running.wait_for("build.command ended with status 1")
    answer = httpx.get(running.url)
    assert answer.status_code == 500
    assert "No such file or directory" in answer.text
    (tmp_path / "src/end.txt").rename(tmp_path / "src/tail.txt")
    running.wait_for("Reloaded app")
    assert httpx.get(running.url).text == "second"
    assert running.end() == 0
