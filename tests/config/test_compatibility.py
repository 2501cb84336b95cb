"""What is said of compatibility flags, held against workerd, which production is."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from emulator.config import jsonc
from emulator.config.compatibility import check_flags, known_flags
from emulator.config.document import Findings
from emulator.config.model import PYTHON_FLAG
from tests.config.project import assert_warnings, describe, load, wrap, write
from tests.support.compatibility_flags import read_flags, version_of
from tests.support.node_tools import WORKERD, needs_node, tool

WORDS = {
    "unknown-flag": r"No such compatibility flag: ([\w-]+)$",
    "repeated-flag": r"Compatibility flag specified multiple times: ([\w-]+)$",
    "contradictory-flags": r"Compatibility flags are mutually contradictory: ([\w-]+ vs [\w-]+)$",
    "experimental-flag": r"The compatibility flag ([\w-]+) is experimental",
    "default-flag": r"The compatibility flag ([\w-]+) (?:became|is) the default",
}
"""What workerd says where we give each code."""

CONFIG = """
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "w", worker = (
  modules = [(name = "w.js", esModule = "export default {}")],
  compatibilityDate = "%s", compatibilityFlags = %s))], sockets = []);
"""


def workerd_says(directory: Path, flags: Sequence[str], date: str) -> set[tuple[str, str]]:
    """The code of what workerd says of each flag."""
    (directory / "w.capnp").write_text(CONFIG % (date, json.dumps(flags)))
    run = subprocess.run(
        [tool(WORKERD), "serve", "w.capnp"], cwd=directory, capture_output=True, text=True, timeout=20, check=False
    )
    said = (run.stdout + run.stderr).splitlines()
    return {(code, match[1]) for line in said for code, words in WORDS.items() if (match := re.search(words, line))}


def we_say(flags: Sequence[str], date: str) -> set[tuple[str, str]]:
    """The code of what we say of each flag."""
    findings = Findings(jsonc.parse(json.dumps(flags)))
    check_flags(findings, [((index,), flag) for index, flag in enumerate(flags)], date)
    said: set[tuple[str, str]] = set()
    for problem in (*findings.warnings, *findings.notes):
        flag = flags[int(problem.key.strip("[]"))]
        if problem.code == "contradictory-flags":
            flag = next(
                f"{each.enable} vs {each.disable}"
                for each in known_flags().flags
                if flag in (each.enable, each.disable)
            )
        said.add((problem.code, flag))
    return said


@needs_node
def test_the_list_is_that_of_the_workerd_that_is_installed() -> None:
    assert known_flags().workerd == version_of(tool(WORKERD))
    assert list(known_flags().flags) == read_flags(tool(WORKERD))


@needs_node
@pytest.mark.parametrize("date", ["2020-01-01", "2024-09-23", "2026-11-17"])
def test_workerd_says_of_every_flag_what_we_say(tmp_path: Path, date: str) -> None:
    enabling = [flag.enable for flag in known_flags().flags]
    disabling = [flag.disable for flag in known_flags().flags if flag.disable]
    for flags in (enabling, disabling):
        assert workerd_says(tmp_path, flags, date) == we_say(flags, date)


@needs_node
@pytest.mark.parametrize(
    "flags",
    [
        ["invented", "nodejs_compatt"],
        ["global_navigator", "no_global_navigator"],
        ["no_url_standard", "url_original", "url_standard"],
        ["nodejs_compat", "global_navigator", "nodejs_compat"],
        ["experimental", "nodejs_compat", "nodejs_compat_v2"],
    ],
)
def test_workerd_refuses_the_flags_that_we_say_production_refuses(tmp_path: Path, flags: list[str]) -> None:
    date = "2021-06-01"
    assert workerd_says(tmp_path, flags, date) == we_say(flags, date)


def test_each_flag_is_named_at_its_place(tmp_path: Path) -> None:
    flags = '["python_workers", ▶"nodejs_compatt", "nodejs_zlib",\n▶"no_nodejs_zlib"]'
    text = wrap('"vars": {}').replace('["python_workers"]', flags)
    version = known_flags().workerd
    expected = [
        (
            "compatibility_flags[1]: nodejs_compatt is not a flag that workerd "
            f"{version} knows\nDid you mean `nodejs_compat`?"
        ),
        "compatibility_flags[3]: production refuses this: no_nodejs_zlib contradicts nodejs_zlib on line 4",
    ]
    assert_warnings(tmp_path, text, expected)


def test_the_flags_and_the_date_of_an_environment_are_those_that_count(tmp_path: Path) -> None:
    text = (
        '{"name": "a", "main": "src/entry.js", "compatibility_date": "2021-01-01", '
        '"compatibility_flags": ["url_standard"], "env": {"new": {"compatibility_date": "2026-01-01"}, '
        '"own": {"compatibility_flags": ["nope"]}}}'
    )
    write(tmp_path, text)
    (tmp_path / "src/entry.js").touch()
    assert load(tmp_path, text).notes == ()
    [note] = load(tmp_path, text, environment="new").notes
    assert describe(note) == (
        "compatibility_flags[0]: url_standard is the default from 2022-10-31 on: it can be left out"
    )
    [warning] = load(tmp_path, text, environment="own").warnings
    assert warning.key == "env.own.compatibility_flags[0]"


def test_the_flag_of_python_workers_alone_needs_no_word(tmp_path: Path) -> None:
    """So that the list need not be read for it."""
    assert we_say([PYTHON_FLAG], known_flags().workerd) == set()
