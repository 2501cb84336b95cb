"""Service bindings: how they are read, and what a Python worker gets, which cannot call them yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.bindings.service.kind import SERVICES, ServiceBinding
from emulator_runtime.errors import NotEmulatedError
from tests.bindings.test_env import make
from tests.config.project import assert_warnings, wrap

ENTRY = '{"binding": "AUTH", "service": "auth", "entrypoint": "Admin", "props": {"a": 1}}'


def test_a_javascript_worker_has_them(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/index.js").touch()
    text = wrap(f'"services": [{ENTRY}]').replace("entry.py", "index.js")
    config = assert_warnings(tmp_path, text, [])
    assert SERVICES.bindings(config) == {"AUTH": ServiceBinding("AUTH", "auth", "Admin", {"a": 1})}


def test_a_python_worker_is_warned_of_them(tmp_path: Path) -> None:
    text = wrap(f'▶"services": [{ENTRY}, {{"binding": "MAIL", "service": "mailer"}}]')
    expected = "services: is not emulated yet for Python workers: using env.AUTH, env.MAIL raises an error"
    assert_warnings(tmp_path, text, [expected])


def test_what_is_said_about_a_service_and_not_emulated_is_a_warning(tmp_path: Path) -> None:
    entry = ENTRY.replace("}}", '}, ▶"remote": true, "environment": "x"}')
    (tmp_path / "src").mkdir()
    (tmp_path / "src/index.js").touch()
    expected = ["services[0].remote: is not emulated: the worker is a local one"]
    assert_warnings(tmp_path, wrap(f'"services": [{entry}]').replace("entry.py", "index.js"), expected)


def test_using_one_in_a_python_worker_raises_an_error_that_names_it() -> None:
    env, _ = make(services=(ServiceBinding("AUTH", "auth"),))
    with pytest.raises(NotEmulatedError, match=r"env\.AUTH \(services in wrangler\.jsonc\) is not emulated yet"):
        env.AUTH.fetch("http://auth/")
