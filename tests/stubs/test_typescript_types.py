"""The types for JavaScript and TypeScript workers, beside those that wrangler writes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from emulator.cli.init import create
from emulator.stubs.typescript import FILE, declarations
from tests.support.configs import load_config
from tests.support.node_tools import NODE_MODULES, needs_node, tool


def test_the_interface_has_the_bindings_of_the_configuration(tmp_path: Path) -> None:
    create(tmp_path / "shop", "typescript-queue", "shop")
    (tmp_path / "shop/.dev.vars").write_text("API_KEY=secret")
    assert declarations(load_config(tmp_path / "shop/wrangler.jsonc")) == (
        "/* eslint-disable */\n"
        "// Made by `emulator types`; changes are lost.\n"
        "declare namespace Cloudflare {\n"
        "\tinterface GlobalProps {\n"
        '\t\tmainModule: typeof import("./src/index");\n'
        "\t}\n"
        "\tinterface Env {\n"
        '\t\tSENDER: "hello@sign-up.example";\n'
        "\t\tAPI_KEY: string;\n"
        "\t\tEVENTS: Queue;\n"
        "\t}\n"
        "}\n"
        "interface Env extends Cloudflare.Env {}\n"
    )


def test_a_name_that_is_no_identifier_is_quoted(tmp_path: Path) -> None:
    create(tmp_path / "shop", "typescript-queue", "shop")
    configuration = tmp_path / "shop/wrangler.jsonc"
    configuration.write_text(configuration.read_text().replace('"SENDER"', '"MY-SENDER"'))
    assert f"\t\t{json.dumps('MY-SENDER')}: " in declarations(load_config(configuration))


USES = """
import page from "./page.html";

export const sender: Cloudflare.Env["SENDER"] = "hello@sign-up.example";
export const length: number = page.length;
// @ts-expect-error: there is no such binding
export type Other = Cloudflare.Env["SENDRE"];
// @ts-expect-error: a page is a string
export const html = page.html;
"""


@needs_node
def test_tsc_takes_the_template_and_finds_typos(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    create(shop, "typescript-queue", "shop")
    (shop / "src/uses.ts").write_text(USES)
    (shop / FILE).write_text(declarations(load_config(shop / "wrangler.jsonc")))
    (shop / "bindings.json").write_text(json.dumps({"extends": "./tsconfig.json", "include": ["src", FILE]}))
    (shop / "node_modules").symlink_to(NODE_MODULES)
    command = ["node", str(tool(NODE_MODULES / "typescript/bin/tsc")), "--project", "bindings.json"]
    done = subprocess.run(command, cwd=shop, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
