"""The tables of keys that wrangler knows."""

from __future__ import annotations

from emulator.config import reading, wrangler_keys


def test_every_key_has_one_place_in_the_tables() -> None:
    read = set(reading.TOP_LEVEL_KEYS)
    tables = [read, set(wrangler_keys.BINDINGS), set(wrangler_keys.NOT_EMULATED), set(wrangler_keys.DEPLOYMENT)]
    known = set().union(*tables)
    assert sum(map(len, tables)) == len(known)
    assert known >= wrangler_keys.TOP_LEVEL_ONLY | wrangler_keys.INHERITED_UNREAD | wrangler_keys.NOT_INHERITED
    assert not wrangler_keys.NOT_INHERITED & wrangler_keys.INHERITED_UNREAD
