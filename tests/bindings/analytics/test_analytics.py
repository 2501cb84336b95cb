"""Data points from both languages, the SQL API, and how tests look at both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.base.bus import Notice
from emulator.base.clock import VirtualClock
from emulator.base.errors import EmulatorError
from emulator.bindings.analytics.kind import KIND
from emulator.bindings.analytics.store import SCHEMA, AnalyticsError, AnalyticsStore
from emulator.bindings.events import BindingUsed
from emulator.storage.database import Database
from emulator.testing import Emulator
from tests.server.control.api.rest_client import Rest
from tests.support.languages import LANGUAGES, write_project
from tests.support.node_tools import javascript, needs_node  # noqa: F401 - a fixture

PYTHON = """
from pyodide.ffi import JsException
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        results = []
        for point in await request.json():
            try:
                results.append(self.env.VISITS.writeDataPoint(point))
            except JsException as error:
                results.append(f"{error.name}: {error.message}")
        return Response.json(results)
"""
JAVASCRIPT = """
export default {
  async fetch(request, env) {
    const results = [];
    for (const point of await request.json()) {
      try {
        results.push(env.VISITS.writeDataPoint(point) ?? null);
      } catch (error) {
        results.push(String(error));
      }
    }
    return Response.json(results);
  },
};
"""
SETTINGS = {"analytics_engine_datasets": [{"binding": "VISITS", "dataset": "visits"}]}
NOON = 1_795_780_800.0
"""2026-11-27 12:00:00, a Friday."""


@pytest.fixture(params=LANGUAGES)
def emulator(request: pytest.FixtureRequest, tmp_path: Path, javascript: None) -> Any:  # noqa: F811
    sources = {"entry.py": PYTHON, "index.js": JAVASCRIPT}
    with Emulator(write_project(tmp_path, request.param, sources, SETTINGS)) as made:
        yield made


def write(emulator: Emulator, *points: Any) -> list[Any]:
    results: list[Any] = emulator.post("/", json=list(points)).json()
    emulator.run_until_idle()
    return results


def test_points_are_recorded_as_they_are_given(emulator: Emulator) -> None:
    given = {"indexes": ["ada"], "blobs": ["Zürich", None, 7], "doubles": [21.5, 1]}
    assert write(emulator, given, {}) == [None, None]
    first, second = emulator.analytics("VISITS").points
    assert (first.index, list(first.blobs), list(first.doubles)) == ("ada", ["Zürich", "", "7"], [21.5, 1.0])
    assert (second.index, list(second.blobs), list(second.doubles)) == ("", [], [])
    emulator.analytics("VISITS").clear()
    assert emulator.analytics("VISITS").points == []


def test_what_has_too_much_is_not_recorded(emulator: Emulator) -> None:
    too_much = [
        {"blobs": ["a"] * 21},
        {"doubles": [1] * 21},
        {"indexes": ["a", "b"]},
        {"indexes": ["x" * 97]},
        {"blobs": ["x" * 8_000, "x" * 8_001]},
    ]
    most = {"blobs": ["x" * 800] * 20, "doubles": [1] * 20, "indexes": ["é" * 48]}
    assert write(emulator, *too_much, most) == [None] * 6
    [point] = emulator.analytics("VISITS").points
    assert (len(point.blobs), len(point.doubles), point.index) == (20, 20, "é" * 48)


def test_what_is_no_point_is_a_type_error(emulator: Emulator) -> None:
    results = write(emulator, 5, {"blobs": "abc"})
    assert results == [
        (
            "TypeError: Failed to execute 'writeDataPoint' on 'AnalyticsEngine': "
            "parameter 1 is not of type 'AnalyticsEngineEvent'."
        ),
        (
            "TypeError: Incorrect type for the 'blobs' field on 'AnalyticsEngineEvent': "
            "the provided value is not of type 'Array'."
        ),
    ]


def test_a_worker_hears_why_a_point_is_not_recorded(emulator: Emulator) -> None:
    told: list[Notice] = []
    used: list[BindingUsed] = []
    emulator._core.bus.subscribe(Notice, told.append)
    emulator._core.bus.subscribe(BindingUsed, used.append)
    write(emulator, {"blobs": ["a"] * 21}, {"indexes": ["x" * 97]})
    assert [each.text for each in told if "recorded" in each.text] == [
        "env.VISITS: a data point was not recorded: Maximum of 20 blobs supported.",
        "env.VISITS: a data point was not recorded: Size of indexes[0] exceeds 96 bytes.",
    ]
    assert {(each.kind, each.name, each.operation) for each in used} == {("analytics", "VISITS", "write")}


def test_an_invocation_writes_250_points() -> None:
    told: list[Notice] = []
    with Emulator(main=PYTHON, settings=SETTINGS) as emulator:
        emulator._core.bus.subscribe(Notice, told.append)
        write(emulator, *[{"doubles": [1]}] * 251)
        assert len(emulator.analytics("VISITS").points) == 250
        write(emulator, {"doubles": [2]})
        assert len(emulator.analytics("VISITS").points) == 251
    expected = "env.VISITS: a data point was not recorded: an invocation writes at most 250"
    assert [each.text for each in told if "recorded" in each.text] == [expected]


@needs_node
@pytest.mark.usefixtures("javascript")
def test_a_test_can_wait_for_the_points_of_a_javascript_worker(tmp_path: Path) -> None:
    with Emulator(write_project(tmp_path, "index.js", {"index.js": JAVASCRIPT}, SETTINGS)) as emulator:
        for count in (1, 100, 101, 300):
            before = len(emulator.analytics("VISITS").points)
            write(emulator, *[{"doubles": [number]} for number in range(count)])
            assert len(emulator.analytics("VISITS").points) - before >= min(count, 250)


def test_a_query_in_a_test_follows_virtual_time() -> None:
    with Emulator(main=PYTHON, settings=SETTINGS) as emulator:
        visits = emulator.analytics("VISITS")
        write(emulator, {"doubles": [1]})
        emulator.advance(seconds=7200)
        write(emulator, {"doubles": [2]})
        recent = "SELECT double1 AS d FROM visits WHERE timestamp > now() - INTERVAL '1' HOUR"
        assert visits.query(recent) == [{"d": 2.0}]
        snapshot = emulator.snapshot()
        visits.clear()
        emulator.restore(snapshot)
        assert len(visits.points) == 2
        with pytest.raises(EmulatorError, match=r"there is no dataset 'EVENTS'; the bindings are: VISITS"):
            emulator.analytics("EVENTS")
        emulator.advance(seconds=93 * 86_400)
        write(emulator, {})
        assert len(visits.points) == 1


@pytest.fixture
def store() -> AnalyticsStore:
    store = AnalyticsStore(Database(None, SCHEMA), clock := VirtualClock(NOON - 7200))
    for hour, (city, value) in enumerate([("London", 3), ("Paris", 4), ("London", 8)]):
        store.write("my visits", f"i{hour}", [city, "it's"], [value])
        clock.move_to(NOON - 7200 + 3600 * (hour + 1))
    return store


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 'Hello' AS message", [{"message": "Hello"}]),
        ("SHOW TABLES", [{"dataset": "my visits", "type": "dataset"}]),
        ("SHOW TIMEZONE", [{"timezone": "Etc/UTC"}]),
        ("SELECT count() AS n FROM `my visits`;", [{"n": 3}]),
        ('select count(distinct blob1) as n from "my visits" limit all', [{"n": 2}]),
        (
            (
                "SELECT blob1 AS city, SUM(_sample_interval * double1) / SUM(_sample_interval) AS a -- average\n"
                "FROM `my visits` WHERE double1 > 0 GROUP BY city HAVING a > 1 ORDER BY a DESC LIMIT 10"
            ),
            [{"city": "London", "a": 5.5}, {"city": "Paris", "a": 4.0}],
        ),
        (
            "SELECT toStartOfInterval(timestamp, INTERVAL '2' HOUR) AS t, sum(double1) s FROM `my visits` GROUP BY t",
            [{"t": "2026-11-27 10:00:00", "s": 7.0}, {"t": "2026-11-27 12:00:00", "s": 8.0}],
        ),
        (
            "SELECT intDiv(toUInt32(timestamp), 300) * 300 AS t FROM `my visits` LIMIT 1",
            [{"t": int(NOON - 7200)}],
        ),
        ("SELECT index1 FROM `my visits` WHERE timestamp > NOW() - INTERVAL '90' MINUTE", [{"index1": "i2"}]),
        (
            (
                "SELECT index1 FROM `my visits` WHERE timestamp >= toDateTime('2026-11-27 10:00:00') "
                "+ INTERVAL '1' HOUR "
                "AND timestamp < toStartOfDay(now()) + INTERVAL '12' HOUR"
            ),
            [{"index1": "i1"}],
        ),
        ("SELECT quantileExactWeighted(0.5)(double1, _sample_interval) AS q FROM `my visits`", [{"q": 4.0}]),
        (
            "SELECT argMax(blob1, double1) AS most, argMin(blob1, double1) AS l FROM `my visits`",
            [{"most": "London", "l": "London"}],
        ),
        ("SELECT n FROM (SELECT count() AS n FROM `my visits`)", [{"n": 3}]),
        ("SELECT if(double1 <= 3, 'few', 'many') AS w FROM `my visits` LIMIT 2", [{"w": "few"}, {"w": "many"}]),
        ("SELECT 1 / 2 AS half, 7 % 4 AS rest, intDiv(7, 2) AS whole", [{"half": 0.5, "rest": 3, "whole": 3}]),
        ("SELECT 'it\\'s' AS a, 'it''s' = blob2 AS b FROM `my visits` LIMIT 1", [{"a": "it's", "b": 1}]),
        (
            "SELECT position(':' IN 'a: b') AS p, substring('hello', 2, 3) AS s, length('é') AS l",
            [{"p": 2, "s": "ell", "l": 1}],
        ),
        ("SELECT extract(SECOND from toDateTime('2022-06-06 11:30:15')) AS s", [{"s": 15}]),
        (
            "SELECT formatDateTime(toDateTime(0), '%Y-%m-%d') AS d, toDayOfWeek(now()) AS w",
            [{"d": "1970-01-01", "w": 5}],
        ),
        ("SELECT toDateTime('2022-12-01 16:17:00', 'America/New_York') AS t", [{"t": "2022-12-01 21:17:00"}]),
        (
            "SELECT toStartOfWeek(now()) w, toStartOfMonth(now()) AS m, toStartOfYear(now()) y, toYYYYMM(now()) AS n",
            [{"w": "2026-11-23 00:00:00", "m": "2026-11-01 00:00:00", "y": "2026-01-01 00:00:00", "n": 202611}],
        ),
        ("SELECT toDateTime('2026-03-31 00:00:00') - INTERVAL '1' MONTH AS t", [{"t": "2026-02-28 00:00:00"}]),
        (
            "SELECT round(3.14, 1) AS r, floor(3.19, 1) AS f, ceil(3.1) AS c, log(1) AS l, pow(2, 3) AS p",
            [{"r": 3.1, "f": 3.1, "c": 4, "l": 0.0, "p": 8.0}],
        ),
        (
            "SELECT format('a: {}', 1) AS f, lowerUTF8('É') AS l, startsWith('ab', 'a') AS s, empty('') AS e",
            [{"f": "a: 1", "l": "é", "s": 1, "e": 1}],
        ),
        ("SELECT bitAnd(6, 3) AS a, bitShiftLeft(1, 4) AS b", [{"a": 2, "b": 16}]),
    ],
)
def test_queries_of_the_documentation_are_answered(store: AnalyticsStore, sql: str, expected: list[Any]) -> None:
    assert store.query(sql).objects() == expected


def test_every_column_is_there(store: AnalyticsStore) -> None:
    row = store.query("SELECT * FROM `my visits` LIMIT 1").objects()[0]
    assert len(row) == 44
    assert (row["dataset"], row["timestamp"], row["blob3"], row["double20"]) == (
        "my visits",
        "2026-11-27 10:00:00",
        "",
        0.0,
    )
    assert store.query("SELECT blob1 FROM `my visits` LIMIT 0").columns == ["blob1"]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("", r"a query is SELECT \.\.\. or SHOW"),
        ("DELETE FROM points", r"a query is SELECT"),
        ("SELECT 1; DELETE FROM points", "one statement at a time|not authorized"),
        ("SELECT * FROM visits", "no such table: visits"),
        ("SELECT writefile('a', 'b')", "no such function: writefile"),
        ("SELECT 1 FORMAT XML", "unknown format XML; there are JSON, JSONEachRow, TabSeparated"),
        ("SELECT now() - INTERVAL 'x' DAY", "an interval is written INTERVAL '1' DAY"),
        ("SELECT quantileExactWeighted(0.5(1)", "a parenthesis is not closed"),
        ("SELECT 'a", 'unexpected character "\'" at 8'),
        ("SELECT toDateTime('x')", "unable to process query"),
        ("SHOW DATABASES", "SHOW knows TABLES"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence(store: AnalyticsStore, sql: str, words: str) -> None:
    with pytest.raises(AnalyticsError, match=words):
        store.query(sql)
    assert len(store.points("my visits")) == 3


def test_the_api_answers_in_each_format(tmp_path: Path) -> None:
    rest = Rest(tmp_path)
    try:
        kinds: Any = rest.session.open_kinds[KIND]
        kinds.store.write("visits", "", ["a\tb"], [2.0])

        def asked(sql: str, status: int = 200) -> str:
            answer = rest.runner.run(rest.client.post("/analytics_engine/sql", content=sql))
            assert answer.status_code == status, answer.text
            return answer.text

        ask = "SELECT blob1, double1, timestamp, count() AS n FROM visits"
        told = json.loads(asked(ask))
        assert [each["type"] for each in told["meta"]] == ["String", "Float64", "DateTime", "UInt64"]
        assert (told["rows"], told["data"][0]["n"]) == (1, 1)
        assert json.loads(asked(f"{ask} FORMAT JSONEachRow"))["blob1"] == "a\tb"
        assert asked("SELECT blob1, NULL FROM visits FORMAT TabSeparated") == "a\\tb\t\\N\n"
        answered = rest.runner.run(rest.client.get("/analytics_engine/sql?query=SELECT+1+AS+n"))
        assert answered.json()["data"] == [{"n": 1}]
        assert "unable to process query: " in asked("SELECT", 422)
    finally:
        rest.close()
