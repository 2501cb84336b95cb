"""Watching files where the system does not let us: too many files are open, or too many are watched."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from emulator.bindings.assets.kind import ASSETS
from emulator.session import watch
from emulator.session.watch import Change, Watcher
from tests.integration.conftest import write_worker
from tests.support.configs import load_config


class Trouble:
    """Lets `watchfiles` and, when asked to, every look into a directory fail for want of file descriptors."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import watchfiles

        self.watching = 0
        self._monkeypatch = monkeypatch
        self._awatch = watchfiles.awatch
        self._scandir = os.scandir
        self.is_on = True
        self.blinds = False
        self.looks = asyncio.Event()
        monkeypatch.setattr(watchfiles, "awatch", self.awatch)
        monkeypatch.setattr(os, "scandir", self.scandir)
        monkeypatch.setattr(watch, "POLL_SECONDS", 0.01)
        monkeypatch.setattr(watch, "DEFER_SECONDS", 0.0)

    async def awatch(self, *paths: Path, **options: Any) -> AsyncIterator[Any]:
        if self.is_on:
            raise OSError(errno.EMFILE, "Too many open files")
        self.watching += 1
        async for notification in self._awatch(*paths, **options):
            yield notification

    def scandir(self, path: Any) -> Any:
        self.looks.set()
        if self.blinds:
            self._fail()
        return self._scandir(path)

    @staticmethod
    def _fail() -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Trouble:
    return Trouble(monkeypatch)


async def _next(changes: AsyncIterator[list[Change]]) -> list[Change]:
    return await asyncio.wait_for(anext(changes), 10)


async def test_what_is_saved_while_nothing_can_be_watched_is_noticed(tmp_path: Path, trouble: Trouble) -> None:
    entry = write_worker(tmp_path, "def fetch(): ...")
    config = load_config(tmp_path / "wrangler.jsonc")
    told: list[str] = []
    watcher = Watcher(lambda: [config], on_trouble=told.append)
    changes = watcher.changes()
    entry.write_text("def fetch(): 1")
    assert [change.files for change in await _next(changes)] == [[entry]]
    entry.write_text("def fetch(): 22")
    assert [change.files for change in await _next(changes)] == [[entry]]
    assert told == [
        "Changed files are noticed up to a second late, because they cannot be watched: too many open files"
    ]
    trouble.is_on = False
    entry.write_text("def fetch(): 333")
    assert [change.files for change in await _next(changes)] == [[entry]]
    entry.write_text("def fetch(): 4444")
    assert [change.files for change in await _next(changes)] == [[entry]]
    assert trouble.watching == 1
    await changes.aclose()


async def test_a_directory_that_cannot_be_opened_is_not_taken_for_empty(tmp_path: Path, trouble: Trouble) -> None:
    entry = write_worker(tmp_path, "def fetch(): ...")
    config = load_config(tmp_path / "wrangler.jsonc")
    watcher = Watcher(lambda: [config])
    trouble.blinds = True
    changes = watcher.changes()
    coming = asyncio.ensure_future(_next(changes))
    for _ in range(3):
        trouble.looks.clear()
        await asyncio.wait_for(trouble.looks.wait(), 10)
    assert not coming.done()
    trouble.blinds = trouble.is_on = False
    entry.write_text("def fetch(): 1")
    assert [change.files for change in await coming] == [[entry]]
    await changes.aclose()


async def test_an_input_that_becomes_known_is_not_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "DEFER_SECONDS", 0.0)
    entry = write_worker(tmp_path / "app", "def fetch(): ...")
    config = load_config(tmp_path / "app/wrangler.jsonc")
    shared = tmp_path / "tsconfig.json"
    shared.write_text("{}")
    os.utime(shared, (1_000, 1_000))
    inputs: list[Path] = []
    watcher = Watcher(lambda: [config], files=lambda _config: inputs)
    inputs.append(shared)  # as the worker's code is loaded
    assert watcher._look() == []
    shared.write_text('{"compilerOptions": {}}')
    [change] = watcher._look()
    assert change.files == [shared]
    late = tmp_path / "late.json"
    late.write_text("{}")
    inputs.append(late)
    [change] = watcher._look()
    assert change.files == [late], "it was written after the last look, so perhaps after it was read"
    assert entry.is_file()


@pytest.fixture
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of assets beside a worker's code, which does not exist yet."""
    monkeypatch.setattr(watch, "DEFER_SECONDS", 0.0)
    write_worker(tmp_path, "def fetch(): ...", assets={"directory": "src/dist"})
    return tmp_path / "src/dist"


def watcher_of(tmp_path: Path, *, watches_served: bool) -> Watcher:
    config = load_config(tmp_path / "wrangler.jsonc")
    return Watcher(lambda: [config], served=lambda worker: list(ASSETS.served(worker)), watches_served=watches_served)


async def test_assets_are_watched_whatever_their_names_and_reload_nothing(tmp_path: Path, dist: Path) -> None:
    watcher = watcher_of(tmp_path, watches_served=True)
    changes = watcher.changes()

    async def write(name: str, content: str) -> None:
        path = dist / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        while watcher._seen.files.get(path, (0, -1, 0))[1] != len(content):
            [change] = await _next(changes)
            assert (change.files, change.configuration) == ([], False)

    for _ in range(2):
        await write("build/page.html", "1")
        await write("build/page.html", "by now it is watched")
        # A finished directory takes the place of another.
        shutil.copytree(dist / "build", tmp_path / "staged")
        (tmp_path / "staged/page.html").write_text("made elsewhere")
        (dist / "build").rename(tmp_path / "old")
        (tmp_path / "staged").rename(dist / "build")
        shutil.rmtree(tmp_path / "old")
        [change] = await _next(changes)
        assert change.served == [dist / "build/page.html"]
        await write("build/page.html", "so is the other one")
        await write(".well-known/x", "22")
        await write("node_modules/logo.png", "333")
        # A command may begin with an empty directory.
        shutil.rmtree(dist / "build")
        await write("build/page.html", "4444")
        await write("build/page.html", "55555")
        shutil.rmtree(dist)
    await changes.aclose()


def test_assets_among_code_reload_nothing_where_no_page_listens(tmp_path: Path, dist: Path) -> None:
    dist.mkdir()
    watcher = watcher_of(tmp_path, watches_served=False)
    (dist / "index.html").write_text("1")
    assert watcher._look() == []
    (dist.parent / "more.html").write_text("1")
    [change] = watcher._look()
    assert (change.files, change.served) == ([dist.parent / "more.html"], [])
    assert dist not in watcher._seen.directories


def test_code_in_the_directory_of_assets_is_code(tmp_path: Path) -> None:
    entry = write_worker(tmp_path, "def fetch(): ...", assets={"directory": "."})
    watcher = watcher_of(tmp_path, watches_served=False)
    entry.write_text("def fetch(): 1")
    [change] = watcher._look()
    assert change.files == [entry]
