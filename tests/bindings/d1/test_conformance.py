"""One script against D1 as workers of ours see it, in both languages, and against `workerd serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import oracles
from tests.support.node_tools import javascript, needs_node  # noqa: F401 - a fixture
from tests.support.oracles import ours, workerds

HERE = Path(__file__).parent
BINDINGS = {
    "d1_databases": [
        {"binding": "DB", "database_name": "db", "database_id": "first"},
        {"binding": "OTHER", "database_name": "other", "database_id": "second"},
    ]
}

COUNTED = ("read", "written")
"""What SQLite does not count, and ours only estimates."""

SQL = [
    "create table t(a integer primary key, b text, c int)",
    "create index ib on t(b)",
    "insert into t values(1,'x',1)",
    "insert into t(b,c) values('y',2),('z',3),('w',4)",
    "select * from t",
    "select * from t where a=1",
    "select * from t where a=99",
    "select * from t where b='y'",
    "select * from t where c=3",
    "select count(*) from t",
    "select count(*) from t where c>1",
    "select max(a) from t",
    "select max(c) from t",
    "select * from t limit 1",
    "select * from t order by c limit 1",
    "update t set c=9 where a=1",
    "update t set b='q' where a=1",
    "update t set c=c+1",
    "delete from t where a=1",
    "delete from t",
    "insert into t(b) select 'n' from (select 1 union select 2)",
    "select * from t join t t2 on t.a=t2.a",
    "select 1",
    "select 1; select a from t",
    "insert into t(b) values('r') returning *",
    "create table k(k text primary key, v) without rowid",
    "insert into k values('a',1)",
    "insert or replace into k values('a',2)",
    "select * from k where k='a'",
    "create table u(id text primary key, v unique)",
    "insert into u values('a',1)",
    "insert or replace into u values('a',2)",
    "insert into u values('a',3) on conflict(id) do update set v=9",
    "select * from u where id in ('a','b')",
    "pragma table_list",
    "drop table k",
    "select typeof(?1), ?1/2",
    "select x'0102' as b, null as n, 1.5 as f, 9007199254740993 as i, 'é' as s",
    "select a, a from t",
    "select a as A, b as a from t",
    "alter table t add column d",
    "create virtual table f using fts5(x)",
    "insert into f values('hello world')",
    "select * from f where f match 'hello'",
    "select json_extract('{\"a\":[1]}','$.a[0]') as j",
    "select sqrt(4.0) as r",
    "explain query plan select * from t",
    "pragma foreign_keys",
    "pragma journal_mode",
    "pragma user_version",
    "pragma user_version=3",
    "attach 'x' as y",
    "vacuum",
    "begin",
    "commit",
    "savepoint x",
    "selec 1",
    "select * from nope",
    "select ?2",
    "select ?",
    "insert into u values('a',1)",
    "select",
    "select 'abc",
    "create temp table tt(a)",
    "select load_extension('x')",
    "pragma table_info(t)",
    "pragma table_info('u')",
    "analyze",
    "reindex",
    "select * from _cf_KV",
    "create table _cf_x(a)",
    "select 1e999, -1e999",
    "select random() is not null",
    "select current_timestamp is not null",
    "select sqlite_version()",
    "select like('a%','abc')",
    "select 'x' like 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'",
    "insert into t(c) values ('txt')",
    "insert into t(a) values ('txt')",
    "select abs(-9223372036854775808)",
    "-- nothing",
    "",
    " ;; ",
    "select 1;",
    "select 1; -- x",
    "insert into t(b) values('p');insert into t(b) values('p2');select count(*) from t",
    "pragma defer_foreign_keys=on",
    "pragma writable_schema=on",
    "pragma optimize",
    "pragma page_size",
    "pragma function_list",
    "pragma quick_check",
    "pragma foreign_key_check",
    "pragma case_sensitive_like=on",
    "pragma compile_options",
    "select * from pragma_table_info('t')",
    "select * from generate_series(1,3)",
    "select * from json_each('[1,2]')",
    "select :n",
    "select @n",
    "select $n",
    "select ?3, ?1",
    "values(1),(2)",
    "with recursive c(x) as (select 1 union all select x+1 from c where x<1000) select count(*) from c",
    "drop table nope",
    "create table t(a)",
    "select unixepoch() is not null",
    "select printf('%d',3)",
    "detach main",
    "create trigger tr after insert on u begin insert into t(b) values('tr'); end",
    "insert into u values('tt',77)",
]
"""Statements, in order; `?1` is 1."""

LONG_SQL = [
    "create virtual table r using rtree(a, b, c)",
    "select * from dbstat",
    "select * from sqlite_dbpage",
    "select * from fts5vocab('f', 'row')",
    "create virtual table v using fts5vocab('f', 'row')",
    "select term from v",
    f"select {', '.join(f'1 as c{number}' for number in range(101))}",
    f"create table wide ({', '.join(f'c{number}' for number in range(101))})",
    f"select '{'x' * 100_000}'",
    f"select {' union all select '.join('123456')}",
    f"select {' + '.join('1' * 101)}",
    f"insert into t(b) values {', '.join(['(1)'] * 50)}",
]

COUNTED_EXACTLY = {
    "select * from t",
    "select * from t where a=1",
    "select * from t where c=3",
    "select count(*) from t",
    "select count(*) from t where c>1",
    "select * from t limit 1",
    "insert into t(b,c) values('y',2),('z',3),('w',4)",
    "update t set c=9 where a=1",
    "update t set b='q' where a=1",
    "update t set c=c+1",
    "delete from t where a=1",
    "insert into t(b) values('r') returning *",
    "insert into u values('a',1)",
    "insert into u values('a',3) on conflict(id) do update set v=9",
    "insert into u values('tt',77)",
    "select 1",
}
"""Statements of which ours counts what workerd counts."""

OTHERWISE: dict[str, dict[str, object]] = {
    "drop table k": {"changed": False},  # the size stays: there is no automatic vacuum
    "insert into f values('hello world')": {"changes": 7},  # rows of tables that are FTS5's own
}
"""Statements whose results differ, and how."""


def asked() -> list[tuple[str, list[int]]]:
    return [(sql, [1] if "?1" in sql and "?3" not in sql else []) for sql in [*SQL, *LONG_SQL]]


def project(directory: Path, script: str) -> Path:
    return oracles.project(directory, HERE / script, BINDINGS)


def without_counters(result: Any) -> Any:
    return result if isinstance(result, str) else {name: each for name, each in result.items() if name not in COUNTED}


@needs_node
@pytest.mark.usefixtures("javascript")
def test_javascript_sees_what_workerd_shows(tmp_path: Path) -> None:
    ours_there = ours(project(tmp_path / "js", "script.js"), asked())
    theirs = workerds(project(tmp_path / "workerd", "script.js"), asked())
    for (sql, _), mine, expected in zip(asked(), ours_there["queries"], theirs["queries"], strict=True):
        if sql in COUNTED_EXACTLY:
            assert mine == expected, sql
        elif sql in OTHERWISE:
            assert without_counters(mine) == {**without_counters(expected), **OTHERWISE[sql]}, sql
        else:
            assert without_counters(mine) == without_counters(expected), sql
    assert ours_there["results"] == theirs["results"]


@needs_node
@pytest.mark.usefixtures("javascript")
def test_python_sees_what_javascript_does(tmp_path: Path) -> None:
    in_javascript = ours(project(tmp_path / "js", "script.js"), asked())
    in_python = ours(project(tmp_path / "py", "script.py.txt"), asked())
    for (sql, _), mine, expected in zip(asked(), in_python["queries"], in_javascript["queries"], strict=True):
        assert mine == expected, sql
    assert in_python["results"] == in_javascript["results"]
