"""`emulator messages`, `requests` and `events`, against the dashboard of an emulator here."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from emulator.cli.tables import table_lines
from emulator.dashboard.telling import colored
from emulator.log.style import Style
from emulator.session.running import Running, register
from emulator.testing import Emulator
from tests.cli.test_queues import URL, invoke, lines, refused, registry, run  # noqa: F401 - a fixture
from tests.testing.kit_workers import FAILS, SENDS, worker


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: None) -> Iterator[Emulator]:  # noqa: F811
    with Emulator(**worker(SENDS, FAILS), raise_errors=False) as opened:
        opened.post("/signup?a=1", json={"type": "welcome-email", "note": "\x1b[2J\u202e"})
        opened.run_until_idle()
        opened.queue("dead-jobs").send({"type": "out of stock"}, delay_seconds=60)

        def answer(request: httpx.Request) -> httpx.Response:
            got = opened.get(request.url.raw_path.decode())
            return httpx.Response(got.status_code, content=got.content)

        monkeypatch.setattr(httpx, "Client", partial(httpx.Client, transport=httpx.MockTransport(answer)))
        monkeypatch.setattr(time, "time", lambda: opened.now.timestamp() + 120)
        register(Running(URL, os.getpid(), time.time(), (str(tmp_path / "wrangler.jsonc"),), "secret"))
        yield opened


def test_messages_are_a_table_with_the_error_below(emulator: Emulator) -> None:
    dead, delayed = (each.id[:8] for each in emulator.queue("dead-jobs").messages)
    assert lines(run("messages")) == [
        "ID STATE QUEUE ATTEMPTS AGE BODY",
        f'{dead} dead dead-jobs 4 2 min {{"type":"welcome-email","note":"\\u001b[2J\\u202e"}}',
        "ConnectionError: mail server is down",
        f'{delayed} delayed dead-jobs 0 2 min {{"type":"out of stock"}}',
    ]
    assert lines(run("messages", "state:dead", "attempts>2"))[1].startswith(dead)
    assert lines(run("messages", '"out of stock"'))[1].startswith(delayed)
    assert lines(run("messages", "--", "-state:dead"))[1].startswith(delayed)


def test_json_is_an_object_a_line_as_in_the_api(emulator: Emulator) -> None:
    listed = emulator.get("/cdn-cgi/emulator/api/messages").json()["messages"]
    assert [json.loads(line) for line in run("messages", "--json").splitlines()] == listed
    [request] = run("requests", "--json", "method:POST").splitlines()
    assert json.loads(request)["path"] == "/signup?a=1"


def test_what_is_not_shown_is_told_on_standard_error(emulator: Emulator) -> None:
    result = invoke("messages", "--limit", "1")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 3)
    assert result.stderr == "There may be more than 1 message: see --limit.\n"
    result = invoke("messages", "attempts>9")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "There is no such message.\n")


def test_requests_are_a_table(emulator: Emulator) -> None:
    [identifier] = [json.loads(line)["id"] for line in run("requests", "--json", "status<300").splitlines()]
    head, row = lines(run("requests", "path~signup", "older<1h"))
    assert head == "ID RESULT TOOK AGE WORKER REQUEST"
    assert row == f"{identifier} 200 0 ms 2 min worker POST /signup?a=1"


def test_events_are_the_log_newest_last_and_a_filter_finds_those_of_debug(emulator: Emulator) -> None:
    told = run("events")
    assert "POST /signup?a=1 200 OK" in told.splitlines()[0]
    assert "jobs moved 1 message" in told
    assert "SENT" not in told
    [sent] = run("events", "event:sent source:worker").splitlines()
    assert "SENT 1 message to jobs by worker" in sent
    failures = run("events", "event:failure", "--json").splitlines()
    assert [json.loads(each)["number"] for each in failures] == sorted(json.loads(each)["number"] for each in failures)
    assert json.loads(failures[0])["fields"]["failure"]["message"] == "mail server is down"


def test_events_are_followed_until_ctrl_c(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    def turns() -> Iterator[None]:
        emulator.post("/signup?b=2", json={})
        yield
        yield
        raise KeyboardInterrupt

    turn = turns()
    monkeypatch.setattr(time, "sleep", lambda _: next(turn))
    result = invoke("events", "event:request", "--follow")
    assert result.exit_code == 130
    paths = [line.split()[2] for line in result.stdout.splitlines()]
    assert paths[:1] == ["/signup?a=1"]
    assert paths.count("/signup?b=2") == 1


def test_a_wrong_filter_is_one_sentence_with_where(emulator: Emulator) -> None:
    said = "Error: the filter cannot be read at character 12: messages have no field attemps; the nearest is attempts\n"
    assert refused("messages", "state:dead", "attemps>2") == said
    assert "--limit" in refused("messages", "--limit", "0")


def test_a_table_fits_the_terminal_in_colour() -> None:
    rows = [("3f2a91c0", "dead", "x" * 100)]
    style = Style(enabled=True)
    _, row, note = table_lines(("ID", "STATE", "BODY"), rows, style, [["e" * 100]], paints={"STATE": colored}, width=50)
    assert row == f"3f2a91c0  {style.red('dead')}   {'x' * 30}..."
    assert note == f"{'':<10}{style.yellow('e' * 37 + '...')}"
    narrow = list(table_lines(("ID", "STATE", "BODY"), rows, Style(enabled=False), width=10))
    assert narrow[1] == f"3f2a91c0  dead   {'x' * 17}..."
