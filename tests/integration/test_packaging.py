"""What is built of the project, and that it works where nothing else of the project is."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import Running

ROOT = Path(__file__).parents[2]
PACKAGED = {"emulator": "emulator", "runtime/emulator_runtime": "emulator_runtime", "templates": "emulator/templates"}
LEFT_BY_RUNNING = (
    "templates/python-queue/.dev.vars",
    "templates/python-queue/.dev.vars.staging",
    "templates/python-queue/.env",
    "templates/python-queue/.wrangler/state/messages",
    "templates/python-queue/.pytest_cache/README.md",
    "templates/python-queue/src/__pycache__/entry.cpython-311.pyc",
    "templates/typescript-queue/node_modules/typescript/package.json",
    "emulator/hosts/workerd/npm/node_modules/workerd/package.json",
)
"""What a checkout gets by being used, and nobody else is to see."""
NOT_OURS = shutil.ignore_patterns(
    ".git", ".venv*", "node_modules", "__pycache__", ".*_cache", ".hypothesis", "dist", "results", "site"
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout."""
    copied: Path = tmp_path_factory.mktemp("packaging") / "checkout"
    shutil.copytree(ROOT, copied, ignore=NOT_OURS)
    return copied


@pytest.fixture(scope="module")
def source(checkout: Path) -> Mapping[str, bytes]:
    """Every file that belongs into the wheel -> what it holds."""
    return {
        f"{package}/{path.relative_to(checkout / place)}": path.read_bytes()
        for place, package in PACKAGED.items()
        for path in (checkout / place).rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def built(checkout: Path, source: Mapping[str, bytes]) -> Path:
    """The directory with the wheel and the sdist, built in a checkout that was used; `source` is from before that."""
    for name in LEFT_BY_RUNNING:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("not to be given away")
    return build(checkout, checkout.parent / "built")


def build(directory: Path, to: Path, *options: str) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-d", str(to), *options, cwd=directory)
    return to


def run(*command: str, cwd: Path) -> str:
    """What the command prints. It must succeed, and sees nothing of the environment that the tests run in."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "VIRTUAL"))
    }
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_environment(directory: Path, *packages: str) -> str:
    """The Python of a new virtual environment that has `packages`, at the versions that are tested, and no others."""
    run(sys.executable, "-m", "venv", "--without-pip", str(directory), cwd=ROOT)
    python = str(directory / "bin/python")
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-qq",
        "--no-compile",
        "--disable-pip-version-check",
    )
    run(*pip, "-c", str(ROOT / "requirements-dev.txt"), *packages, cwd=ROOT)
    return python


def files_of(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_has_the_packages_and_the_templates_and_nothing_else(
    built: Path, source: Mapping[str, bytes]
) -> None:
    [wheel] = built.glob("*.whl")
    files = files_of(wheel)
    about = {name: data for name, data in files.items() if ".dist-info/" in name}
    assert {name: files[name] for name in files.keys() - about.keys()} == source
    assert {
        "emulator/py.typed",
        "emulator_runtime/py.typed",
        "emulator/templates/python-queue/src/entry.py",
    } <= files.keys()
    assert {name.partition("/")[2] for name in about} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }
    entry_points = configparser.ConfigParser()
    entry_points.read_string(next(data for name, data in about.items() if name.endswith("entry_points.txt")).decode())
    assert {name: dict(entry_points[name]) for name in entry_points.sections()} == {
        "console_scripts": {"emulator": "emulator.cli:main"},
        "pytest11": {"emulator": "emulator.testing.plugin"},
    }


def test_the_wheel_that_is_built_from_the_sdist_is_the_same(built: Path, tmp_path: Path) -> None:
    [wheel], [sdist] = built.glob("*.whl"), built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(tmp_path / "sdist", filter="data")
    assert not names.intersection(LEFT_BY_RUNNING)
    assert {"Makefile", "requirements-dev.txt", "wrangler.jsonc.example", "tests/conftest.py", "LICENSE"} <= names
    [unpacked] = (tmp_path / "sdist").iterdir()
    [rebuilt] = build(unpacked, tmp_path / "rebuilt", "-t", "wheel").iterdir()
    assert files_of(rebuilt) == files_of(wheel)


def test_a_worker_made_by_an_installed_emulator_runs_and_passes_its_tests(
    built: Path, tmp_path: Path, start: Callable[..., Running], client: httpx.Client
) -> None:
    [wheel] = built.glob("*.whl")
    python = make_environment(tmp_path / "environment", str(wheel), "pytest")
    assert "Created my-app" in run(str(tmp_path / "environment/bin/emulator"), "init", "my-app", cwd=tmp_path)
    worker = tmp_path / "my-app"
    emulator = start("dev", "-p", "0", cwd=worker, python=python).ready()
    for _ in range(10):  # A full batch does not wait for more.
        assert client.post(f"{emulator.url}/signup", data={"email": "ada@example.com"}).json() == {"ok": True}
    emulator.wait_for("QUEUE my-app-events 10/10 acked")
    assert emulator.end() == 0
    assert " passed" in run(python, "-m", "pytest", "-q", cwd=worker)


def test_an_editable_installation_takes_both_packages_and_the_templates_from_the_checkout(
    checkout: Path, tmp_path: Path
) -> None:
    [wheel] = build(checkout, tmp_path / "built", "-t", "wheel:editable").iterdir()
    python = make_environment(tmp_path / "environment", "--no-deps", str(wheel))
    program = (
        "import emulator_runtime, runpy, emulator\n"
        "print(emulator.__path__[0], emulator_runtime.__path__[0])\n"
        "path = emulator.__path__[0] + '/cli/templates.py'\n"
        "print(runpy.run_path(path)['templates_directory']())"
    )
    assert run(python, "-c", program, cwd=tmp_path).split() == [
        str(checkout / "emulator"),
        str(checkout / "runtime/emulator_runtime"),
        str(checkout / "templates"),
    ]
