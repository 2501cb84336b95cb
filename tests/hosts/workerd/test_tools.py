"""Where workerd and esbuild are looked for, and what is said when they are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.base.errors import EmulatorError
from emulator.hosts.workerd import tools
from emulator.hosts.workerd.tools import cache_directory, find_esbuild, find_package, find_workerd, installed_in

WORKERD = "@cloudflare/workerd-linux-64/bin/workerd"
ESBUILD = "@esbuild/linux-x64/bin/esbuild"


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EMULATOR_WORKERD", "EMULATOR_ESBUILD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(tools, "_platform", lambda: ("linux", "x86_64"))
    monkeypatch.setattr("sys.platform", "linux")


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    directory = tmp_path / "project/packages/worker"
    directory.mkdir(parents=True)
    return directory


def program(path: Path, content: bytes = b"\x7fELF") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def package(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "package.json").write_text("{}")
    return path


def test_the_variable_comes_first(worker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(worker / "node_modules" / WORKERD)
    named = program(tmp_path / "named")
    monkeypatch.setenv("EMULATOR_WORKERD", str(named))
    assert find_workerd(worker) == named


@pytest.mark.parametrize(
    ("make", "said"),
    [(False, "which does not exist"), (True, "is not executable")],
    ids=["missing", "not executable"],
)
def test_a_variable_that_names_no_program_is_refused(
    worker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: bool, said: str
) -> None:
    path = tmp_path / "named"
    if make:
        program(path).chmod(0o644)
    monkeypatch.setenv("EMULATOR_ESBUILD", str(path))
    with pytest.raises(EmulatorError, match=f"EMULATOR_ESBUILD names {path}, .*{said}"):
        find_esbuild(worker)


@pytest.mark.parametrize(
    "place",
    [
        "packages/worker/node_modules",
        "packages/node_modules",
        "node_modules",
        "node_modules/wrangler/node_modules",
        "node_modules/workerd/node_modules",
        "node_modules/.pnpm/@cloudflare+workerd-linux-64@1.20260426.1/node_modules",
    ],
)
def test_node_modules_are_looked_into_from_the_worker_upwards(worker: Path, tmp_path: Path, place: str) -> None:
    installed = program(tmp_path / "project" / place / WORKERD)
    assert find_workerd(worker) == installed


def test_of_several_in_the_store_of_pnpm_the_newest_is_taken(worker: Path) -> None:
    store = worker / "node_modules/.pnpm"
    program(store / f"@cloudflare+workerd-linux-64@1.20250909.0/node_modules/{WORKERD}")
    newest = program(store / f"@cloudflare+workerd-linux-64@1.20260426.1/node_modules/{WORKERD}")
    assert find_workerd(worker) == newest


def test_the_nearest_comes_before_the_cache_and_that_before_the_path(worker: Path, tmp_path: Path) -> None:
    on_path = program(tmp_path / "bin/esbuild")
    assert find_esbuild(worker) == on_path
    cached = program(cache_directory() / "node_modules" / ESBUILD)
    assert find_esbuild(worker) == cached
    own = program(worker / "node_modules" / ESBUILD)
    assert find_esbuild(worker) == own


def test_a_script_that_needs_node_is_passed_over(worker: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin/workerd", b"#!/usr/bin/env node")
    with pytest.raises(EmulatorError, match="is not installed"):
        find_workerd(worker)


def test_what_is_not_there_is_a_sentence_and_what_to_do(worker: Path) -> None:
    with pytest.raises(EmulatorError) as raised:
        find_workerd(worker)
    assert raised.value.message == "workerd, which runs JavaScript workers, is not installed"
    assert "emulator install-js" in raised.value.hint


def test_a_package_for_another_platform_is_named(worker: Path) -> None:
    program(worker / "node_modules/@cloudflare/workerd-darwin-arm64/bin/workerd")
    with pytest.raises(EmulatorError, match=r"has workerd for another platform only .*darwin-arm64.*needs @cloudflare"):
        find_workerd(worker)


def test_a_platform_that_there_is_none_for(worker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "_platform", lambda: ("linux", "riscv64"))
    with pytest.raises(EmulatorError, match="is not available for linux on riscv64"):
        find_workerd(worker)


def test_installed_means_both_and_the_packages(worker: Path) -> None:
    program(worker / "node_modules" / WORKERD)
    program(worker / "node_modules" / ESBUILD)
    assert not installed_in(worker)
    for name in ("@cloudflare/unenv-preset", "unenv"):
        package(worker / "node_modules" / name)
    assert installed_in(worker)
    (worker / "node_modules" / WORKERD).unlink()
    assert not installed_in(worker)


@pytest.mark.parametrize(
    ("places", "found"),
    [
        (["project/node_modules/unenv", "project/packages/node_modules/unenv"], 1),
        (["project/node_modules/wrangler/node_modules/unenv"], 0),
        (
            [
                "project/node_modules/.pnpm/unenv@2.0.0-rc.9/node_modules/unenv",
                "project/node_modules/.pnpm/unenv@2.0.0-rc.24/node_modules/unenv",
            ],
            1,
        ),
        (["cache/emulator/CACHE/node_modules/unenv"], 0),
        (["elsewhere/node_modules/unenv"], None),
    ],
)
def test_a_package_is_found_where_the_programs_are(
    worker: Path, tmp_path: Path, places: list[str], found: int | None
) -> None:
    packages = [package(tmp_path / place.replace("CACHE", cache_directory().name)) for place in places]
    assert find_package("unenv", worker) == (None if found is None else packages[found])
