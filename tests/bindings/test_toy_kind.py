"""A binding kind that is added by one line in the registry is there wherever bindings are."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.base.bus import Bus, Notice
from emulator.base.errors import ConfigError
from emulator.bindings.registry import KINDS
from emulator.config import check_conflicts
from emulator.log.terminal import Terminal
from emulator.server.addresses import API_PREFIX
from emulator.server.events import ServerReady
from emulator.session.events import ConfigurationChanged
from emulator.session.session import Session
from emulator.stubs.python import env_stub
from emulator.stubs.typescript import declarations
from emulator.testing import AsyncEmulator, Emulator
from emulator_runtime.workers.request import Request
from tests.bindings.test_documentation import missing_rows, row
from tests.bindings.toy.kind import COUNTERS, Counters
from tests.config.project import assert_errors, assert_warnings, wrap
from tests.hosts.support import fetch
from tests.hosts.workerd.support import Workers
from tests.support.configs import load_config
from tests.support.node_tools import needs_node

API = f"http://localhost{API_PREFIX}/accounts/a"

PYTHON = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(str(await self.env.C.next()))
"""

JAVASCRIPT = """
export default {
  async fetch(request, env) { return new Response(String(await env.C.next())); },
};
"""


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """The one registration."""
    KINDS.append(COUNTERS)
    yield
    KINDS.remove(COUNTERS)


def write(directory: Path, start: int = 5, source: str = PYTHON, name: str = "app", **settings: Any) -> Path:
    """Write a worker with the counter C, and return its configuration."""
    directory.mkdir(exist_ok=True)
    main = "entry.py" if source is PYTHON else "index.js"
    (directory / main).write_text(source)
    document = {
        "name": name,
        "main": main,
        "compatibility_date": "2026-04-01",
        "counters": [{"binding": "C", "start": start}],
        **settings,
    }
    path = directory / "wrangler.json"
    path.write_text(json.dumps(document))
    return path


def test_its_keys_are_checked_and_their_errors_have_places(tmp_path: Path) -> None:
    text = wrap('"vars": {"A": 1},\n"counters": [{"binding": "C"}, {"binding": ▶"A", "start": ▶-1}, ▶{"start": 0}, ▶1]')
    assert_errors(
        tmp_path,
        text,
        [
            'counters[1].binding: "A" is already the name of vars.A on line 5',
            "counters[1].start: must be a whole number from 0 to 1,000, not -1",
            "counters[2].binding: is missing; it must be a JavaScript identifier, such as MY_QUEUE",
            "counters[3]: must be an object, not 1",
        ],
    )
    assert_errors(tmp_path, wrap('"counters": ▶{}'), ["counters: must be an array, not an object"])


def test_its_keys_are_suggested_and_not_inherited(tmp_path: Path) -> None:
    text = wrap('"counters": [{"binding": "C"}],\n▶"counter": 1,\n"env": {▶"staging": {}}')
    config = assert_warnings(
        tmp_path,
        text,
        [
            "counter: is not a key that wrangler knows\nDid you mean `counters`?",
            (
                "env.staging: `counters` is set at the top level but not here, and an environment does not inherit "
                "bindings, vars and queues\nRepeat in env.staging what this environment needs."
            ),
        ],
        environment="staging",
    )
    assert COUNTERS.bindings(config) == {}


def test_what_must_hold_between_workers_is_checked(tmp_path: Path) -> None:
    paths = write(tmp_path / "a"), write(tmp_path / "b", start=6, name="other")
    with pytest.raises(ConfigError) as caught:
        check_conflicts([load_config(path) for path in paths], KINDS)
    (problem,) = caught.value.problems
    assert (problem.file, problem.key) == (str(paths[1]), "counters[0].binding")


def test_a_python_worker_has_it_in_env(tmp_path: Path) -> None:
    with Emulator(write(tmp_path)) as emulator:
        assert [emulator.get("/").text for _ in range(2)] == ["5", "6"]


def test_what_it_warns_of_is_told_with_the_worker(tmp_path: Path) -> None:
    with Emulator(write(tmp_path, start=13)) as emulator:
        notices: list[Notice] = []
        emulator._core.bus.subscribe(Notice, notices.append)
        emulator.get("/")
        assert notices == [Notice("warning", "env.C counted to 13", "app")]


@needs_node
@pytest.mark.usefixtures("javascript")
def test_workers_in_both_languages_share_it(tmp_path: Path) -> None:
    paths = write(tmp_path / "a", source=JAVASCRIPT, name="js"), write(tmp_path / "b", name="py")
    with Emulator(paths) as emulator:
        urls = ["http://js.localhost/", "http://py.localhost/"] * 2
        assert [emulator.get(url).text for url in urls] == ["5", "6", "7", "8"]


def test_an_undeclared_name_says_how_it_is_declared(tmp_path: Path) -> None:
    with Emulator(write(tmp_path)) as emulator, pytest.raises(AttributeError) as caught:
        _ = emulator._core.session.envs["app"].D
    assert str(caught.value).startswith("env.D is not declared in wrangler.json, which declares: C. A variable goes ")
    assert str(caught.value).endswith(', a counter under "counters"')


def test_tests_reach_it_by_its_accessor(tmp_path: Path) -> None:
    with Emulator(write(tmp_path)) as emulator:
        emulator.get("/")
        accessor: Any = emulator
        assert accessor.counter("C").next_value == 6
        assert "counter" in dir(emulator)
        with pytest.raises(AttributeError, match="no attribute 'conter'"):
            _ = accessor.conter


async def test_async_tests_reach_it_by_its_accessor(tmp_path: Path) -> None:
    async with AsyncEmulator(write(tmp_path)) as emulator:
        await emulator.get("/")
        accessor: Any = emulator
        assert await accessor.counter("C").look() == 6


def test_its_routes_answer_under_the_rest_api(tmp_path: Path) -> None:
    with Emulator(write(tmp_path)) as emulator:
        emulator.get("/")
        listed = emulator.get(f"{API}/counters").json()
        assert (listed["result"], listed["result_info"]["total_count"]) == ([{"name": "C", "next": 6}], 1)
        assert emulator.post(f"{API}/counters/C", json={"by": 4}).json()["result"] == {"name": "C", "next": 10}
        assert "REST API: counter C increased" in emulator.timeline


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/counters/D", {"by": 1}, (404, 7003, "there is no counter 'D'")),
        ("/counters/C", {"by": -1}, (400, 4711, "cannot count by -1")),
        ("/counters/C", {"by": "x"}, (400, 10207, "the body is invalid: Expected `int`, got `str` - at `$.by`")),
        (
            "/sums",
            {},
            (
                404,
                7003,
                (
                    "This is the emulator, not Cloudflare, and changed nothing: no route for POST /accounts/a/sums. "
                    "Only the part about queues"
                ),
            ),
        ),
    ],
)
def test_calls_that_are_refused_are_answered_with_a_code(
    tmp_path: Path, path: str, body: object, expected: tuple[int, int, str]
) -> None:
    with Emulator(write(tmp_path)) as emulator:
        emulator.get("/")
        answer = emulator.post(API + path, json=body)
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["code"]) == expected[:2]
        assert error["message"].startswith(expected[2])


def test_an_address_that_nothing_answers_names_its_routes(tmp_path: Path) -> None:
    with Emulator(write(tmp_path)) as emulator:
        text = emulator.get("http://localhost/cdn-cgi/nothing").text
    assert f"{API_PREFIX}/accounts/ACCOUNT/queues, " in text
    assert text.endswith(f" and {API_PREFIX}/accounts/ACCOUNT/counters\n")


async def show(path: Path, log_format: Any) -> str:
    """What `emulator dev` writes when it is ready."""
    bus, stream = Bus(), io.StringIO()
    session = Session([load_config(path)], bus)
    terminal = Terminal(bus, stream=stream, log_format=log_format)
    terminal.introduce(session.configs, session.hosts)
    await session.load()
    bus.publish(ServerReady("http://127.0.0.1:8787"))
    terminal.close()
    counters = session.open_kinds[COUNTERS.name]
    await session.stop(0.0)
    assert isinstance(counters, Counters)
    assert counters.is_closed
    return stream.getvalue()


async def test_the_start_block_shows_it(tmp_path: Path) -> None:
    text = await show(write(tmp_path, vars={"A": 1}), "text")
    assert "  env.C  counter from 5\n  env.A  1\n\ncounter C  of app\n\nReady on" in text


async def test_json_ready_tells_of_it(tmp_path: Path) -> None:
    (ready,) = [json.loads(line) for line in (await show(write(tmp_path), "json")).splitlines() if '"ready"' in line]
    assert ready["workers"][0]["bindings"] == [{"name": "C", "type": "counter", "start": 5}]
    assert ready["workers"][0]["counters"] == 1


async def test_a_reload_says_what_changed_and_gives_it_to_the_worker(tmp_path: Path) -> None:
    path = write(tmp_path)
    bus = Bus()
    changes: list[str] = []
    bus.subscribe(ConfigurationChanged, lambda event: changes.extend(event.changes))
    session = Session([load_config(path)], bus)
    await session.load()
    write(tmp_path, counters=[{"binding": "C", "start": 7}, {"binding": "D"}])
    await session.reconfigure(0, load_config(path))
    await session.reload(0)
    assert changes == ["counter D added", "counter C changed"]
    env: Any = session.envs["app"]
    assert [await env.C.next(), await env.D.next()] == [7, 0]
    await session.stop(0.0)


@needs_node
def test_code_that_has_lost_it_in_a_reload_is_told_so(workers: Workers) -> None:
    path = write(
        workers.directory,
        source="""
            export default {
              async fetch(request, env) {
                try {
                  for (;;) {
                    console.log(await env.C.next());
                    await scheduler.wait(5);
                  }
                } catch (error) {
                  return new Response(String(error));
                }
              },
            };
        """,
    )
    workers.configs.append(load_config(path))

    async def test(host: Any) -> str:
        asked = asyncio.ensure_future(fetch(host, Request("http://app/")))
        await workers.until_line("6")
        write(workers.directory, source=(workers.directory / "index.js").read_text(), counters=[])
        await workers.session.reconfigure(0, load_config(path))
        await workers.session.reload(0)
        text: str = await (await asked).text()
        return text

    expected = "Error: the binding env.C is gone: the configuration does not declare it any more"
    assert workers.run(test) == expected


def test_the_documentation_would_have_to_show_it() -> None:
    assert row(COUNTERS) in missing_rows()
    assert row(COUNTERS) == "| counter | `counters[]` | `next` | `next` |"


def test_editors_are_told_what_it_is(tmp_path: Path) -> None:
    config = load_config(write(tmp_path / "app"))
    stub = env_stub(config)
    assert "class Counter:\n\n    async def next(self) -> int:" in stub
    assert stub.endswith("class Env:\n    C: Counter\n")
    assert "\t\tC: { next(): Promise<number> };\n" in declarations(config)
