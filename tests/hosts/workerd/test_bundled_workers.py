"""Bundles on a real workerd: that the modules in them are what production makes of them, and that errors name the files
that the user wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from msgspec.structs import replace

from emulator.base.failure import Failure
from emulator.config.model import Bundling, ModuleRule
from emulator.hosts.host import HandlerError
from emulator.hosts.workerd.host import WorkerdHost
from emulator_runtime.workers.request import Request
from tests.hosts.support import fetch
from tests.hosts.workerd.support import Workers
from tests.support.node_tools import needs_node

pytestmark = needs_node

ADD_WASM = bytes.fromhex("0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b")
"""A module that exports `add`, the sum of two numbers."""


def write(directory: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else dedent(content).encode())


def answer(workers: Workers) -> Any:
    """The JSON that the first worker answers."""

    async def ask(host: WorkerdHost) -> Any:
        assert host.failure is None, host.failure
        return json.loads(await (await fetch(host, Request("http://localhost/"))).text())

    return workers.run(ask)


def test_wasm_text_data_and_json_are_what_they_are_in_production(workers: Workers) -> None:
    workers.add(
        """
        import wasm from "./add.wasm";
        import other from "./add.wasm?module";
        import text from "./note.txt";
        import data from "./data.bin";
        import settings from "./settings.json";

        export default {
          async fetch() {
            const { add } = new WebAssembly.Instance(wasm).exports as any;
            return Response.json([
              add(40, 2), other instanceof WebAssembly.Module, text, data instanceof ArrayBuffer,
              Array.from(new Uint8Array(data)), settings.name,
            ]);
          },
        };
        """,
        suffix=".ts",
    )
    files: Mapping[str, str | bytes] = {
        "add.wasm": ADD_WASM,
        "note.txt": "übung",
        "data.bin": b"\x00\xff",
        "settings.json": '{"name": "x"}',
    }
    write(workers.directory / "app", files)
    assert answer(workers) == [42, True, "übung", True, [0, 255], "x"]


def test_commonjs_packages_require_the_modules_of_nodejs(workers: Workers) -> None:
    workers.add(
        """
        import pkg from "pkg";
        export default { fetch: () => Response.json(pkg) };
        """,
        compatibility_date="2025-01-01",
        compatibility_flags=frozenset({"nodejs_compat"}),
    )
    package = """
        const Emitter = require("events");
        const { join } = require("node:path");
        let missing;
        try { missing = require("node:child_process"); } catch (error) { missing = error.message; }
        class Mine extends Emitter {}
        module.exports = [new Mine() instanceof Emitter, join("a", "b"), missing];
    """
    write(workers.directory / "app", {"node_modules/pkg/index.js": package})
    assert answer(workers) == [True, "a/b", 'No such module "node:child_process"']


def test_a_dynamic_import_is_part_of_the_bundle(workers: Workers) -> None:
    workers.add('export default { fetch: async () => Response.json((await import("./later.js")).default) };')
    write(workers.directory / "app", {"later.js": 'export default "later";'})
    assert answer(workers) == "later"


def test_no_bundle_runs_the_files_as_they_are(workers: Workers) -> None:
    rules = (ModuleRule("ESModule", ("**/*.js",)), ModuleRule("CommonJS", ("**/*.cjs",)))
    workers.add(
        """
        import { name } from "./lib/name.js";
        import old from "./lib/old.cjs";
        import text from "./note.txt";
        export default { fetch: () => Response.json([name, old, text]) };
        """,
        bundling=Bundling(no_bundle=True, rules=rules),
    )
    files = {
        "lib/name.js": 'export { name } from "../deep/er/name.js";',
        "deep/er/name.js": 'export const name = "name";',
        "lib/old.cjs": 'module.exports = "old";',
        "note.txt": "note",
    }
    write(workers.directory / "app", files)
    assert answer(workers) == ["name", "old", "note"]


@pytest.mark.parametrize("minify", [False, True])
def test_an_error_names_the_lines_of_typescript(workers: Workers, minify: bool) -> None:
    workers.add(
        """
        import { check } from "./lib/check";
        import { run } from "pkg";

        interface Body { name?: string }

        export default {
          async fetch(request: Request): Promise<Response> {
            const body: Body = {};
            return run(() => check(body.name));
          },
        };
        """,
        suffix=".ts",
        bundling=Bundling(minify=minify),
    )
    check = """
        type Name = string | undefined;

        export function check(name: Name): Response {
          if (name === undefined) throw new TypeError("a name is missing");
          return new Response(name);
        }
    """
    write(
        workers.directory / "app",
        {"lib/check.ts": check, "node_modules/pkg/index.js": "export const run = (f) => {\n  return f();\n};"},
    )

    async def failing(host: WorkerdHost) -> HandlerError:
        with pytest.raises(HandlerError) as raised:
            await fetch(host, Request("http://localhost/"))
        return raised.value

    failure = workers.run(failing).failure
    app = workers.directory / "app"
    assert failure.summary == "TypeError: a name is missing"
    assert [(Path(frame.file).relative_to(app).as_posix(), frame.line, frame.is_user) for frame in failure.frames] == [
        ("index.ts", 10, True),
        ("node_modules/pkg/index.js", 2, False),
        ("index.ts", 10, True),
        ("lib/check.ts", 5, True),
    ]
    if not minify:
        assert failure.frames[-1].function == "check"
    assert failure.frames[-1].code.startswith("if (name === undefined) throw")
    assert f"{app / 'lib/check.ts'}:5:33" in failure.text


def test_an_error_that_is_logged_names_the_lines_of_typescript_in_one_record(workers: Workers) -> None:
    config = workers.add(
        """\
        interface Unused {}

        class Refused extends Error {
          code = 42;
        }

        function inner(): never {
          throw new Refused("not you");
        }

        export default {
          async fetch(request: Request): Promise<Response> {
            const errors: Error[] = [];
            for (const call of [inner, () => request.json()]) {
              try {
                await call();
              } catch (error) {
                errors.push(error as Error);
              }
            }
            const [refused, foreign] = errors;
            console.error(refused);
            console.error("failed:", { refused }, [new Error("outer", { cause: refused })]);
            console.warn(refused.stack, "and more");
            console.log(foreign);
            return new Response("ok");
          },
        };
        """,
        suffix=".ts",
    )

    async def test(host: WorkerdHost) -> None:
        await fetch(host, Request("http://localhost/"))
        one, several, stack, foreign = (event.text for event in workers.output)
        frames = f"    at inner ({config.main}:8:9)\n    at Object.fetch ({config.main}:16:15)"
        assert one == f"Refused [Error]: not you\n{frames} {{\n  code: 42\n}}"
        assert stack == f"Error: not you\n{frames} and more"
        assert several.count(f"at inner ({config.main}:8:9)") == 2
        assert re.search(rf"Error: outer\n +at Object.fetch \({config.main}:23:\d+\) {{\n +\[cause\]: Refused", several)
        assert foreign.startswith("SyntaxError: ")
        for text in (one, several, stack, foreign):
            assert "__emulator__" not in text
            assert "index.js" not in text

    workers.run(test)


def test_a_warning_of_esbuild_is_said_once_for_as_long_as_it_stays(workers: Workers) -> None:
    config = workers.add('export default { fetch: () => new Response("ok"), fetch: 1 as any };', suffix=".ts")

    async def reloaded(host: WorkerdHost) -> None:
        await host.reload(config)

    workers.run(reloaded)
    assert [notice.text for notice in workers.notices] == ['index.ts:1:51: Duplicate key "fetch" in object literal']


def test_a_file_elsewhere_that_is_wrong_is_watched(workers: Workers) -> None:
    config = workers.add('import "../shared"; export default { fetch: () => Response.json("ok") };')
    write(workers.directory, {"shared.js": "let = ;"})

    async def mended(host: WorkerdHost) -> None:
        assert host.failure is not None
        assert host.failure.location == f"{workers.directory / 'shared.js'}:1"
        assert workers.directory / "shared.js" in host.files
        write(workers.directory, {"shared.js": ""})
        await host.reload(config)
        assert host.failure is None

    workers.run(mended)


def test_a_module_of_nodejs_that_workerd_does_not_have_yet_is_named_where_it_is_imported(workers: Workers) -> None:
    workers.add(
        """
        const answer: string = "ok";
        import { createServer } from "http";
        export default { fetch: () => Response.json([answer, createServer]) };
        """,
        suffix=".ts",
        compatibility_date="2024-10-01",
        compatibility_flags=frozenset({"nodejs_compat"}),
    )

    async def failure(host: WorkerdHost) -> Failure | None:
        return host.failure

    found = workers.run(failure)
    assert found is not None
    assert found.summary == 'Error: No such module "node:http"'
    assert found.location == f"{workers.directory / 'app/index.ts'}:3"
    assert "only from a later compatibility_date on" in found.text


def test_a_file_that_no_rule_names_is_missing_without_a_bundle(workers: Workers) -> None:
    workers.add(
        'import { a } from "./a.js";\nexport default { fetch: () => Response.json(a) };',
        bundling=Bundling(no_bundle=True),
    )
    write(workers.directory / "app", {"a.js": "export const a = 1;"})

    async def failure(host: WorkerdHost) -> Failure | None:
        return host.failure

    found = workers.run(failure)
    assert found is not None
    assert "only files that rules in wrangler.jsonc name can be imported" in found.text


def test_wasm_that_a_package_does_not_export_is_found_by_its_path(workers: Workers) -> None:
    workers.add(
        """
        import add from "adder/dist/add.wasm";
        import module from "adder/dist/add.wasm?module";
        import legacy from "beside.wasm";
        import { sum } from "./lib/sum";
        const one = new WebAssembly.Instance(add).exports as any;
        const others = [module, legacy].map((each) => each instanceof WebAssembly.Module);
        export default { fetch: () => Response.json([one.add(1, 2), sum, ...others]) };
        """,
        suffix=".ts",
    )
    write(
        workers.directory,
        {
            "app/lib/sum.ts": """
                import add from "@scope/adder/add.wasm";
                export const sum = (new WebAssembly.Instance(add).exports as any).add(40, 2);
            """,
            "node_modules/adder/package.json": '{"name": "adder", "exports": {".": "./index.js"}}',
            "node_modules/adder/index.js": "",
            "node_modules/adder/dist/add.wasm": ADD_WASM,
            "app/node_modules/@scope/adder/package.json": '{"exports": "./index.js"}',
            "app/node_modules/@scope/adder/add.wasm": ADD_WASM,
            "app/beside.wasm": ADD_WASM,
        },
    )
    assert answer(workers) == [3, 42, True, True]


ADDITIONAL = Bundling(
    find_additional_modules=True, rules=(ModuleRule("ESModule", ("**/*.mjs",)), ModuleRule("CommonJS", ("**/*.cjs",)))
)


@pytest.mark.parametrize("minify", [False, True])
def test_additional_modules_are_imported_by_names_that_only_running_code_knows(workers: Workers, minify: bool) -> None:
    workers.add(
        """
        import english from "./lang/en.mjs";
        import "./lang/größe.mjs";
        import { nested } from "./lib/nested";
        export default {
          async fetch(request: Request) {
            const names = ["./lang/fr.cjs", "./lang/it.txt"];
            const part = ["de.mjs"][0];
            const others = await Promise.all([import(`./lang/${part}`), ...names.map((name) => import(name))]);
            return Response.json([english, nested, ...others.map((other) => other.default)]);
          },
        };
        """,
        suffix=".ts",
        bundling=replace(ADDITIONAL, minify=minify),
    )
    write(
        workers.directory,
        {
            "app/lib/nested.ts": 'import english from "../lang/en.mjs"; export const nested = english.toUpperCase();',
            "app/lang/en.mjs": 'export default "hello";',
            "app/lang/de.mjs": 'import english from "./en.mjs"; export default english + " auf deutsch";',
            "app/lang/größe.mjs": "export {};",
            "app/lang/fr.cjs": 'module.exports = "bonjour";',
            "app/lang/it.txt": "ciao",
        },
    )
    assert answer(workers) == ["hello", "HELLO", "hello auf deutsch", "bonjour", "ciao"]


def test_an_error_in_an_additional_module_names_its_file(workers: Workers) -> None:
    workers.add(
        'import fail from "./lib/fail.mjs"; export default { fetch: () => fail() };',
        bundling=ADDITIONAL,
    )
    write(workers.directory, {"app/lib/fail.mjs": "\nexport default () => { throw new Error('additional'); };"})

    async def ask(host: WorkerdHost) -> Failure:
        assert workers.directory / "app/lib/fail.mjs" in host.files
        with pytest.raises(HandlerError) as raised:
            await fetch(host, Request("http://localhost/"))
        return raised.value.failure

    failure = workers.run(ask)
    assert failure.location == f"{workers.directory / 'app/lib/fail.mjs'}:2"


def test_additional_modules_below_a_base_directory(workers: Workers) -> None:
    workers.add(
        """
        import shared from "../shared/greeting.mjs";
        const load = async (name) => (await import(name)).default;
        export default { fetch: async () => Response.json([shared, await load("./shared/greeting.mjs")]) };
        """,
        bundling=replace(ADDITIONAL, base_dir=".."),
    )
    write(workers.directory, {"shared/greeting.mjs": 'export default "hello";'})
    assert answer(workers) == ["hello", "hello"]


def test_preserved_file_names_can_be_imported_by_running_code(workers: Workers) -> None:
    workers.add(
        """
        import page from "./pages/home.html";
        const load = async (name: string) => (await import(name)).default;
        export default { fetch: async () => Response.json([page, await load("./pages/home.html")]) };
        """,
        suffix=".ts",
        bundling=Bundling(preserve_file_names=True),
    )
    write(workers.directory, {"app/pages/home.html": "<p>home</p>"})
    assert answer(workers) == ["<p>home</p>", "<p>home</p>"]


def test_without_a_bundle_additional_modules_can_be_left_out(workers: Workers) -> None:
    rules = (ModuleRule("ESModule", ("**/*.mjs",)),)
    workers.add(
        """
        export default {
          fetch: () => import("./other.mjs").then(() => Response.json("found"), () => Response.json("missing")),
        };
        """,
        bundling=Bundling(no_bundle=True, find_additional_modules=False, rules=rules),
    )
    write(workers.directory, {"app/other.mjs": "export default 1;"})
    assert answer(workers) == "missing"


def test_a_script_cannot_have_additional_modules(workers: Workers) -> None:
    workers.add("addEventListener('fetch', (event) => event.respondWith(new Response()));", bundling=ADDITIONAL)

    async def told(host: WorkerdHost) -> str:
        assert host.failure is not None
        return host.failure.message

    assert "find_additional_modules needs a worker with a default export" in workers.run(told)
