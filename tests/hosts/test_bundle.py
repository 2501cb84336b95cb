"""Bundling with the real esbuild: what becomes of a worker's files, and what is said when that fails."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest
from node_tools import WORKERD, needs_node

from emulator.errors import EmulatorError
from emulator.hosts.javascript.bundle import BuildError, read_source
from emulator.hosts.javascript.source import Source

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

    def read(self, main: str = "index.ts", *flags: str) -> Source:
        return asyncio.run(read_source(self.directory / main, self.directory, flags))

    def fails(self, main: str = "index.ts", *flags: str) -> BuildError:
        with pytest.raises(BuildError) as raised:
            self.read(main, *flags)
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
    text = code(project.read())
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
    with pytest.raises(EmulatorError, match=r"EMULATOR_ESBUILD names .*, and there is no such file"):
        project.read("index.js")


def test_a_syntax_error_has_its_file_line_and_code(project: Project) -> None:
    project.write(index_ts='import "./broken";\nexport default {};', broken_ts="const a = 1;\n\nlet b = ;\n")
    failure = project.fails().failure
    assert failure.summary == 'BuildError: Unexpected ";"'
    assert (failure.frames[0].file, failure.frames[0].line) == (str(project.directory / "broken.ts"), 3)
    assert failure.frames[0].code == "let b = ;"
    assert "broken.ts:3:8:" in failure.text
    assert "✘" not in failure.text


def test_all_errors_are_told(project: Project) -> None:
    project.write(index_ts='import a from "./a";\nimport b from "no-such-package";\nexport default { a, b };')
    failure = project.fails().failure
    assert failure.message == 'Could not resolve "./a"'
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


def test_the_bundle_is_what_workerd_takes(project: Project) -> None:
    assert subprocess.run([WORKERD, "--version"], capture_output=True, check=True).stdout
