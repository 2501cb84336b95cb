"""What D1 allows in SQL, how it divides it into statements, and in which words it refuses it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import apsw

MAX_SQL_BYTES: Final = 100_000
MAX_VALUE_BYTES: Final = 2_000_000
MAX_PARAMETERS: Final = 100

LIMITS: Final[Mapping[int, int]] = {
    apsw.SQLITE_LIMIT_LENGTH: MAX_VALUE_BYTES,
    apsw.SQLITE_LIMIT_SQL_LENGTH: MAX_SQL_BYTES,
    apsw.SQLITE_LIMIT_COLUMN: 100,
    apsw.SQLITE_LIMIT_EXPR_DEPTH: 100,
    apsw.SQLITE_LIMIT_COMPOUND_SELECT: 5,
    apsw.SQLITE_LIMIT_VDBE_OP: 25_000,
    apsw.SQLITE_LIMIT_FUNCTION_ARG: 32,
    apsw.SQLITE_LIMIT_ATTACHED: 0,
    apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
    apsw.SQLITE_LIMIT_VARIABLE_NUMBER: MAX_PARAMETERS,
    apsw.SQLITE_LIMIT_TRIGGER_DEPTH: 10,
}

TRANSACTIONS: Final = (
    "To execute a transaction, please use the state.storage.transaction() or state.storage.transactionSync() APIs "
    "instead of the SQL BEGIN TRANSACTION or SAVEPOINT statements. The JavaScript API is safer because it will "
    "automatically roll back on exceptions, and because it interacts correctly with Durable Objects' automatic atomic "
    "write coalescing."
)
MODULES: Final = ("fts5", "fts5vocab", "json_each", "json_tree", "rtree", "rtree_i32")
"""The kinds of virtual tables."""

NOTHING: Final = "No SQL statements detected."
WRONG_PARAMETERS: Final = "Wrong number of parameter bindings for SQL query."
TOO_LONG: Final = "statement too long: SQLITE_TOOBIG"
OVERLOADED: Final = "D1 DB is overloaded. Requests queued for too long."
TIMED_OUT: Final = "D1 DB storage operation exceeded timeout which caused object to be reset."

_PRAGMAS: Final = frozenset(
    {
        "table_list",
        "table_info",
        "table_xinfo",
        "index_list",
        "index_info",
        "index_xinfo",
        "foreign_key_list",
        "foreign_key_check",
        "foreign_keys",
        "defer_foreign_keys",
        "ignore_check_constraints",
        "legacy_alter_table",
        "recursive_triggers",
        "reverse_unordered_selects",
        "case_sensitive_like",
        "quick_check",
        "optimize",
        "data_version",
        "page_size",
    }
)
_FUNCTIONS: Final = frozenset(
    {
        "sqlite_version",
        "sqlite_source_id",
        "sqlite_compileoption_get",
        "sqlite_compileoption_used",
        "fts3_tokenizer",
        "sqlite_log",
    }
)
_INTERNAL: Final = "_cf_"
_SCHEMA_CHANGES: Final = frozenset(
    {
        apsw.SQLITE_CREATE_TABLE,
        apsw.SQLITE_CREATE_INDEX,
        apsw.SQLITE_CREATE_TRIGGER,
        apsw.SQLITE_CREATE_VIEW,
        apsw.SQLITE_CREATE_VTABLE,
        apsw.SQLITE_DROP_TABLE,
        apsw.SQLITE_DROP_INDEX,
        apsw.SQLITE_DROP_TRIGGER,
        apsw.SQLITE_DROP_VIEW,
        apsw.SQLITE_DROP_VTABLE,
        apsw.SQLITE_ALTER_TABLE,
    }
)
_NEVER: Final = frozenset(
    {
        apsw.SQLITE_ATTACH,
        apsw.SQLITE_DETACH,
        apsw.SQLITE_TRANSACTION,
        apsw.SQLITE_SAVEPOINT,
        apsw.SQLITE_CREATE_TEMP_TABLE,
        apsw.SQLITE_CREATE_TEMP_INDEX,
        apsw.SQLITE_CREATE_TEMP_TRIGGER,
        apsw.SQLITE_CREATE_TEMP_VIEW,
        apsw.SQLITE_DROP_TEMP_TABLE,
        apsw.SQLITE_DROP_TEMP_INDEX,
        apsw.SQLITE_DROP_TEMP_TRIGGER,
        apsw.SQLITE_DROP_TEMP_VIEW,
    }
)
_WRITTEN: Final = frozenset({apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE}) | _SCHEMA_CHANGES

_EMPTY: Final = re.compile(r"(?:\s|;|--[^\n]*(?:\n|$)|/\*.*?(?:\*/|$))*", re.DOTALL)


class D1Error(Exception):
    """A statement is refused or has failed, in the service's words."""


def is_allowed(action: int, first: str | None, second: str | None) -> bool:
    """Whether a statement may do this; see SQLite's documentation of `sqlite3_set_authorizer` for the arguments."""
    if action in _NEVER:
        return False
    if action == apsw.SQLITE_PRAGMA:
        return (first or "").lower() in _PRAGMAS
    if action == apsw.SQLITE_FUNCTION:
        return (second or "").lower() not in _FUNCTIONS
    return not (action in _WRITTEN and (first or "").lower().startswith(_INTERNAL))


def changes_schema(action: int) -> bool:
    """Whether a statement that does this changes tables or indexes."""
    return action in _SCHEMA_CHANGES


def statements(sql: str) -> list[str]:
    """The statements in `sql`, without those that say nothing."""
    if ";" not in sql:
        return [] if _is_empty(sql) else [sql]
    found: list[str] = []
    start = at = 0
    while (at := sql.find(";", at)) >= 0:
        at += 1
        text = sql[start:at]
        if apsw.complete(text):
            if not _is_empty(text):
                found.append(text)
            start = at
    rest = sql[start:]
    if not _is_empty(rest):
        found.append(rest)
    return found


def refusal(error: apsw.Error) -> D1Error:
    """What D1 says of an error of SQLite: `near "x": syntax error at offset 0: SQLITE_ERROR`."""
    if isinstance(error, apsw.BindingsError):
        return D1Error(WRONG_PARAMETERS)
    if isinstance(error, apsw.InterruptError):
        return D1Error(TIMED_OUT)
    message = str(error)
    offset = getattr(error, "error_offset", -1)
    if offset >= 0:
        message = f"{message} at offset {offset}"
    code, extended = getattr(error, "result", 1), getattr(error, "extendedresult", 1)
    name = apsw.mapping_result_codes.get(code, "SQLITE_ERROR")
    more = apsw.mapping_extended_result_codes.get(extended) if extended != code else None
    return D1Error(f"{message}: {name}" + (f" (extended: {more})" if more else ""))


def _is_empty(text: str) -> bool:
    return not text[:1].isalpha() and _EMPTY.fullmatch(text) is not None
