"""The commands of the documentation: what they name exists, and what asks a running session is asked of one, together
with what the page shows of the answer."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner

from emulator.cli import cli
from tests.docs.blocks import BLOCKS, PAGES, ROOT, Block, blocks_in, shown, spans_of
from tests.integration.conftest import Running, write_worker

API = "/cdn-cgi/emulator/client/v4"
COMMANDS = [block for block in BLOCKS if block.language in ("console", "sh", "yaml") and ".dev.vars" not in block.text]
PROGRAMS = {
    "cd",
    "curl",
    "emulator",
    "eval",
    "export",
    "make",
    "mypy",
    "nats-server",
    "npx",
    "pip",
    "pytest",
    "python",
    "uv",
}
MAKE_TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
ASKED = re.compile(r"emulator (queues|trigger)\b|curl |API=")
"""What is run against a live session."""


def steps(command: str) -> list[list[str]]:
    """The words of each program that a line of shell runs."""
    inner = re.fullmatch(r'eval "\$\((.*)\)"', command)
    if inner:
        return [["eval"], *steps(inner[1])]
    words = [part for part in re.split(r"\s&&\s|\s\|\s", command) if not re.match(r"[A-Z]+=\S*$", part)]
    return [unwrapped(shlex.split(part)) for part in words]


def unwrapped(words: list[str]) -> list[str]:
    """The emulator's own words, where another program starts it."""
    if words[:3] == ["uv", "run", "emulator"]:
        return words[2:]
    for start in range(len(words) - 1):
        if words[start : start + 2] == ["-m", "emulator"]:
            return words[start + 1 :]
    return words


def complaint(words: list[str]) -> str:
    """What is wrong with a command of the emulator, or an empty string. Files need not exist, and words in capitals or
    with dots stand for something."""
    command: click.Command = cli
    context = click.Context(cli, info_name="emulator", help_option_names=["-h", "--help"])
    rest = [word.strip("[]") for word in words[1:] if word != "..."]
    while isinstance(command, click.Group) and rest:
        found = command.get_command(context, rest[0])
        if found is None:
            return "" if rest[0].isupper() or rest[0].startswith("-") else f"there is no command {rest[0]}"
        context, command, rest = click.Context(found, context, info_name=rest[0]), found, rest[1:]
    try:
        values, left, _ = command.make_parser(context).parse_args(rest)
        for parameter in command.params:
            value = values.get(parameter.name or "")
            if isinstance(parameter.type, click.Choice | click.IntRange) and value and not str(value).isupper():
                parameter.type_cast_value(context, value)
    except click.UsageError as error:
        return error.format_message()
    return f"nothing takes {left}" if left else ""


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_every_command_exists(block: Block) -> None:
    targets = MAKE_TARGET.findall((ROOT / "Makefile").read_text())
    assert block.commands
    for words in (step for command in block.commands for step in steps(command)):
        assert words[0] in PROGRAMS
        if words[0] == "emulator":
            assert complaint(words) == ""
        if words[0] == "make":
            assert words[1] in targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_a_sentence_exists(page: Path) -> None:
    named = {f"{line}: {span}": steps(span)[0] for line, span in spans_of(page) if span.startswith("emulator ")}
    wrong = {place: complaint(words) for place, words in named.items()}
    assert {place: why for place, why in wrong.items() if why} == {}


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("emulator dve", "there is no command dve"),
        ("emulator queues pek my-queue", "there is no command pek"),
        ("emulator dev --porrt 3", "No such option"),
        ("emulator dev --log-format xml", "is not one of"),
        ("emulator types one two", "nothing takes"),
        ("uv run emulator dev -p 3000", ""),
        ("python -m debugpy --listen 5678 -m emulator dev", ""),
    ],
)
def test_a_command_that_does_not_exist_would_be_found(command: str, wrong: str) -> None:
    [words] = steps(command)
    assert (wrong in complaint(words)) if wrong else complaint(words) == ""


# What asks a running session

WORKER = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            await self.env.EVENTS.send({"type": "welcome-email", "email": "ada@example.com"})
            return Response("sent")

        async def queue(self, batch, env, ctx):
            raise ConnectionError("the mail server is down")

        async def scheduled(self, controller, env, ctx):
            print(controller.cron)

        async def email(self, message, env, ctx):
            await message.forward("ops@example.com")
"""
QUEUES = {
    "producers": [{"binding": "EVENTS", "queue": "my-app-events"}],
    "consumers": [
        {"queue": "my-app-events", "max_batch_timeout": 0, "max_retries": 3, "dead_letter_queue": "my-app-events-dlq"}
    ],
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a session with a dead letter, in which the documentation's commands find what they name."""
    directory = tmp_path_factory.mktemp("sign-up")
    (directory / "run").mkdir()
    write_worker(directory, WORKER, "sign-up", queues=QUEUES, triggers={"crons": ["*/10 * * * *"]})
    running = Running("dev", "-p", "0", cwd=directory, environment={"XDG_RUNTIME_DIR": str(directory / "run")})
    try:
        running.ready()
        httpx.get(running.url)
        running.wait_for("moved 1 message")
        yield running.url
    finally:
        running.end()


def ask(url: str, path: str, **body: Any) -> Any:
    return httpx.request("POST" if body else "GET", f"{url}{API}/accounts/local{path}", json=body or None).json()


def queue_id(url: str, name: str) -> str:
    return str(ask(url, f"/queues?name={name}")["result"][0]["queue_id"])


def answer_to(command: str, url: str) -> str:
    """What a command prints that asks the session at `url`."""
    if command.startswith("emulator "):
        done = CliRunner().invoke(cli, [*shlex.split(command)[1:], "--url", url], env={"NO_COLOR": "1"})
        assert done.exit_code == 0, done.output
        return done.output
    command = command.replace("http://localhost:8787", url).replace("$API", f"{url}{API}/accounts/local")
    words = shlex.split(command.replace("QUEUE_ID", queue_id(url, "my-app-events-dlq")))
    return subprocess.run([words[0], "-sf", *words[1:]], capture_output=True, text=True, timeout=20, check=True).stdout


@pytest.mark.parametrize(
    "block",
    [each for each in COMMANDS if all(map(ASKED.match, each.commands)) and each.page != "docs/tutorial.md"],
    ids=str,
)
def test_what_asks_a_session_is_answered(block: Block, session: str) -> None:
    output = "".join(answer_to(command, session) for command in block.commands if not command.startswith("API="))
    for line in (line for line in block.text.splitlines() if block.language == "console" and not line.startswith("$")):
        assert re.search(shown(line), output), f"{line!r} is not in:\n{output}"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.is_script], ids=str)
def test_a_program_with_an_sdk_runs(block: Block, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", f"{session}{API}")
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "local")
    monkeypatch.setattr(sys, "argv", ["pull.py", f"{session}{API}"])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})
    if "print(" in block.text:
        assert printed.getvalue() == "b'{\"user\":123}' 1.0\n"
    tasks = queue_id(session, "tasks")
    assert ask(session, f"/queues/{tasks}/metrics")["result"]["backlog_count"] == 0
    httpx.delete(f"{session}{API}/accounts/local/queues/{tasks}").raise_for_status()


def test_what_a_peek_shows_of_a_dead_letter_is_what_it_shows(session: str) -> None:
    [block] = [block for block in blocks_in("json") if block.page == "docs/rest-api.md"]
    told = json.loads(f"{{{block.text}}}")["emulator"]
    [message] = ask(session, f"/queues/{queue_id(session, 'my-app-events-dlq')}/messages/peek", batch_size=1)["result"][
        "messages"
    ]
    there = message["emulator"]
    assert told.keys() == there.keys()
    assert told["dead_letter"].keys() == there["dead_letter"].keys()
    assert told["dead_letter"]["error"] == there["dead_letter"]["error"]
    assert told["dead_letter"]["attempts"][0].keys() == there["dead_letter"]["attempts"][0].keys()
