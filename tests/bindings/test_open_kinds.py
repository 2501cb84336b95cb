"""The open kinds of a session: which kind provides a name, and what workers in both languages get."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from emulator.base.bus import Bus
from emulator.base.clock import VirtualClock
from emulator.bindings.kind import Resources
from emulator.bindings.open_kinds import OpenKinds, in_force
from emulator.bindings.registry import KINDS
from emulator.bindings.secrets.kind import SECRETS
from emulator.bindings.vars.kind import VARS
from emulator.storage.state import State
from tests.support.configs import make_config


def config(tmp_path: Path) -> Any:
    path = tmp_path / "wrangler.jsonc"
    return make_config("shop", path, tmp_path / "entry.py", vars={"A": 1, "B": 2}, secrets={"A": "hidden"})


def opened(doubles: dict[str, str] | None = None) -> OpenKinds:
    return OpenKinds(KINDS, Resources(cast("Any", None), Bus(), VirtualClock(), State()), doubles)


def test_the_later_of_two_kinds_provides_a_name(tmp_path: Path) -> None:
    provided = {kind: bindings for kind, bindings in in_force(KINDS, config(tmp_path)) if bindings}
    assert provided == {VARS: {"B": 2}, SECRETS: {"A": "hidden"}}


def test_env_has_the_bindings_in_force_and_doubles_replace_them(tmp_path: Path) -> None:
    env = opened({"B": "double", "C": "new"}).env(config(tmp_path))
    assert (env.A, env.B, env.C) == ("hidden", "double", "new")


def test_the_error_about_an_undeclared_name_says_how_to_declare_each_kind(tmp_path: Path) -> None:
    with pytest.raises(AttributeError) as caught:
        _ = opened().env(config(tmp_path)).MISSING
    text = str(caught.value)
    assert text.startswith("env.MISSING is not declared in wrangler.jsonc, which declares: A, B. ")
    assert 'A variable goes under "vars", a secret into .dev.vars, a queue under "queues.producers"' in text


def test_a_javascript_worker_gets_a_wiring_for_each_binding(tmp_path: Path) -> None:
    wirings = opened().wirings(config(tmp_path))
    bound = sorted((kind, wiring.name) for kind, wiring in wirings if wiring.binding)
    assert bound == [("secret", "A"), ("var", "B")]
