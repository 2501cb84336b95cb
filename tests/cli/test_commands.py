"""The commands as a whole: help, errors, exit statuses, and what they hand to a session."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result

from emulator.base.bus import Bus
from emulator.base.clock import WallClock
from emulator.base.errors import ConfigError, Problem, ServerError
from emulator.base.failure import Failure, Frame
from emulator.cli import cli
from emulator.config.model import WorkerConfig
from emulator.server.events import ServerReady

ROOT = Path(__file__).parents[2]
FAILURE = Failure("SyntaxError", "bad", (Frame("/app/entry.py", 3, "<module>", "def", is_user=True),), "")


class FakeHost:
    def __init__(self, failure: Failure | None = None) -> None:
        self.config = WorkerConfig("sign-up", Path("/app/wrangler.jsonc"), Path("/app/entry.py"))
        self.handlers = () if failure else ("fetch",)
        self.failure = failure

    def uploaded(self) -> list[bytes]:
        return [b"x" * 1024]


class FakeSession:
    """Stands in for `Session`: does what the test asks for."""

    made: list[FakeSession]
    read: list[dict[str, Any]]
    error: BaseException | None = None
    failure: Failure | None = None

    def __init__(self, _configs: object, bus: Bus, journal: object = None, **_options: object) -> None:
        self.bus = bus
        self.clock = WallClock()
        self.journal = None
        self.hosts = [FakeHost(self.failure)]
        self.configs = [host.config for host in self.hosts]
        self.calls: list[str] = []
        self.made.append(self)

    async def load(self) -> None:
        self.calls.append("load")

    async def stop(self, grace_seconds: float) -> None:
        self.calls.append("stop")


async def serve(session: FakeSession, options: dict[str, Any], _beside: object = None) -> None:
    assert options is session.read[-1]
    if session.error is not None:
        raise session.error
    session.bus.publish(ServerReady("http://127.0.0.1:8787"))


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> type[FakeSession]:
    class Fake(FakeSession):
        made: list[FakeSession] = []  # noqa: RUF012 - one list for each test
        read: list[dict[str, Any]] = []  # noqa: RUF012

    class ServingOptions(dict[str, Any]):
        """Notes what it is given."""

        def read_all(self) -> list[WorkerConfig]:
            Fake.read.append(self)
            if isinstance(Fake.error, ConfigError):
                raise Fake.error
            return [WorkerConfig("sign-up", Path("/app/wrangler.jsonc"), Path("/app/entry.py"))]

        def inspector_port_of(self, _configs: list[WorkerConfig]) -> int | None:
            return cast("int | None", self["inspector_port"])

    for name, contents in (
        ("emulator.session.session", {"Session": Fake}),
        ("emulator.server.serving", {"ServingOptions": ServingOptions, "serve": serve, "run": run}),
    ):
        module = ModuleType(name)
        module.__dict__.update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    return Fake


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


@pytest.fixture(autouse=True)
def _terminal_writes_where_the_runner_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Current:
        encoding = "utf-8"

        def write(self, text: str) -> int:
            return sys.stdout.write(text)

        def flush(self) -> None:
            sys.stdout.flush()

        def isatty(self) -> bool:
            return False

    monkeypatch.setattr(sys, "__stdout__", Current())


def test_dev_hands_its_options_to_a_session(session: type[FakeSession]) -> None:
    result = invoke(
        *("dev", "-c", "a.jsonc", "-c", "b.toml", "-p", "0", "--host", "::1", "-e", "staging"),
        *("--var", "A:1", "--var", "B:x:y", "--var", "C:", "--no-reload"),
    )
    assert result.exit_code == 0
    assert session.read[0] == {
        "config_paths": (Path("a.jsonc"), Path("b.toml")),
        "environment": "staging",
        "overrides": {"A": "1", "B": "x:y", "C": ""},
        "host": "::1",
        "port": 0,
        "reload": False,
        "crons": True,
        "script": None,
        "env_files": (),
        "https": None,
        "certificate": None,
        "live_reload": False,
        "share": None,
        "inspector_host": "127.0.0.1",
        "inspector_port": None,
    }
    assert "Ready on http://127.0.0.1:8787\n" in result.stdout


def test_dev_knows_the_names_that_wrangler_has(session: type[FakeSession]) -> None:
    given = ("dev", "src/entry.py", "--ip", "0.0.0.0", "--env-file", "a", "--env-file", "b", "--test-scheduled")
    assert invoke(*given, "--log-level", "warn").exit_code == 0
    options = session.read[0]
    assert (options["script"], options["host"]) == (Path("src/entry.py"), "0.0.0.0")
    assert options["env_files"] == (Path("a"), Path("b"))


@pytest.mark.parametrize(
    ("given", "meant"),
    [("devv", "dev"), ("queue list", "queues list"), ("chek", "check")],
)
def test_a_command_that_does_not_exist_gets_a_suggestion(given: str, meant: str) -> None:
    result = invoke(*given.split())
    assert result.exit_code == 2
    assert f"No such command '{given.split(maxsplit=1)[0]}'. Did you mean `cli {meant}`?" in result.output


def test_a_command_that_is_like_no_other_gets_none() -> None:
    assert "Did you mean" not in invoke("xyzzy").output


def test_both_names_of_https_mean_it(session: type[FakeSession]) -> None:
    for given in (("--https",), ("--local-protocol", "https"), ("--https-cert-path", "c", "--https-key-path", "k")):
        assert invoke("dev", *given).exit_code == 0
        assert session.read[-1]["https"] is True
    assert session.read[-1]["certificate"] == (Path("c"), Path("k"))
    invoke("dev", "--local-protocol", "http")
    assert session.read[-1]["https"] is False


@pytest.mark.parametrize("option", ["--https-cert-path", "--https-key-path"])
def test_a_certificate_needs_its_key(option: str) -> None:
    result = invoke("dev", option, "file.pem")
    assert result.exit_code == 2
    assert "need each other" in result.stderr


def test_a_script_is_of_one_worker() -> None:
    result = invoke("dev", "entry.py", "-c", "a.jsonc", "-c", "b.jsonc")
    assert result.exit_code == 2
    assert "several configurations were given" in result.output


def test_dev_leaves_open_what_was_not_said(session: type[FakeSession]) -> None:
    invoke("dev")
    options = session.read[0]
    assert options["config_paths"] == ()
    assert (options["host"], options["port"], options["environment"]) == (None, None, None)
    assert options["reload"] is True


@pytest.mark.parametrize("value", ["A", "=1", ":1", "A=1", "a-b:1"])
def test_a_var_that_is_not_key_and_value_is_refused(value: str, session: type[FakeSession]) -> None:
    result = invoke("dev", "--var", value)
    assert result.exit_code == 2
    assert f"{value!r} is not KEY:VALUE, such as GREETING:Hello" in result.stderr
    assert session.made == []


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_refused(port: str, session: type[FakeSession]) -> None:
    result = invoke("dev", "-p", port)
    assert result.exit_code == 2
    assert "--port" in result.stderr


def test_every_problem_of_a_configuration_is_printed_without_a_traceback(session: type[FakeSession]) -> None:
    session.error = ConfigError(
        [Problem("w.jsonc", 1, 2, "name", "is missing"), Problem("w.jsonc", 3, 4, "main", "is 3", "Give a path.")]
    )
    for command in ("dev", "check"):
        result = invoke(command)
        assert result.exit_code == 2
        assert result.stderr == ("Error: w.jsonc:1:2: name: is missing\nw.jsonc:3:4: main: is 3\n  Give a path.\n")
        assert result.stdout == ""


def test_a_server_that_cannot_start_is_one_sentence(session: type[FakeSession]) -> None:
    session.error = ServerError("Port 8787 is in use", hint="Try -p 8788.")
    result = invoke("dev")
    assert (result.exit_code, result.stderr) == (2, "Error: Port 8787 is in use\n  Try -p 8788.\n")


def test_ctrl_c_while_it_starts_is_quiet(session: type[FakeSession]) -> None:
    session.error = KeyboardInterrupt()
    result = invoke("dev")
    assert (result.exit_code, result.output) == (130, "")


def test_check_loads_and_stops_and_prints_what_it_found(session: type[FakeSession]) -> None:
    result = invoke("check", "-e", "production")
    assert (result.exit_code, result.stdout) == (
        0,
        "sign-up  /app/entry.py  fetch\nsign-up: an upload of 1.00 KiB, 0.03 KiB compressed\n",
    )
    assert session.made[0].calls == ["load", "stop"]
    assert session.read[0]["environment"] == "production"


def test_check_says_why_code_does_not_load(session: type[FakeSession]) -> None:
    session.failure = FAILURE
    result = invoke("check")
    assert result.exit_code == 1
    assert "sign-up  /app/entry.py  failed to load\n" in result.stdout
    assert "SyntaxError: bad\n  /app/entry.py:3 in <module>\n    def\n" in result.stdout


def test_help_of_every_command_has_examples() -> None:
    overview = invoke("--help").output
    for command in ("dev", "init", "check", "queues", "env"):
        assert command in overview
        assert f"Examples:\n    emulator {command}" in invoke(command, "--help").output


def test_an_unknown_command_is_refused() -> None:
    result = invoke("deploy")
    assert result.exit_code == 2
    assert "No such command 'deploy'" in result.stderr


def test_starting_imports_no_more_than_it_needs() -> None:
    code = "import sys, emulator.cli.dev, emulator.log.terminal; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    needless = {"rich", "httpx", "jinja2", "json5", "starlette", "importlib.metadata", "tempfile", "emulator.cli.init"}
    assert needless.isdisjoint(output.split())
