"""`emulator check`: exit statuses, and problems for programs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner, Result

from emulator.base.errors import Code
from emulator.cli import cli
from tests.support.docs import table
from tests.support.node_tools import WRANGLER, javascript, needs_node, tool

__all__ = ["javascript"]

PAGE = Path(__file__).parents[2] / "docs/configuration.md"

GOOD = {
    "name": "shop",
    "main": "entry.py",
    "compatibility_date": "2026-01-01",
    "compatibility_flags": ["python_workers"],
}
CODE = """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request): ...
"""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "entry.py").write_text(CODE)


def check(*arguments: str, **more: Any) -> Result:
    Path("wrangler.jsonc").write_text(json.dumps({**GOOD, **more}))
    return CliRunner().invoke(cli, ["check", *arguments])


def test_all_is_well() -> None:
    assert check("--strict").exit_code == 0
    assert json.loads(check("--json").output) == []


def test_a_warning_counts_when_it_is_asked_to() -> None:
    assert check(colour="red").exit_code == 0
    strict = check("--strict", colour="red")
    assert strict.exit_code == 1
    assert strict.output.endswith("\n1 warning\n")
    [problem] = json.loads(check("--json", colour="red").output)
    assert (problem["severity"], problem["key"], problem["line"]) == ("warning", "colour", 1)
    assert problem["column"] > 1


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"vectorize": [{"binding": "NEAR", "index_name": "x"}]}, "vectorize"),
        ({"migrations": [{"tag": "v1"}]}, "migrations"),
        ({"limits": {"subrequests": 5}}, "limits.subrequests"),
        ({"services": [{"binding": "A", "service": "a"}]}, "services"),
    ],
)
def test_what_is_only_not_emulated_does_not_count(more: dict[str, Any], key: str) -> None:
    assert check("--strict", **more).exit_code == 0
    [problem] = json.loads(check("--json", **more).output)
    assert (problem["severity"], problem["key"], problem["code"]) == ("info", key, "not-emulated")


def test_code_that_fails_to_load_and_a_configuration_that_is_wrong() -> None:
    Path("entry.py").write_text("import nothing_of_that_name")
    failed = check("--json")
    assert failed.exit_code == 1
    [problem] = json.loads(failed.output)
    assert problem["severity"] == "error"
    assert problem["file"].endswith("entry.py")
    assert problem["line"] == 1
    wrong = check("--json", name=3)
    assert wrong.exit_code == 2
    assert [each["key"] for each in json.loads(wrong.output)] == ["name"]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"compatibility_date": "2099-01-01"}, "2099-01-01 is in the future"),
        ({"vars": {"LARGE": "x" * 5_121}}, "has 5,121 bytes, and production takes at most 5,120"),
        ({"vars": {f"V{number}": 1 for number in range(129)}}, "has 129 variables, and production takes at most 128"),
    ],
)
def test_what_production_refuses_is_a_warning(more: dict[str, Any], text: str) -> None:
    assert check("--strict", **more).exit_code == 1
    assert text in json.loads(check("--json", **more).output)[0]["message"]


CONSUMER = {"queues": {"consumers": [{"queue": "orders"}]}}
PULLED = {"queues": {"consumers": [{"queue": "orders", "type": "http_pull"}]}}
CRON = {"triggers": {"crons": ["* * * * *"]}}


@pytest.mark.parametrize(
    ("more", "key", "text"),
    [
        (
            CONSUMER,
            "queues.consumers[0].queue",
            "entry.py has no handler `queue`, and the queue orders is delivered to it",
        ),
        (CRON, "triggers.crons", "entry.py has no handler `scheduled`, and crons invoke it"),
    ],
)
def test_a_handler_that_the_configuration_needs_and_the_code_does_not_have(
    more: dict[str, Any], key: str, text: str
) -> None:
    [problem] = json.loads(check("--json", **more).output)
    assert (problem["severity"], problem["code"]) == ("warning", "missing-handler")
    assert (problem["key"], problem["message"], problem["line"]) == (key, text, 1)
    assert check("--strict", **more).exit_code == 1
    Path("entry.py").write_text(
        CODE + "    async def queue(self, batch, env, ctx): ...\n    async def scheduled(self, event, env, ctx): ...\n"
    )
    assert json.loads(check("--json", **more).output) == []


def test_a_queue_that_is_pulled_needs_no_handler() -> None:
    codes = [each["code"] for each in json.loads(check("--json", **PULLED).output)]
    assert codes == ["refused-by-wrangler"]


def test_a_problem_shows_its_line_and_a_caret(capfd: pytest.CaptureFixture[str]) -> None:
    Path("wrangler.jsonc").write_text(
        '{\n  "name": "shop", "main": "entry.py", "compatibility_date": "2026-01-01",\n'
        '  "compatibility_flags": ["python_workers"],\n  "colour": 1,\n  "max": 2\n}'
    )
    CliRunner().invoke(cli, ["check"])
    shown = capfd.readouterr().out
    assert re.search(r'wrangler.jsonc:4:3: colour: .*\n +"colour": 1,\n +\^\n', shown)
    Path("wrangler.jsonc").write_text('{\n  "name": 3, "main": "entry.py"\n}')
    refused = CliRunner().invoke(cli, ["check"])
    assert refused.exit_code == 2
    assert re.search(r'wrangler.jsonc:2:11: name: .*\n +"name": 3, "main": "entry.py"\n {12}\^\n', refused.output)


def test_a_line_of_a_file_of_secrets_is_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    Path(".dev.vars").write_text("TOKEN hunter2\n")
    shown = check().output + capfd.readouterr().out
    assert ".dev.vars:1:1: this line is not KEY=VALUE and is ignored" in shown
    assert "hunter2" not in shown


def test_a_note_is_no_warning() -> None:
    flags = ["python_workers", "url_standard"]
    noted = check("--strict", compatibility_flags=flags)
    assert noted.exit_code == 0
    assert "Note: " in noted.output
    [problem] = json.loads(check("--json", compatibility_flags=flags).output)
    assert (problem["severity"], problem["code"]) == ("info", "default-flag")


def test_code_that_is_larger_than_production_takes_is_a_warning(capfd: pytest.CaptureFixture[str]) -> None:
    with Path("large.bin").open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    strict = check("--strict")
    assert strict.exit_code == 1
    assert "the code has 65,536.11 KiB, and may have 65,536.00 KiB" in capfd.readouterr().out


SIZES = re.compile(r"(?:Total Upload:|upload of) ([\d.]+) KiB(?:,| / gzip:) ([\d.]+) KiB")


def sizes(text: str) -> tuple[float, float]:
    """The size of an upload in KiB, and that of the compressed upload, as a command has printed them."""
    match = SIZES.search(text)
    assert match is not None
    return float(match[1]), float(match[2])


def dry_run(node: str) -> subprocess.CompletedProcess[str]:
    """What `wrangler deploy --dry-run` says."""
    command = [node, str(tool(WRANGLER)), "deploy", "--dry-run"]
    environment = {**os.environ, "HOME": str(Path.cwd()), "WRANGLER_SEND_METRICS": "false", "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=30)


@needs_node
@pytest.mark.parametrize("directory", ["src", "."])
def test_the_size_of_a_python_worker_is_what_wrangler_uploads(
    directory: str, newest_node: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for file, size in (("a/b.py", 999), (".venv/c.py", 700), ("page.html", 333), ("x.bin", 55), ("notes.md", 5000)):
        Path(directory, file).parent.mkdir(parents=True, exist_ok=True)
        Path(directory, file).write_text("# x" * size)
    for file, size in (("python_modules/p/__init__.py", 444), ("python_modules/p/data.any", 222)):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text("# y" * size)
    Path("python_modules/p/__init__.cpython-312.pyc").write_bytes(b"0" * 3333)
    Path(directory, "main.py").write_text(CODE)
    Path("entry.py").unlink()
    check(main=f"{directory}/main.py")
    # The files may come in another order, which compresses a little differently.
    assert sizes(capfd.readouterr().out) == pytest.approx(sizes(dry_run(newest_node).stdout), abs=0.02)


@needs_node
@pytest.mark.usefixtures("javascript")
def test_the_size_of_a_javascript_worker_is_about_what_wrangler_uploads(
    newest_node: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("text.txt").write_text("hello" * 500)
    Path("other.js").write_text(f"export const other = {json.dumps('x' * 3000)};")
    Path("index.js").write_text(
        'import { other } from "./other.js"; import text from "./text.txt";\n'
        "export default { fetch() { return new Response(other + text); } };"
    )
    check(main="index.js", compatibility_flags=[])
    # wrangler has a hash in the name of each module that is imported, and names the source map.
    assert sizes(capfd.readouterr().out) == pytest.approx(sizes(dry_run(newest_node).stdout), abs=0.1)


@needs_node
@pytest.mark.usefixtures("javascript")
def test_javascript_without_the_handlers_that_its_configuration_needs() -> None:
    Path("index.js").write_text("export default { fetch() { return new Response(); } };")
    problems = json.loads(check("--json", main="index.js", compatibility_flags=[], **CONSUMER, **CRON).output)
    assert [(each["code"], each["key"]) for each in problems] == [
        ("missing-handler", "queues.consumers[0].queue"),
        ("missing-handler", "triggers.crons"),
    ]


def test_the_documentation_has_every_code() -> None:
    assert [row[0] for row in table(PAGE, "code", "severity")] == [f"`{code}`" for code in get_args(Code)]


@needs_node
def test_a_custom_domain_that_wrangler_deploy_refuses_is_a_warning(newest_node: str) -> None:
    [problem] = json.loads(check("--json", route={"pattern": "*.example.com", "custom_domain": True}).output)
    assert (problem["code"], problem["key"]) == ("refused-by-wrangler", "route")
    refused = dry_run(newest_node)
    assert refused.returncode == 1
    assert "not allowed in Custom Domains" in refused.stderr + refused.stdout
