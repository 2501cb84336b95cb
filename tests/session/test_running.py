"""The registry of running sessions: who may read it, what is stale, and which session a command means."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.base.errors import EmulatorError
from emulator.session.running import Running, choose, groups_of, reachable, register, running_sessions


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sessions are registered in a test."""
    (tmp_path / "run").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    return tmp_path / "run" / "emulator"


def session(url: str = "http://127.0.0.1:8787", pid: int | None = None, *configs: str) -> Running:
    return Running(url, os.getpid() if pid is None else pid, 1_800_000_000.0, configs, "secret")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_registered_session_is_found_until_its_file_is_gone() -> None:
    path = register(session())
    assert running_sessions() == [session()]
    path.unlink()
    assert running_sessions() == []


def test_only_the_owner_can_read_it(directory: Path) -> None:
    previous = os.umask(0)
    try:
        path = register(session())
    finally:
        os.umask(previous)
    assert path == directory / f"{os.getpid()}.json"
    assert (mode(directory), mode(path)) == (0o700, 0o600)
    assert list(directory.iterdir()) == [path]


def test_a_directory_that_others_can_enter_is_closed_when_writing_and_not_read_before(directory: Path) -> None:
    register(session())
    directory.chmod(0o755)
    assert running_sessions() == []
    register(session())
    assert mode(directory) == 0o700
    assert running_sessions() == [session()]


def test_a_link_in_place_of_the_directory_is_refused(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(0o700)
    directory.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="not a directory that you own"):
        register(session())
    assert running_sessions() == []


def test_the_files_of_dead_processes_are_removed(directory: Path) -> None:
    stale = register(session(pid=dead_pid()))
    alive = register(session())
    assert running_sessions() == [session()]
    assert (stale.exists(), alive.exists()) == (False, True)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_process_that_was_killed_is_dead_before_its_parent_has_noticed() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        register(session(pid=process.pid))
        assert len(running_sessions()) == 1
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert running_sessions() == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"url": 1}', b"\xff", b"[]"])
def test_a_file_that_makes_no_sense_is_ignored(directory: Path, content: bytes) -> None:
    path = register(session())
    path.write_bytes(content)
    assert running_sessions() == []


def test_a_file_that_others_can_read_is_ignored() -> None:
    register(session()).chmod(0o644)
    assert running_sessions() == []


def test_without_a_runtime_directory_it_is_below_the_temporary_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    path = register(session())
    assert path.parent == tmp_path / "tmp" / f"emulator-{os.getuid()}"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    assert running_sessions() == [session()]


def test_the_session_nearest_above_the_working_directory_is_meant() -> None:
    outer = session("http://127.0.0.1:1", 1, "/projects/wrangler.jsonc")
    inner = session("http://127.0.0.1:2", 2, "/other/wrangler.jsonc", "/projects/web/wrangler.jsonc")
    for directory, meant in (
        ("/projects/web/src", inner),
        ("/projects/web", inner),
        ("/projects/jobs", outer),
        ("/other", inner),
    ):
        assert choose([outer, inner], Path(directory)) == meant
    assert choose([outer], Path("/elsewhere")) == outer


def test_it_is_an_error_when_none_is_meant_or_several_could_be() -> None:
    with pytest.raises(EmulatorError, match="start one with `emulator dev`"):
        choose([], Path("/projects"))
    two = [session(f"http://127.0.0.1:{pid}", pid, "/projects/wrangler.jsonc") for pid in (1, 2)]
    for directory in ("/projects", "/elsewhere"):
        with pytest.raises(EmulatorError) as error:
            choose(two, Path(directory))
        assert "http://127.0.0.1:1  /projects/wrangler.jsonc\n" in str(error.value)
        assert "--url" in str(error.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://0.0.0.0:8787", "http://127.0.0.1:8787"),
        ("http://[::]:8787", "http://[::1]:8787"),
        ("http://192.168.0.7:8787", "http://192.168.0.7:8787"),
    ],
)
def test_a_session_bound_to_every_address_is_asked_on_the_loopback_one(url: str, expected: str) -> None:
    assert reachable(url) == expected


def test_sessions_of_one_repository_belong_together(tmp_path: Path) -> None:
    (tmp_path / "shop/.git").mkdir(parents=True)
    (tmp_path / "worktree").mkdir()
    (tmp_path / "worktree/.git").write_text("gitdir: elsewhere")
    web, jobs = tmp_path / "shop/web/wrangler.jsonc", tmp_path / "shop/deep/er/wrangler.jsonc"
    other, loose = tmp_path / "worktree/wrangler.jsonc", tmp_path / "loose/wrangler.jsonc"
    sessions = [
        Running("http://localhost:1", 1, 0.0, groups=groups_of([path]))
        for path in (web, jobs, other, loose, loose.parent / "other.jsonc")
    ]
    pairs = {(a, b) for a in range(5) for b in range(a + 1, 5) if sessions[a].belongs_to(sessions[b])}
    assert pairs == {(0, 1), (3, 4)}


def test_sessions_belong_together_by_name(tmp_path: Path) -> None:
    one, two, three = (
        Running("http://localhost:1", 1, 0.0, groups=groups_of([tmp_path / name / "wrangler.jsonc"], share))
        for name, share in (("a", "shop"), ("b", "shop"), ("c", None))
    )
    assert one.belongs_to(two)
    assert not one.belongs_to(three)
    assert not Running("http://localhost:1", 1, 0.0).belongs_to(Running("http://localhost:2", 2, 0.0))
