"""D1 in the real program: kept over a restart and `kill -9`, and used by its real clients."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import cloudflare
import httpx
import pytest
from cloudflare import Cloudflare

from tests.integration.conftest import ACCOUNT, API, Running, write_worker
from tests.support.copies import run_emulator
from tests.support.node_tools import needs_node

WORKER = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            db = self.env.DB
            await db.exec("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)")
            if request.method == "POST":
                text = await request.text()
                await db.batch([
                    db.prepare("INSERT INTO notes (text) VALUES (?)").bind(text),
                    db.prepare("INSERT INTO notes (text) VALUES (?)").bind(f"{text}, again"),
                ])
            found = await db.prepare("SELECT count(*) AS n, max(text) AS last FROM notes").first()
            return Response.json(found.to_py())
"""
DATABASES = [{"binding": "DB", "database_name": "notes", "database_id": "n-1"}]


@pytest.fixture
def session(dev: Callable[..., Running], tmp_path: Path) -> Running:
    write_worker(tmp_path, WORKER, d1_databases=DATABASES)
    return dev(tmp_path)


@pytest.fixture
def sdk(session: Running) -> Iterator[Cloudflare]:
    with Cloudflare(api_token="x", base_url=f"{session.url}{API}") as made:
        yield made


def test_kill_9_loses_nothing_that_was_answered_and_keeps_no_half(
    dev: Callable[..., Running], session: Running, tmp_path: Path
) -> None:
    with httpx.Client() as client:
        for number in range(40):
            assert client.post(f"{session.url}/", content=str(number)).status_code == 200
    session.end(signal.SIGKILL)
    again = dev(tmp_path)
    assert httpx.get(f"{again.url}/").json() == {"n": 80, "last": "9, again"}
    assert again.end() == 0
    forgetful = dev(tmp_path, "--no-persist")
    assert httpx.get(f"{forgetful.url}/").json() == {"n": 0, "last": None}


def test_the_sdk_asks_and_changes(sdk: Cloudflare, session: Running) -> None:
    databases = sdk.d1.database
    httpx.post(f"{session.url}/", content="one")
    assert [(each.uuid, each.name) for each in databases.list(account_id=ACCOUNT)] == [("n-1", "notes")]
    assert databases.get("n-1", account_id=ACCOUNT).num_tables == 1
    asked = databases.query("n-1", account_id=ACCOUNT, sql="SELECT text FROM notes WHERE id = ?", params=["1"])
    result = asked.result[0]
    assert (result.success, result.results) == (True, [{"text": "one"}])
    raw = databases.raw("n-1", account_id=ACCOUNT, sql="SELECT id, text FROM notes LIMIT 1").result[0]
    assert raw.results is not None
    assert (raw.results.columns, raw.results.rows) == (["id", "text"], [[1, "one"]])
    made = databases.create(account_id=ACCOUNT, name="other")
    assert made.uuid is not None
    databases.query(made.uuid, account_id=ACCOUNT, sql="CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    with pytest.raises(cloudflare.BadRequestError, match="exists already"):
        databases.create(account_id=ACCOUNT, name="other")
    with pytest.raises(cloudflare.BadRequestError, match='near "selec": syntax error at offset 0'):
        databases.query("n-1", account_id=ACCOUNT, sql="selec")
    databases.delete(made.uuid, account_id=ACCOUNT)
    with pytest.raises(cloudflare.NotFoundError, match="could not be found"):
        databases.get("other", account_id=ACCOUNT)


@needs_node
def test_wrangler_executes_migrates_and_exports(session: Running, wrangler: Callable[..., str], tmp_path: Path) -> None:
    def d1(*arguments: str) -> str:
        return wrangler("d1", *arguments, "--remote")

    httpx.post(f"{session.url}/", content="one")
    found = json.loads(d1("execute", "DB", "--command", "SELECT text FROM notes; SELECT 2 AS two", "--json"))
    assert [each["results"] for each in found] == [[{"text": "one"}, {"text": "one, again"}], [{"two": 2}]]
    (tmp_path / "more.sql").write_text("INSERT INTO notes (text) VALUES ('x');\nINSERT INTO notes (text) VALUES ('y');")
    assert "Executed 2 queries" in d1("execute", "notes", "--file", "more.sql", "-y")
    assert httpx.get(f"{session.url}/").json() == {"n": 4, "last": "y"}
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations/0001_tags.sql").write_text("CREATE TABLE tags (name TEXT);")
    assert "0001_tags.sql" in d1("migrations", "list", "DB")
    d1("migrations", "apply", "DB")
    assert "No migrations to apply" in d1("migrations", "list", "DB")
    d1("export", "DB", "--output", "copy.sql")
    copy = (tmp_path / "copy.sql").read_text()
    assert "CREATE TABLE tags (name TEXT);" in copy
    assert "VALUES(4,'y');" in copy


def test_migrations_that_have_not_been_applied_are_told_at_the_start(
    dev: Callable[..., Running], tmp_path: Path
) -> None:
    write_worker(tmp_path, WORKER, d1_databases=DATABASES)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations/0001_tags.sql").write_text("CREATE TABLE tags (name TEXT);")
    first = dev(tmp_path)
    told = "1 migration of DB has not been applied; `emulator d1 migrations apply DB` does it"
    assert [told in line for line in first.lines].count(True) == 1
    applied = run_emulator(tmp_path, "d1", "migrations", "apply", "DB")
    assert "Applied 1 migration" in applied.stdout
    assert first.end() == 0
    assert not any(told in line for line in dev(tmp_path).lines)
