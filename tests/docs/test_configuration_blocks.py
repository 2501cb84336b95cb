"""The configurations of the documentation, and its other data, are read by what reads them in earnest, and mistakes in
them are told in the words that the page has."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from emulator.base.errors import EmulatorError
from emulator.config.dotenv import parse_env
from emulator.log.schema import AnyLine
from tests.docs.blocks import BLOCKS, Block, blocks_in
from tests.support.configs import load_config

WHOLE = {"name": "my-app", "main": "src/entry.py", "compatibility_date": "2026-11-01"}


def project(directory: Path, text: str, file: str = "wrangler.jsonc") -> Path:
    """A configuration, with a module for whatever its `main` is."""
    for main in re.findall(r'"main": "([^"]+)"', text):
        (directory / main).parent.mkdir(parents=True, exist_ok=True)
        (directory / main).touch()
    (directory / file).write_text(text, encoding="utf-8")
    return directory / file


def completed(text: str) -> str:
    """A configuration from a part of one."""
    if text.lstrip().removeprefix("// wrangler.jsonc\n").startswith("{"):
        return text
    own = [f'"{key}": "{value}"' for key, value in WHOLE.items() if not re.search(rf'^"{key}":', text, re.M)]
    return "{" + ", ".join([*own, '"compatibility_flags": ["python_workers"]', text]) + "}"


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.language == "jsonc"], ids=str)
def test_a_configuration_is_read_without_a_warning_that_the_page_does_not_tell_of(block: Block, tmp_path: Path) -> None:
    config = load_config(project(tmp_path, completed(block.text)))
    told = ["queues.consumers[0].type"] if "http_pull" in block.text else []
    assert [warning.key for warning in config.warnings] == told


LOGGED = [block for block in blocks_in("json") if '"event":' in block.text]


@pytest.mark.parametrize("block", [block for block in blocks_in("json") if block not in LOGGED], ids=str)
def test_json_is_json(block: Block) -> None:
    assert json.loads(block.text if block.text.startswith(("{", "[")) else f"{{{block.text}}}")


@pytest.mark.parametrize("block", LOGGED, ids=str)
def test_lines_of_the_log_are_as_the_schema_says(block: Block) -> None:
    for line in block.text.splitlines():
        decoded = msgspec.json.decode(line, type=AnyLine)
        assert msgspec.to_builtins(decoded).keys() == json.loads(line).keys()


@pytest.mark.parametrize("block", blocks_in("toml"), ids=str)
def test_toml_is_toml(block: Block, tmp_path: Path) -> None:
    data = tomllib.loads(block.text)
    assert data
    if "main" in data:
        load_config(project(tmp_path, block.text, "wrangler.toml"))


@pytest.mark.parametrize("block", blocks_in("ini"), ids=str)
def test_ini_is_ini(block: Block) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(block.text)
    assert parser.sections()


def test_secrets_are_read_as_they_stand() -> None:
    [block] = [each for each in blocks_in("sh") if ".dev.vars" in each.text]
    values, wrong = parse_env(block.text)
    assert wrong == []
    assert values["API_TOKEN"] == "not in version control"
    assert values["GREETING"] == "hello"
    assert values["KEY"].endswith("several lines are fine in quotes")


# What is said of mistakes: the files below have them, at the lines and columns that the page names

MISTAKES = {
    "wrangler would refuse": """{
  "main": "src/entry.py",
  name: "shop",
  "compatibility_date": "2026-11-01"
}
""",
    "expected `,` or `}`": """{
  "name": "shop"
  "main": "src/entry.py"
}
""",
    "must be a whole number": """{
  "name": "shop",
  "main": "src/entry.py",
  "compatibility_date": "2026-11-01",
  "compatibility_flags": ["python_workers"],
  "queues": {
    "consumers": [
      // at most 100
      { "queue": "orders",      "max_batch_size": 500,
      "dead_letter_queue": "orders" }
    ]
  },
  "triggers": {
    "crons": ["0 3 * * 0"]
  }
}
""",
}


def said_of(path: Path) -> str:
    """What reading a configuration says, the error or the warnings."""
    try:
        return "\n".join(str(warning) for warning in load_config(path).warnings)
    except EmulatorError as error:
        return str(error)


@pytest.mark.parametrize(
    "block",
    [each for each in blocks_in("text") if each.page == "docs/configuration.md"],
    ids=str,
)
def test_a_mistake_is_told_as_the_page_says(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [text] = [text for mark, text in MISTAKES.items() if mark in block.text]
    monkeypatch.chdir(tmp_path)
    said = said_of(project(tmp_path, text))
    assert block.text.strip() in said
