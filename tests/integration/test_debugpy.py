"""Python workers under debugpy, driven by the protocol that editors speak with it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.cli.templates import templates_directory
from tests.integration.conftest import DEADLINE_SECONDS, write_worker
from tests.support.dap import Client, attached, launched

WORKER = """\
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        name = request.url.rsplit("/", 1)[1]
        greeting = f"hello {name}"
        if name == "breakpoint":
            breakpoint()
        await self.env.EVENTS.send({"name": name})
        return Response(greeting)

    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            body = message.body
            print("GOT", body)
            message.ack()
"""

FLASK = """\
from flask import Flask
from workers import WorkerEntrypoint, wsgi

app = Flask(__name__)

@app.get("/<name>")
def greet(name):
    greeting = f"hello {name}"
    return greeting

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await wsgi.fetch(app, request, self.env)
"""

TEST = """\
def test_sign_up(emulator):
    answer = emulator.get("/ann")
    assert answer.text == "hello ann"
    emulator.advance(60)
    assert emulator.queue("events").metrics.backlog_count == 0
"""

QUEUES: dict[str, Any] = {
    "producers": [{"binding": "EVENTS", "queue": "events"}],
    "consumers": [{"queue": "events", "max_batch_timeout": 0}],
}
FETCH = "greeting = f"
DELIVERY = "print("


def line(source: str, text: str) -> int:
    """The number of the first line of `source` that has `text` in it."""
    return source[: source.index(text)].count("\n") + 1


def configurations(template: str) -> dict[str, dict[str, Any]]:
    """The configurations of a template's `launch.json`, by their names."""
    text = (templates_directory() / template / ".vscode" / "launch.json").read_text()
    return {each["name"]: each for each in json.loads(text)["configurations"]}


def launch(
    client: Client, root: Path, configuration: str, arguments: list[str], breakpoints: dict[Path, list[int]]
) -> None:
    """Launch what a configuration of the templates says, with more arguments, and with what an editor adds."""
    settings = configurations("python-queue")[configuration]
    settings["args"] = [*settings.get("args", []), *arguments]
    added = {"cwd": str(root), "console": "internalConsole", "python": [sys.executable], "env": {"NO_COLOR": "1"}}
    client.begin(breakpoints, **settings | added)


@pytest.mark.parametrize("template", [path.name for path in sorted(templates_directory().iterdir())])
def test_the_templates_and_the_manual_have_the_same_launch_configurations(template: str) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "debugging.md").read_text()
    python, javascript = manual.split("\n## JavaScript\n")
    text = (templates_directory() / template / ".vscode" / "launch.json").read_text()
    assert f"```json\n{text}```" in (python if template.startswith("python-") else javascript)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as made:
        yield made


class Visitor:
    """Asks a program that the debugger may hold, so on another thread."""

    def __init__(self, client: Client, pool: ThreadPoolExecutor) -> None:
        self.url = client.printed(r"Ready on (http://\S+)").group(1)
        self._pool = pool

    def get(self, path: str) -> Future[str]:
        return self._pool.submit(lambda: httpx.get(self.url + path, timeout=DEADLINE_SECONDS).text)


def test_a_launched_emulator_stops_in_handlers_and_still_does_after_a_reload(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    entry = write_worker(tmp_path, WORKER, queues=QUEUES)
    with launched() as client:
        launch(client, tmp_path, "emulator dev", ["-p", "0"], {entry: [line(WORKER, FETCH), line(WORKER, DELIVERY)]})
        visitor = Visitor(client, pool)

        answer = visitor.get("/ann")
        stop = client.stopped()
        assert (stop.path, stop.line) == (entry, line(WORKER, FETCH))
        assert stop.evaluate("name") == "'ann'"
        stop = stop.step()
        assert stop.evaluate("greeting") == "'hello ann'"
        stop.go_on()
        stop = client.stopped()
        assert (stop.line, stop.evaluate("body")) == (line(WORKER, DELIVERY), "{'name': 'ann'}")
        stop.go_on()
        assert answer.result() == "hello ann"
        client.printed(r"QUEUE events 1/1 acked")

        # An editor moves its breakpoints when the lines above them change, and says so when the file is saved.
        moved = "# A comment.\n" + WORKER.replace("hello", "hi")
        answer = visitor.get("/bob")
        stop = client.stopped()
        entry.write_text(moved)  # while a handler stands still
        client.break_at(entry, line(moved, FETCH))
        stop.go_on()
        client.stopped().go_on()  # at that line of the code that still runs
        assert answer.result() == "hello bob"
        client.printed(r"Reloaded shop .*\(src/entry.py\)")
        answer = visitor.get("/eve")
        stop = client.stopped()
        assert (stop.line, stop.evaluate("name")) == (line(moved, FETCH), "'eve'")
        stop.go_on()
        assert answer.result() == "hi eve"

        answer = visitor.get("/breakpoint")
        client.stopped().go_on()
        stop = client.stopped()
        assert stop.line == line(moved, "await self.env.EVENTS")
        stop.go_on()
        assert answer.result() == "hi breakpoint"
        for complaint in ("has blocked", "Traceback"):
            assert complaint not in client.output


def test_an_editor_attaches_to_a_running_emulator_and_leaves_it_running(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    entry = write_worker(tmp_path, FLASK)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [sys.executable, "-m", "debugpy", "--listen", str(port), "-m", "emulator", "dev", "-p", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ready = next(line for line in process.stdout if "Ready on" in line)
            with attached(port) as client:
                settings = configurations("python-fastapi")["Attach to emulator dev"]
                settings["connect"]["port"] = port
                client.begin({entry: [line(FLASK, "greeting = f")]}, **settings)
                client.output = ready
                visitor = Visitor(client, pool)
                answer = visitor.get("/ann")
                stop = client.stopped()
                assert (stop.path, stop.line, stop.evaluate("name")) == (entry, line(FLASK, "greeting = f"), "'ann'")
                stop.go_on()
                assert answer.result() == "hello ann"
            assert visitor.get("/bob").result() == "hello bob"  # nobody holds it any more
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == 0


def test_a_test_stops_in_the_worker_and_in_itself(tmp_path: Path) -> None:
    entry = write_worker(tmp_path, WORKER, queues=QUEUES)
    test = tmp_path / "test_shop.py"
    test.write_text(TEST)
    with launched() as client:
        breakpoints = {
            entry: [line(WORKER, FETCH), line(WORKER, DELIVERY)],
            test: [line(TEST, "emulator.advance"), line(TEST, "backlog_count")],
        }
        launch(client, tmp_path, "Tests", ["-q", "-p", "no:cacheprovider", str(test)], breakpoints)
        stops = []
        for _ in range(4):
            stop = client.stopped()
            stops.append((stop.path.name, stop.line))
            stop.go_on()
        client.event("terminated")
    assert sorted(stops) == [
        ("entry.py", line(WORKER, FETCH)),
        ("entry.py", line(WORKER, DELIVERY)),
        ("test_shop.py", line(TEST, "emulator.advance")),
        ("test_shop.py", line(TEST, "backlog_count")),
    ]
    assert "1 passed" in client.output
