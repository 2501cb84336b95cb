"""Bundling with the real esbuild: what becomes of a worker's files, and what is said when that fails."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from emulator.base.errors import EmulatorError
from emulator.config.model import Bundling, ModuleRule, WorkerConfig
from emulator.hosts.workerd.bundle import read_source
from emulator.hosts.workerd.diagnostics import BuildError
from emulator.hosts.workerd.source import Source
from tests.support.node_tools import needs_node

pytestmark = [needs_node, pytest.mark.usefixtures("javascript")]


class Project:
    """The directory of a worker."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()

    def write(self, **files: str | bytes) -> Project:
        """Write files: `__` stands for a slash and `_` before the ending for a dot."""
        for name, content in files.items():
            stem, _, suffix = name.replace("__", "/").rpartition("_")
            path = self.directory / f"{stem}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else dedent(content).encode())
        return self

    def read(self, main: str = "index.ts", *flags: str, date: str = "2026-04-01", **bundling: Any) -> Source:
        return asyncio.run(read_source(self.config(main, *flags, date=date, **bundling), self.directory))

    def config(self, main: str, *flags: str, date: str = "2026-04-01", **bundling: Any) -> WorkerConfig:
        return WorkerConfig(
            "worker",
            self.directory / "wrangler.jsonc",
            self.directory / main,
            compatibility_date=date,
            compatibility_flags=frozenset(flags),
            bundling=Bundling(**bundling),
        )

    def fails(self, main: str = "index.ts", *flags: str, date: str = "2026-04-01", **bundling: Any) -> BuildError:
        with pytest.raises(BuildError) as raised:
            self.read(main, *flags, date=date, **bundling)
        return raised.value

    def line_of(self, source: Source, text: str) -> tuple[str, int]:
        """Where the first line of the bundle with `text` in it comes from."""
        module = source.modules[0]
        for number, line in enumerate(module.content.decode().splitlines(), 1):
            if text in line:
                located = source.locate(module.name, number, line.index(text) + 1)
                assert located is not None
                return str(located[0].relative_to(self.directory)), located[1]
        raise AssertionError(f"the bundle has no {text!r}")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def code(source: Source) -> str:
    return source.modules[0].content.decode()


def test_typescript_becomes_javascript_and_its_lines_are_known(project: Project) -> None:
    project.write(
        index_ts="""
            import { greet } from "./lib/greet";
            enum Kind { A = "kind a" }
            export default { async fetch(request: Request): Promise<Response> { return new Response(greet(Kind.A)); } };
        """,
        lib__greet_ts="""
            interface Named { name: string }

            export const greet = (name: string): string => `Hello ${name}`;
        """,
    )
    source = project.read()
    assert [module.name for module in source.modules] == ["index.js"]
    assert "interface" not in code(source)
    assert project.line_of(source, "`Hello") == ("lib/greet.ts", 4)
    assert project.line_of(source, "new Response") == ("index.ts", 4)
    assert source.inputs == {project.directory / "index.ts", project.directory / "lib/greet.ts"}


def test_jsx_in_every_file_that_may_hold_it(project: Project) -> None:
    project.write(
        index_tsx="""
            import { b } from "./b.js";
            const React = { createElement: (tag: string) => tag };
            export default { fetch: () => new Response(<p>hi</p> + b) };
        """,
        b_js="const React = { createElement: (tag) => tag }; export const b = <b>x</b>;",
    )
    text = code(project.read("index.tsx"))
    assert text.count("createElement(") == 2


def test_packages_are_found_by_the_conditions_of_workers(project: Project) -> None:
    exports = '{"exports": {"workerd": "./worker.js", "node": "./node.js", "default": "./node.js"}, "name": "pkg"}'
    project.write(
        index_js='import { who } from "pkg"; import old from "old"; export default { fetch: () => who + old };',
        node_modules__pkg__package_json=exports,
        node_modules__pkg__worker_js='export const who = "the one for workers";',
        node_modules__pkg__node_js='export const who = "the one for node";',
        node_modules__old__package_json='{"name": "old", "main": "main.js"}',
        node_modules__old__main_js='module.exports = "CommonJS";',
    )
    text = code(project.read("index.js"))
    assert "the one for workers" in text
    assert "the one for node" not in text
    assert '"CommonJS"' in text


def test_wasm_text_and_data_become_modules(project: Project) -> None:
    project.write(
        index_ts="""
            import wasm from "./add.wasm";
            import page from "./page.html";
            import note from "./note.txt";
            import query from "./query.sql";
            import data from "./data.bin";
            import settings from "./settings.json";
            export default { fetch: () => [wasm, page, note, query, data, settings] };
        """,
        add_wasm=b"\x00asm\x01\x00\x00\x00",
        page_html="<p>",
        note_txt="note",
        query_sql="select 1",
        data_bin=b"\x00\x01",
        settings_json='{"a": "from json"}',
    )
    source = project.read()
    kinds = {module.content: module.kind for module in source.modules[1:]}
    assert kinds == {
        b"\x00asm\x01\x00\x00\x00": "wasm",
        b"<p>": "text",
        b"note": "text",
        b"select 1": "text",
        b"\x00\x01": "data",
    }
    assert all(f'"./{module.name}"' in code(source) for module in source.modules[1:])
    assert "from json" in code(source)


def test_what_workerd_provides_stays_an_import(project: Project) -> None:
    project.write(
        index_ts="""
            import { DurableObject } from "cloudflare:workers";
            import { Buffer } from "node:buffer";
            export default { fetch: () => [DurableObject, Buffer] };
        """
    )
    text = code(project.read("index.ts", "nodejs_compat"))
    assert '"cloudflare:workers"' in text
    assert '"node:buffer"' in text


def test_node_modules_need_no_prefix_with_nodejs_compat(project: Project) -> None:
    project.write(index_ts='import { Buffer } from "buffer"; export default { fetch: () => Buffer };')
    assert '"node:buffer"' in code(project.read("index.ts", "nodejs_compat"))
    assert 'Could not resolve "buffer"' in str(project.fails())


@pytest.mark.parametrize(
    "text",
    [
        'export default { fetch() { return new Response("ok"); } };',
        'import { WorkerEntrypoint } from "cloudflare:workers";\nexport default class extends WorkerEntrypoint {}',
        'export default {\n  fetch() {\n    return new Response("from here", { headers: { a: "b" } });\n  },\n};',
    ],
)
def test_a_file_that_imports_nothing_of_its_own_is_run_as_it_is(
    project: Project, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMULATOR_ESBUILD", "/nowhere")
    source = project.write(index_js=text).read("index.js")
    assert code(source) == text
    assert source.locate("index.js", 3, 4) == (project.directory / "index.js", 3, 4)


def test_without_esbuild_what_surely_needs_it_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMULATOR_ESBUILD", str(project.directory / "nothing"))
    project.write(index_js='import a from "./a.js";\nexport default { fetch() { return a; } };')
    with pytest.raises(EmulatorError, match=r"EMULATOR_ESBUILD names .*, which does not exist"):
        project.read("index.js")


def test_a_syntax_error_has_its_file_line_and_code(project: Project) -> None:
    project.write(index_ts='import "./broken";\nexport default {};', broken_ts="const a = 1;\n\nlet b = ;\n")
    failure = project.fails().failure
    assert failure.summary == 'BuildError: Unexpected ";"'
    assert (failure.frames[0].file, failure.frames[0].line) == (str(project.directory / "broken.ts"), 3)
    assert failure.frames[0].code == "let b = ;"
    assert "broken.ts:3:9:" in failure.text
    assert failure.text.splitlines()[2:] == ["    broken.ts:3:9:", "      3 │ let b = ;", "        ╵         ^"]


def test_all_errors_are_told(project: Project) -> None:
    project.write(index_ts='import a from "./a";\nimport b from "no-such-package";\nexport default { a, b };')
    failure = project.fails().failure
    assert failure.message == 'Could not resolve "./a" (and 1 more error)'
    assert 'Error: Could not resolve "no-such-package"' in failure.text


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"export default {" + b" " * 2_000_000])
def test_what_is_no_code_is_an_error_and_no_crash(project: Project, content: bytes) -> None:
    project.write(index_ts=content)
    assert project.fails().failure.frames


def test_a_file_that_is_not_there(project: Project) -> None:
    with pytest.raises(EmulatorError, match=r"index.ts: cannot be read: no such file or directory"):
        project.read()


def test_imports_in_a_circle(project: Project) -> None:
    project.write(
        index_ts='import { b } from "./b"; export const a = "a"; export default { fetch: () => b() };',
        b_ts='import { a } from "./index"; export const b = () => a;',
    )
    assert len(project.read().inputs) == 2


# What is said about errors


def test_the_first_error_is_the_innermost_frame_and_the_others_are_counted(project: Project) -> None:
    wrong = "\n".join(f'import "./missing-{number}";' for number in range(14))
    failure = project.write(index_ts=wrong).fails().failure
    assert failure.message == 'Could not resolve "./missing-0" (and 13 more errors)'
    assert [frame.line for frame in failure.frames] == list(range(10, 0, -1))
    assert failure.location == f"{project.directory / 'index.ts'}:1"
    assert failure.text.endswith("And 4 more errors.")


def test_columns_count_characters_from_one(project: Project) -> None:
    text = project.write(index_ts="\tconst 日本 = ;".encode()).fails().failure.text
    assert "index.ts:1:13:" in text
    assert "const 日本 = ;" in text


def test_notes_that_name_a_place_stay_with_their_error(project: Project) -> None:
    text = project.write(index_ts="let a = 1;\nlet a = 2;\nexport default { a };").fails().failure.text
    assert 'Error: The symbol "a" has already been declared\n\n    index.ts:2:5:' in text
    assert 'The symbol "a" was originally declared here:\n\n    index.ts:1:5:' in text


def test_a_package_that_is_missing_can_be_installed(project: Project) -> None:
    project.write(index_ts='import a from "@scope/pkg/deep"; export default { a };')
    text = project.fails().failure.text
    assert "Install it with `npm install @scope/pkg`, or add an alias for it in wrangler.jsonc." in text
    assert "external" not in text


def test_a_file_that_no_rule_is_about_can_be_given_one(project: Project) -> None:
    project.write(index_ts='import a from "./a.yaml"; export default { a };', a_yaml="a: 1")
    text = project.fails().failure.text
    assert 'add {"type": "Text", "globs": ["**/*.yaml"]} to rules in wrangler.jsonc' in text


@pytest.mark.parametrize("bundling", [{"define": {"A": "not code"}}, {"alias": {"./a": "b"}}, {"tsconfig": "no.json"}])
def test_a_setting_that_esbuild_refuses_is_an_error_without_a_place(project: Project, bundling: dict[str, Any]) -> None:
    project.write(index_ts="export default {};")
    failure = project.fails(**bundling).failure
    assert failure.frames == ()
    assert failure.message in failure.text


def test_a_tsconfig_that_is_broken_is_named(project: Project) -> None:
    project.write(index_ts="export default {};", tsconfig_json='{"compilerOptions": {')
    assert project.fails().failure.location == f"{project.directory / 'tsconfig.json'}:1"


def test_files_with_errors_are_known_so_that_their_next_save_is_seen(project: Project) -> None:
    project.write(src__index_ts='import "../shared/a"; export default {};', shared__a_ts="let = ;")
    assert project.fails("src/index.ts").files == {project.directory / "shared/a.ts"}


def test_an_esbuild_that_does_not_start_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    program = project.directory / "esbuild"
    program.write_bytes(b"no program")
    program.chmod(0o755)
    monkeypatch.setenv("EMULATOR_ESBUILD", str(program))
    project.write(index_ts="export default {};")
    with pytest.raises(EmulatorError, match=r"/esbuild: cannot be started: "):
        project.read()


def test_an_esbuild_that_fails_without_a_reason_is_reported_as_it_is(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = project.directory / "esbuild"
    program.write_text("#!/bin/sh\necho 'panic: out of luck' >&2\nexit 2\n")
    program.chmod(0o755)
    monkeypatch.setenv("EMULATOR_ESBUILD", str(program))
    failure = project.write(index_ts="export default {};").fails().failure
    assert failure.summary == "BuildError: panic: out of luck"


def test_a_warning_does_not_stop_the_worker(project: Project) -> None:
    source = project.write(index_ts="export default {};\nexport const a = { b: 1, b: 2 };").read()
    assert source.warnings == ('index.ts:2:26: Duplicate key "b" in object literal',)


def test_a_build_that_nobody_waits_for_any_more_ends(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    program = project.directory / "esbuild"
    started = project.directory / "started"
    os.mkfifo(started)
    program.write_text(f"#!/bin/sh\necho $$ > {started}\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("EMULATOR_ESBUILD", str(program))
    config = project.write(index_ts="export default {};").config("index.ts")

    async def cancelled() -> int:
        building = asyncio.create_task(read_source(config, project.directory))
        pid = int(await asyncio.to_thread(started.read_text))
        building.cancel()
        await asyncio.wait((building,))
        assert building.cancelled()
        return pid

    with pytest.raises(ProcessLookupError):
        os.kill(asyncio.run(cancelled()), 0)


# Node.js


@pytest.mark.parametrize(
    ("flags", "date", "hint"),
    [
        ((), "2026-08-03", 'add "nodejs_compat" to compatibility_flags'),
        (("nodejs_als",), "2026-08-03", 'add "nodejs_compat" to compatibility_flags'),
        (("no_nodejs_compat", "no_nodejs_compat_v2"), "", 'add "nodejs_compat" to compatibility_flags'),
        (("nodejs_compat",), "2024-09-22", 'import "node:fs", or set compatibility_date to 2024-09-23 or later'),
        (("nodejs_compat", "no_nodejs_compat_v2"), "", 'import "node:fs", or set compatibility_date'),
    ],
)
def test_a_bare_module_of_nodejs_says_what_it_needs(
    project: Project, flags: tuple[str, ...], date: str, hint: str
) -> None:
    project.write(index_ts='import fs from "fs"; export default { fs };')
    text = project.fails("index.ts", *flags, date=date).failure.text
    assert hint in text
    assert "--platform" not in text


@pytest.mark.parametrize(
    ("flags", "date"),
    [(("nodejs_compat",), "2024-09-23"), (("nodejs_compat_v2",), "2023-01-01"), ((), "2026-08-04"), ((), "")],
)
def test_bare_modules_of_nodejs_are_found_from_their_date_on(
    project: Project, flags: tuple[str, ...], date: str
) -> None:
    project.write(index_ts='import path from "path/posix"; export default { path };')
    assert '"node:path/posix"' in code(project.read("index.ts", *flags, date=date))


def test_a_module_of_nodejs_that_is_imported_without_the_flag_is_an_error_at_its_place(project: Project) -> None:
    project.write(
        index_ts='import "./lib";\nexport default {};',
        lib_ts='export const a = 1;\nimport { readFileSync } from "node:fs";\nconsole.log(readFileSync);',
    )
    failure = project.fails().failure
    assert failure.message == 'Could not resolve "node:fs"'
    assert failure.location == f"{project.directory / 'lib.ts'}:2"
    assert failure.text.splitlines()[2:5] == [
        "    lib.ts:2:30:",
        '      2 │ import { readFileSync } from "node:fs";',
        f"        ╵ {' ' * 29}~~~~~~~~~",
    ]
    assert 'add "nodejs_compat"' in failure.text


def test_a_module_of_nodejs_that_code_may_do_without_is_a_warning(project: Project) -> None:
    source = project.write(index_ts='export default { fetch: () => import("node:fs") };').read()
    hint = 'It is a Node.js module: add "nodejs_compat" to compatibility_flags.'
    assert source.warnings == (f'index.ts:1:38: Could not resolve "node:fs". {hint}',)


def test_async_hooks_need_less_than_all_of_nodejs(project: Project) -> None:
    project.write(
        index_ts='import { AsyncLocalStorage } from "node:async_hooks"; export default { AsyncLocalStorage };'
    )
    assert '"node:async_hooks"' in code(project.read("index.ts", "nodejs_als"))


def test_a_package_in_place_of_a_module_of_nodejs_is_not_taken(project: Project) -> None:
    project.write(
        index_ts='import { Buffer } from "buffer"; export default { Buffer };',
        node_modules__buffer__package_json='{"name": "buffer", "main": "main.js"}',
        node_modules__buffer__main_js='exports.Buffer = "of the package";',
    )
    assert "of the package" not in code(project.read("index.ts", "nodejs_compat"))
    assert "of the package" in code(project.read())


def test_a_file_of_a_package_with_the_name_of_a_module_of_nodejs_is_found(project: Project) -> None:
    project.write(
        index_ts="""
            import process from "process/browser";
            import { Buffer } from "buffer";
            export default { process, Buffer };
        """,
        node_modules__process__browser_js='module.exports = "of the package";',
    )
    text = code(project.read("index.ts", "nodejs_compat"))
    assert "of the package" in text
    assert '"node:buffer"' in text


def test_an_import_that_comes_to_nothing_is_no_error(project: Project) -> None:
    project.write(
        index_ts='import { used } from "pkg"; export default { used };',
        node_modules__pkg__package_json='{"name": "pkg", "sideEffects": false, "main": "index.js"}',
        node_modules__pkg__index_js='export const used = 1; export { readFileSync } from "./node.js";',
        node_modules__pkg__node_js='export { readFileSync } from "node:fs";',
    )
    assert "node:fs" not in code(project.read())


def test_a_rule_makes_text_of_other_files(project: Project) -> None:
    project.write(
        index_ts='import a from "./a.md"; import b from "./b.txt"; export default { a, b };', a_md="a", b_txt="b"
    )
    rule = ModuleRule("Text", ("**/*.md",), fallthrough=True)
    kinds = [(module.kind, module.content) for module in project.read(rules=(rule,)).modules[1:]]
    assert kinds == [("text", b"a"), ("text", b"b")]


def test_a_rule_without_fallthrough_is_the_last_of_its_type(project: Project) -> None:
    project.write(index_ts='import b from "./b.txt"; export default { b };', b_txt="b")
    failure = project.fails(rules=(ModuleRule("Text", ("**/*.md",)),)).failure
    assert failure.location == f"{project.directory / 'index.ts'}:1"
    assert 'An earlier rule of the same type keeps the one for "**/*.txt" from taking effect' in failure.text
    assert '"fallthrough": true' in failure.text


def test_of_two_endings_of_a_file_the_longer_one_counts(project: Project) -> None:
    rules = (ModuleRule("Text", ("**/*.client.js",)), ModuleRule("Data", ("**/*.js.gz",), fallthrough=True))
    project.write(index_js='import a from "./a.client.js"; import b from "./b.js.gz"; export default { a, b };')
    (project.directory / "a.client.js").write_text("not run()")
    (project.directory / "b.js.gz").write_bytes(b"\x1f\x8b")
    kinds = [(module.kind, module.content) for module in project.read("index.js", rules=rules).modules[1:]]
    assert kinds == [("text", b"not run()"), ("data", b"\x1f\x8b")]


def test_a_rule_that_is_about_no_ending_has_no_effect_and_says_so(project: Project) -> None:
    project.write(index_ts="export default {};")
    source = project.read(rules=(ModuleRule("Text", ("**/LICENSE", "**/*.js")),))
    assert source.warnings == (
        "wrangler.jsonc: rules: '**/LICENSE' does not name a file ending, so it has no effect here",
        "wrangler.jsonc: rules: '**/*.js' does not name a file ending, so it has no effect here",
    )


def test_wasm_may_be_imported_as_a_module(project: Project) -> None:
    project.write(
        index_ts='import a from "./a.wasm?module"; import b from "./a.wasm"; export default { a, b };',
        a_wasm=b"\x00asm\x01\x00\x00\x00",
    )
    source = project.read()
    (name,) = [module.name for module in source.modules[1:]]
    assert code(source).count(f'"./{name}"') == 2
    assert "?module" not in code(source)
    assert source.inputs == {project.directory / "index.ts", project.directory / "a.wasm"}


def test_define_replaces_names(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NODE_ENV", raising=False)
    project.write(index_js="export default { a: VERSION, b: process.env.NODE_ENV, c: navigator.userAgent };")
    text = code(project.read("index.js", define={"VERSION": '"1.2"'}))
    assert 'a: "1.2"' in text
    assert 'b: "development"' in text
    assert 'c: "Cloudflare-Workers"' in text
    assert 'b: "test"' in code(project.read("index.js", define={"VERSION": "1", "process.env.NODE_ENV": '"test"'}))


def test_the_user_agent_is_known_only_where_there_is_a_navigator(project: Project) -> None:
    project.write(index_ts="export default { a: navigator.userAgent };")
    assert "navigator.userAgent" in code(project.read(date="2022-03-20"))
    assert "navigator.userAgent" in code(project.read("index.ts", "no_global_navigator"))
    assert "navigator.userAgent" not in code(project.read("index.ts", "global_navigator", date="2022-03-20"))


def test_alias_takes_another_module_instead(project: Project) -> None:
    project.write(
        index_ts='import a from "pkg"; import b from "fs"; export default { a, b };',
        src__instead_ts='export default "instead";',
    )
    alias = {"pkg": "./src/instead.ts", "fs": "./src/instead.ts"}
    text = code(project.read("index.ts", "nodejs_compat", alias=alias))
    assert '"instead"' in text
    assert "node:fs" not in text


def test_minify_and_keep_names(project: Project) -> None:
    project.write(index_js="export function handler() { return 1; }\nexport default { fetch: handler };")
    assert "handler" in code(project.read("index.js", minify=True))
    without = code(project.read("index.js", minify=True, keep_names=False))
    assert without.count("handler") == 1  # the export
    assert without.count("\n") == 1


def test_jsx_by_the_settings_and_by_the_tsconfig(project: Project) -> None:
    project.write(index_tsx="export default { a: <><b/></> };")
    text = code(project.read("index.tsx", jsx_factory="h", jsx_fragment="F"))
    assert "h(F, null, " in text
    project.write(
        other_json='{"compilerOptions": {"jsx": "react-jsx", "jsxImportSource": "ui"}}',
        node_modules__ui__jsx_runtime_js="export const jsx = 1, Fragment = 2;",
    )
    (project.directory / "node_modules/ui/jsx_runtime.js").rename(project.directory / "node_modules/ui/jsx-runtime.js")
    source = project.read("index.tsx", tsconfig="other.json")
    assert "jsx(Fragment, " in code(source)
    assert project.directory / "other.json" in source.inputs


def test_the_nearest_tsconfig_is_among_the_files_to_watch(project: Project) -> None:
    project.write(src__index_ts="export default {};", tsconfig_json="{}")
    assert project.directory / "tsconfig.json" in project.read("src/index.ts").inputs


def test_no_bundle_takes_the_files_that_rules_name_as_they_are(project: Project) -> None:
    project.write(
        src__index_js='import { a } from "./lib/a.mjs";\nexport default { fetch: () => a };',
        src__lib__a_mjs="export const a = 1;",
        src__lib__b_cjs="module.exports = 1;",
        src__note_txt="note",
        src__readme_md="no rule",
        other_mjs="not below",
    )
    rules = (ModuleRule("ESModule", ("**/*.mjs",)), ModuleRule("CommonJS", ("lib/*.cjs",)))
    source = project.read("src/index.js", no_bundle=True, rules=rules)
    assert [(module.name, module.kind) for module in source.modules] == [
        ("index.js", "esm"),
        ("note.txt", "text"),
        ("lib/a.mjs", "esm"),
        ("lib/b.cjs", "commonjs"),
    ]
    assert source.locate("lib/a.mjs", 1, 5) == (project.directory / "src/lib/a.mjs", 1, 5)
    assert project.directory / "src/lib/b.cjs" in source.inputs
    below_root = project.read("src/index.js", no_bundle=True, rules=rules, base_dir=".")
    assert {module.name for module in below_root.modules} == {
        "src/index.js",
        "src/note.txt",
        "src/lib/a.mjs",
        "other.mjs",
    }


# What may be run as it is


@pytest.mark.parametrize(
    "text",
    [
        'export default { fetch() { return <p>{"jsx"}</p>; } };',
        "export default { fetch() { return process.env.NODE_ENV; } };",
        'export default { async fetch() { return (await import("./other.js")).default; } };',
        'const other = require("./other.js"); export default { other };',
        "/* a comment */ import other from './other.js'; export default { other };",
        'import {\n  a,\n  b,\n} from "./other.js";\nexport default { a, b };',
        'export * from "./other.js"; export default {};',
        'export default {}; export { a } from "./other.js";',
    ],
)
def test_what_may_have_to_be_bundled_is(project: Project, text: str) -> None:
    project.write(index_js=text, other_js="export const a = 1, b = 2; export default 1; const React = 1;")
    assert code(project.read("index.js")) != text


def test_a_name_with_dots_and_spaces_is_no_matter(project: Project) -> None:
    (project.directory / "my worker.v2.ts").write_text("export default { a: 1 as number };")
    source = project.read("my worker.v2.ts")
    assert source.modules[0].name == "my worker.v2.js"
    assert source.inputs == {project.directory / "my worker.v2.ts"}


def test_a_large_file_is_bundled(project: Project) -> None:
    lines = "\n".join(f"export const value{number}: number = {number};" for number in range(50_000))
    source = project.write(index_ts=f"{lines}\nexport default {{ fetch: () => new Response() }};").read()
    assert project.line_of(source, "new Response") == ("index.ts", 50_001)
