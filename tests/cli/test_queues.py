"""`emulator queues` and `emulator env`, against the REST API of a session in this process whose time stands still."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from emulator.base.bus import Bus
from emulator.base.clock import VirtualClock
from emulator.base.coroutines import run_now
from emulator.cli import cli
from emulator.queues.message import NewMessage, QueueMessage
from emulator.queues.settings import ConsumerSettings, QueueSettings
from emulator.server.app import App
from emulator.server.control.app import make_control
from emulator.server.gateway import Gateway
from emulator.session.running import Running, register
from emulator.session.session import Session
from emulator.wire.codec import encode
from tests.support.configs import load_config

URL = "http://127.0.0.1:8787"
WORKER = """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def queue(self, batch, env, ctx):
        raise ConnectionError("the mail server is down")
"""
QUEUES = {
    "producers": [{"binding": "JOBS", "queue": "jobs"}],
    "consumers": [{"queue": "jobs", "max_batch_timeout": 0, "max_retries": 1, "dead_letter_queue": "jobs-dlq"}],
}


class Local:
    """A session whose worker `shop` fails on what is in the queue `jobs`; the commands' requests come to it."""

    def __init__(self, directory: Path) -> None:
        (directory / "entry.py").write_text(WORKER)
        configuration = {"name": "shop", "main": "entry.py", "compatibility_date": "2026-11-01", "queues": QUEUES}
        (directory / "wrangler.jsonc").write_text(json.dumps(configuration))
        self.clock = VirtualClock(time.time() - 150)
        bus = Bus()
        self.session = Session([load_config(directory / "wrangler.jsonc")], bus, clock=self.clock)
        self.queues = self.session.queues
        self.runner = asyncio.Runner()
        self.runner.run(self.session.load())
        app = App(
            [Gateway(host, bus) for host in self.session.hosts],
            lambda: make_control(self.session, "secret"),
        )
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app))

    def answer(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            sent = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
            answer = await self._client.send(sent)
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

        return self.runner.run(ask())

    def send(self, queue: str, *bodies: Any, content_type: Any = "json") -> None:
        outgoing = [NewMessage(encode(body, content_type), content_type) for body in bodies]
        run_now(self.queues.send(queue, outgoing, source="shop"))

    def let_die(self, *bodies: Any) -> None:
        """Let messages die in `jobs`, whose consumer is then paused."""

        async def turns() -> None:
            for _ in range(40):
                while self.clock.run_due():
                    pass
                await asyncio.sleep(0)

        async def main() -> None:
            self.send("jobs", *bodies)
            await turns()

        self.runner.run(main())
        assert len(self.waiting("jobs-dlq")) == len(bodies)
        run_now(self.queues.pause("jobs"))

    def waiting(self, queue: str) -> Sequence[QueueMessage]:
        return run_now(self.queues.waiting(queue))

    def close(self) -> None:
        self.runner.run(self._client.aclose())
        self.runner.run(self.session.stop(0.0))
        self.runner.close()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: None) -> Iterator[Local]:
    made = Local(tmp_path)
    monkeypatch.setattr(httpx, "Client", partial(httpx.Client, transport=httpx.MockTransport(made.answer)))
    register(Running(URL, os.getpid(), time.time(), (str(tmp_path / "wrangler.jsonc"),), "secret"))
    yield made
    made.close()


def invoke(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli, arguments, input=stdin)


def run(*arguments: str, stdin: bytes = b"") -> str:
    """What a command that succeeds prints."""
    result = invoke(*arguments, stdin=stdin)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def refused(*arguments: str, stdin: bytes = b"") -> str:
    """What a command that the user has to mend says."""
    result = invoke(*arguments, stdin=stdin)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    return result.stderr


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_list_shows_every_queue_with_its_backlog(local: Local) -> None:
    local.let_die({"id": 7})
    assert lines(run("queues", "list")) == [
        "QUEUE MESSAGES OLDEST CONSUMER",
        "jobs 0 shop, then jobs-dlq, delivery paused",
        "jobs-dlq 1 2 min none",
    ]
    found = json.loads(run("queues", "list", "--json"))
    assert [(each["queue_name"], each["metrics"]["backlog_count"]) for each in found] == [("jobs", 0), ("jobs-dlq", 1)]


def test_info_shows_the_settings_of_a_queue_and_its_consumer(local: Local) -> None:
    shown = dict(line.split(" ", 1) for line in lines(run("queues", "info", "jobs")))
    assert (shown["consumer"], shown["producers"], shown["delivery"]) == ("shop, then jobs-dlq", "shop", "on")
    assert (shown["max_retries"], shown["dead_letter_queue"], shown["max_concurrency"]) == (
        "1",
        "jobs-dlq",
        "unlimited",
    )
    assert json.loads(run("queues", "info", "jobs", "--json"))["settings"]["delivery_paused"] is False


def test_peek_says_why_a_dead_letter_died(local: Local) -> None:
    local.let_die({"id": 7})
    head, row, why = lines(run("queues", "peek", "jobs-dlq"))
    assert head == "ID AGE ATTEMPTS BODY"
    assert row.endswith(' 2 min 0 {"id":7}')
    assert why == "died in jobs 2 min ago after 2 attempts: ConnectionError: the mail server is down"
    (message,) = json.loads(run("queues", "peek", "jobs-dlq", "--json"))
    assert message["body"] == {"id": 7}
    assert "Traceback" in message["emulator"]["dead_letter"]["attempts"][0]["traceback"]


def test_peek_shows_every_kind_of_body_and_nothing_that_a_terminal_obeys(local: Local) -> None:
    local.send("jobs-dlq", "\x1b[31mred\n", content_type="text")
    local.send("jobs-dlq", b"\x00\xff", content_type="bytes")
    local.send("jobs-dlq", {1}, content_type="v8")
    local.send("jobs-dlq", "x" * 1_000)
    output = run("queues", "peek", "jobs-dlq", "-n", "100")
    assert "\\x1b[31mred\\n" in output
    assert "b'\\x00\\xff'" in output
    assert "{1}" in output
    assert "x... (1,002 characters; --json prints all of them)" in output
    assert "x" * 1_000 in run("queues", "peek", "jobs-dlq", "--json")
    assert len(lines(run("queues", "peek", "jobs-dlq", "-n", "2"))) == 3


@pytest.mark.parametrize(
    ("arguments", "body", "content_type"),
    [
        (['{"id": 7}'], b'{"id":7}', "json"),
        (["42"], b"42", "json"),
        (["null"], b"null", "json"),
        (["hello"], b"hello", "text"),
        (["NaN"], b"NaN", "text"),
        (["1e999"], b"1e999", "text"),
        (["42", "--text"], b"42", "text"),
        (["42", "--json"], b"42", "json"),
        (["grüße"], "grüße".encode(), "text"),
    ],
)
def test_send_takes_json_for_json_and_all_else_for_text(
    local: Local, arguments: list[str], body: bytes, content_type: str
) -> None:
    assert run("queues", "send", "jobs-dlq", *arguments).startswith(
        f"Sent as {content_type}; jobs-dlq now has 1 message"
    )
    (message,) = local.waiting("jobs-dlq")
    assert (message.body, message.content_type) == (body, content_type)


def test_send_reads_standard_input_and_delays(local: Local) -> None:
    run("queues", "send", "jobs-dlq", "-", "--delay", "60", stdin=b"two\nlines\n")
    (message,) = local.waiting("jobs-dlq")
    assert message.body == b"two\nlines"
    assert message.ready_at - message.enqueued_at == 60
    assert "not UTF-8" in refused("queues", "send", "jobs", "-", stdin=b"\xff")
    assert "BODY is not JSON" in refused("queues", "send", "jobs", "{", "--json")
    assert "over the limit of 128,000 bytes" in refused("queues", "send", "jobs", "x" * 128_001)


def test_pull_leases_messages_and_acknowledges_them_when_asked(local: Local) -> None:
    run_now(local.queues.create_queue("tasks"))
    run_now(local.queues.set_consumer("tasks", ConsumerSettings("http_pull"), ""))
    local.send("tasks", 1, 2, 3)
    assert lines(run("queues", "pull", "tasks", "-n", "1", "--ack"))[1].endswith(" 1 1")
    assert len(local.waiting("tasks")) == 2
    (pulled,) = json.loads(run("queues", "pull", "tasks", "-n", "1", "--json"))
    assert (pulled["body"], pulled["attempts"]) == (2, 1)
    assert run_now(local.queues.acknowledge("tasks", [pulled["lease_id"]])).unknown == []
    assert json.loads(run("queues", "pull", "tasks", "-n", "1", "--json"))[0]["body"] == 3
    assert run("queues", "pull", "tasks") == "tasks has no messages to show\n"
    assert "no consumer of type http_pull" in refused("queues", "pull", "jobs")


def test_queues_help_lists_commands_with_looking_first(local: Local) -> None:
    changing = ["create", "update", "delete"]
    commands = [line.split()[0] for line in run("queues", "--help").partition("Commands:\n")[2].splitlines()]
    assert commands == [
        "list",
        "info",
        "send",
        "peek",
        "pull",
        "purge",
        "pause",
        "resume",
        "promote",
        "redrive",
        *changing,
    ]


def test_purge_pause_and_resume(local: Local) -> None:
    local.send("jobs-dlq", 1, 2)
    assert run("queues", "purge", "jobs-dlq") == "Purged jobs-dlq\n"
    assert local.waiting("jobs-dlq") == []
    assert run("queues", "pause", "jobs") == "Delivery of jobs is paused\n"
    assert local.queues.state_of("jobs").settings.delivery_paused
    assert run("queues", "resume", "jobs") == "Delivery of jobs is on\n"
    assert not local.queues.state_of("jobs").settings.delivery_paused


def test_promote_makes_delayed_messages_ready(local: Local) -> None:
    run("queues", "send", "jobs-dlq", "1", "--delay", "600")
    assert run("queues", "promote", "jobs-dlq") == "1 message of jobs-dlq is ready\n"
    (message,) = local.waiting("jobs-dlq")
    assert message.ready_at - message.timestamp < 500
    assert run("queues", "promote", "jobs-dlq") == "No messages of jobs-dlq are delayed\n"


def test_redrive_sends_dead_letters_back_and_says_what_stays(local: Local) -> None:
    local.let_die(1, 2)
    local.send("jobs-dlq", "plain")
    output = run("queues", "redrive", "jobs-dlq")
    assert output == (
        "Moved 2 messages from jobs-dlq to jobs\n"
        "Left 1 message that is not a dead letter in jobs-dlq (--to moves everything)\n"
    )
    assert [each.attempts for each in local.waiting("jobs")] == [0, 0]
    moved = json.loads(run("queues", "redrive", "jobs-dlq", "--to", "jobs", "--json"))
    assert moved == {"moved": {"jobs": 1}, "no_dead_letters": 0, "orphans": {}}
    assert run("queues", "redrive", "jobs-dlq") == "No messages are waiting in jobs-dlq\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", "nope"],
        ["send", "nope", "1"],
        ["peek", "nope"],
        ["pull", "nope"],
        ["purge", "nope"],
        ["pause", "nope"],
        ["resume", "nope"],
        ["promote", "nope"],
        ["redrive", "nope"],
        ["redrive", "jobs-dlq", "--to", "nope"],
    ],
)
def test_an_unknown_queue_is_refused_with_the_names_that_there_are(local: Local, arguments: list[str]) -> None:
    text = refused("queues", *arguments)
    assert f"there is no queue 'nope' at {URL}" in text
    assert "The queues are: jobs, jobs-dlq." in text


def test_env_prints_what_a_shell_can_read(local: Local) -> None:
    script = f"{run('env')}\nprintf '%s|' \"$CLOUDFLARE_API_BASE_URL\" $CLOUDFLARE_ACCOUNT_ID $CLOUDFLARE_API_TOKEN"
    output = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert output == f"{URL}/cdn-cgi/emulator/client/v4|local|secret|"
    assert f"export CLOUDFLARE_BASE_URL={URL}/cdn-cgi/emulator/client/v4\n" in run("env")
    assert "export CLOUDFLARE_API_TOKEN='a $(b)'\n" in run("env", "--token", "a $(b)")
    assert run("env", "--url", "http://localhost:1/").splitlines()[-1] == "export CLOUDFLARE_API_TOKEN=local"


@pytest.mark.parametrize("shell", ["bash", "zsh", "sh"])
def test_a_prompt_says_that_the_shell_asks_the_emulator_until_that_is_taken_back(local: Local, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    setting, unsetting = run("env", "--shell", "bash"), run("env", "--unset", "--shell", "bash")
    script = f'PS1=\'$ \'\n{setting}{setting}\necho "$PS1"\n{unsetting}\necho "$PS1|$CLOUDFLARE_API_TOKEN|"'
    output = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output == "(emulator) $ \n$ ||\n"


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
def test_the_prompt_of_fish(local: Local) -> None:
    setting, unsetting = run("env", "--shell", "fish"), run("env", "--unset", "--shell", "fish")
    script = (
        f"function fish_prompt; echo -n '> '; end\n{setting}{setting}\necho (fish_prompt)$CLOUDFLARE_API_TOKEN\n"
        f"{unsetting}{unsetting}\necho (fish_prompt)(set -q CLOUDFLARE_API_TOKEN; or echo none)"
    )
    output = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True, check=True)
    assert (output.stdout, output.stderr) == ("(emulator) > secret\n> none\n", "")


def test_env_speaks_other_shells(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    base = f"{URL}/cdn-cgi/emulator/client/v4"
    assert f"set -gx CLOUDFLARE_API_BASE_URL '{base}'\n" in run("env", "--shell", "fish")
    assert r"set -gx CLOUDFLARE_API_TOKEN 'it\'s'" in run("env", "--shell", "fish", "--token", "it's")
    assert "set -e CLOUDFLARE_API_TOKEN\n" in run("env", "--shell", "fish", "--unset")
    assert "$env:CLOUDFLARE_API_TOKEN = 'it''s'\n" in run("env", "--shell", "powershell", "--token", "it's")
    assert "Remove-Item Env:CLOUDFLARE_API_TOKEN" in run("env", "--shell", "powershell", "--unset")
    for path, syntax in (("/usr/local/bin/fish", "set -gx"), ("/usr/bin/pwsh", "$env:"), ("/bin/dash", "export")):
        monkeypatch.setenv("SHELL", path)
        assert syntax in run("env")


@pytest.mark.usefixtures("registry")
def test_env_lets_wrangler_trust_a_certificate_that_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = "/home/me/.local/share/emulator/https/localhost.pem"
    register(Running("https://127.0.0.1:1", os.getpid(), time.time(), trusted=made))
    monkeypatch.setenv("SHELL", "/bin/bash")
    for before in ("", made):
        monkeypatch.setenv("NODE_EXTRA_CA_CERTS", before)
        assert f"export NODE_EXTRA_CA_CERTS={made}\n" in run("env")
    assert "unset NODE_EXTRA_CA_CERTS\n" in run("env", "--unset")
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", "/etc/company.pem")
    said = invoke("env")
    assert "NODE_EXTRA_CA_CERTS" not in said.stdout
    assert f"NODE_EXTRA_CA_CERTS is set already: add {made} to /etc/company.pem" in said.stderr
    assert "NODE_EXTRA_CA_CERTS" not in run("env", "--unset"), "it is not the emulator's to take back"


def test_queues_can_be_created_changed_and_deleted(local: Local) -> None:
    options = ("--delivery-delay-secs", "5", "--message-retention-period-secs", "3600")
    assert run("queues", "create", "extra", *options) == "Created extra\n"
    assert local.queues.state_of("extra").settings == QueueSettings(5, message_retention_period=3600)
    assert run("queues", "update", "extra", "--message-retention-period-secs", "7200") == "Updated extra\n"
    assert run("queues", "update", "extra", "--delivery-delay-secs", "7") == "Updated extra\n"
    assert local.queues.state_of("extra").settings == QueueSettings(7, message_retention_period=7200)
    assert "Nothing to change" in refused("queues", "update", "extra")
    assert "already" in refused("queues", "create", "extra")
    assert run("queues", "delete", "extra") == "Deleted extra\n"
    assert "there is no queue 'extra'" in refused("queues", "delete", "extra")


def test_a_url_says_which_session_and_its_token_is_known(local: Local) -> None:
    for url in (URL, f"{URL}/", f"{URL}/cdn-cgi/emulator/client/v4"):
        assert "jobs" in run("queues", "list", "--url", url)
    assert "send the token" in refused("queues", "list", "--url", "http://localhost:8787")
    assert "jobs" in run("queues", "list", "--url", "http://localhost:8787", "--token", "secret")
    for url in ("localhost:8787", "http://", "ftp://localhost", "http://localhost:99999", "http://[::1"):
        assert "it must be an address such as" in refused("queues", "list", "--url", url)


def test_without_a_session_one_sentence_says_what_to_do(registry: None) -> None:
    for command in (["queues", "list"], ["queues", "redrive", "q"], ["env"]):
        (line,) = refused(*command).splitlines()
        assert "No emulator is running: start one with `emulator dev`" in line


def test_an_address_where_no_emulator_answers_is_told(registry: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.port == 1:
            raise httpx.ConnectError("Connection refused")
        return httpx.Response(404, text="not here")

    monkeypatch.setattr(httpx, "Client", partial(httpx.Client, transport=httpx.MockTransport(answer)))
    assert "nothing answers at http://localhost:1" in refused("queues", "list", "--url", "http://localhost:1")
    assert "is not an emulator" in refused("queues", "list", "--url", "http://localhost:2")


def test_help_does_not_import_what_only_a_request_needs() -> None:
    code = "import sys, emulator.cli.queues, emulator.cli.env; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {"httpx", "starlette", "tempfile", "emulator.queues.memory.engine"}.isdisjoint(output.split())


@pytest.mark.parametrize(
    "command",
    ["list", "info", "send", "peek", "pull", "purge", "pause", "resume", "redrive", "create", "update", "delete"],
)
def test_help_of_every_queue_command_has_examples(command: str) -> None:
    assert f"Examples:\n    emulator queues {command}" in run("queues", command, "--help")
