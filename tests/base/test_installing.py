"""The command that installs a package, in each kind of environment that an emulator may run in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from emulator.base import installing
from emulator.base.installing import install_command, package_of


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without pip, as uv and pipx make them."""
    made = tmp_path / "venvs/workers-emulator"
    made.mkdir(parents=True)
    use(made, monkeypatch)
    monkeypatch.setattr(installing, "find_spec", lambda _name: None)
    for name in ("UV", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    return made


def use(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(environment))
    monkeypatch.setattr(sys, "executable", str(environment / "bin/python"))


def test_pip_of_this_python_where_there_is_one(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing, "find_spec", lambda name: name if name == "pip" else None)
    assert install_command("tzdata") == f"{environment}/bin/python -m pip install tzdata"


def test_uv_for_this_python_where_there_is_no_pip(environment: Path) -> None:
    assert install_command("tzdata>=2026.1") == f"uv pip install --python {environment}/bin/python 'tzdata>=2026.1'"


def test_the_project_that_uv_made_the_environment_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / "uv.lock").touch()
    use(tmp_path / ".venv", monkeypatch)
    assert install_command("tzdata") == "uv add tzdata"


def test_uv_run_with(environment: Path) -> None:
    (environment / "pyvenv.cfg").write_text("uv = 0.13.9\nextends-environment = /home/me/shop/.venv\n")
    assert install_command("tzdata") == "uv run --with tzdata ..."


def test_uvx(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV", "/home/me/.local/bin/uv")
    assert install_command("tzdata") == "uvx --with tzdata ..."
    monkeypatch.setenv("VIRTUAL_ENV", str(environment))
    assert install_command("tzdata").startswith("uv pip install"), "uv run sets it, uvx does not"


def test_a_tool_that_uv_installed(environment: Path) -> None:
    (environment / "uv-receipt.toml").touch()
    assert install_command("tzdata") == "uv tool install --with tzdata workers-emulator"


def test_pipx(environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (environment / "pipx_metadata.json").touch()
    assert install_command("tzdata") == "pipx inject workers-emulator tzdata"
    temporary = tmp_path / ".cache/4efb67f6"
    temporary.mkdir(parents=True)
    (temporary / "pipx_metadata.json").touch()
    use(temporary, monkeypatch)
    assert install_command("tzdata") == "pipx run --with tzdata ..."


def test_a_package_whose_module_has_another_name() -> None:
    assert [package_of(module) for module in ("yaml", "PIL", "numpy")] == ["pyyaml", "pillow", "numpy"]
