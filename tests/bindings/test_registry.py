"""What holds for all binding kinds together."""

from __future__ import annotations

import re

from emulator.bindings.registry import KINDS


def test_kinds_have_names_of_their_own_that_fit_into_an_address() -> None:
    names = [kind.name for kind in KINDS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z_][a-z0-9_]*", name) for name in names)


def test_no_two_kinds_read_one_key() -> None:
    keys = [key for kind in KINDS for key in kind.keys]
    assert len(set(keys)) == len(keys)
