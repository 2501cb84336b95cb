"""The types for JavaScript and TypeScript workers, beside those that wrangler writes."""

from __future__ import annotations

import json
from pathlib import Path

from emulator.cli.init import create
from emulator.stubs.typescript import declarations
from tests.support.configs import load_config


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
