"""The configurations that `emulator dev` runs, and when it loads a save: at once if it is good, later if it may be half
written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from emulator.base.errors import ConfigError, EmulatorError
from emulator.base.failure import Failure
from emulator.bindings.vars.kind import VARS
from emulator.config.model import WorkerConfig
from emulator.server import serving
from emulator.server.serving import ServingOptions
from emulator.session.watch import Change

BROKEN = Failure("SyntaxError", "unexpected end", (), "SyntaxError: unexpected end")


class Saves:
    """A watcher and a session for one worker: what is saved is tried, and loads unless the file says `broken`."""

    def __init__(self, directory: Path) -> None:
        self.config = WorkerConfig("shop", directory / "wrangler.jsonc", directory / "entry.py")
        self.configs = [self.config]
        self.done: list[tuple[str, Sequence[str]]] = []
        self._changes = asyncio.Queue[list[Change]]()
        self._news = asyncio.Event()

    def save(self, text: str, name: str = "entry.py") -> None:
        path = self.config.path.parent / name
        path.write_text(text)
        self._changes.put_nowait([Change(self.config, [path], False)])

    async def changes(self) -> AsyncGenerator[list[Change], None]:
        while True:
            yield await self._changes.get()

    async def try_reload(self, _index: int, files: Sequence[str]) -> Failure | None:
        failure = BROKEN if "broken" in self.config.main.read_text() else None
        self._note("loaded" if failure is None else "did not load", files)
        return failure

    async def reload(self, _index: int, files: Sequence[str]) -> None:
        self._note("loaded after a while", files)

    def fail(self, _index: int, failure: Failure, files: Sequence[str]) -> None:
        assert failure is BROKEN
        self._note("failed", files)

    def _note(self, what: str, files: Sequence[str]) -> None:
        self.done.append((what, list(files)))
        self._news.set()

    async def until(self, count: int) -> list[tuple[str, Sequence[str]]]:
        """What has been done, once that is `count` things."""
        async with asyncio.timeout(10):
            while len(self.done) < count:
                self._news.clear()
                await self._news.wait()
        return self.done

    @asynccontextmanager
    async def acted_on(self) -> AsyncIterator[None]:
        """Act on saves meanwhile."""
        session: Any = self
        acting = asyncio.ensure_future(serving._reload_on_change(session, ServingOptions(), session))
        try:
            yield
        finally:
            acting.cancel()
            with suppress(asyncio.CancelledError):
                await acting


@pytest.fixture
def saves(tmp_path: Path) -> Saves:
    return Saves(tmp_path)


async def test_a_good_save_is_loaded_at_once(saves: Saves, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "STILL_SECONDS", 60)
    async with saves.acted_on():
        saves.save("good")
        assert await saves.until(1) == [("loaded", ["entry.py"])]


async def test_a_save_that_is_finished_later_never_fails(saves: Saves, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "STILL_SECONDS", 60)
    async with saves.acted_on():
        saves.save("broken: half of")
        await saves.until(1)
        saves.save("x", "helper.py")
        await saves.until(2)
        saves.save("good")
        assert await saves.until(3) == [
            ("did not load", ["entry.py"]),
            ("did not load", ["entry.py", "helper.py"]),
            ("loaded", ["entry.py", "helper.py"]),
        ]


async def test_what_does_not_load_and_stays_so_fails_without_a_second_try(
    saves: Saves, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "STILL_SECONDS", 0.01)
    async with saves.acted_on():
        saves.save("broken")
        assert await saves.until(2) == [("did not load", ["entry.py"]), ("failed", ["entry.py"])]


async def test_an_empty_file_is_not_tried_before_it_has_stayed_so(
    saves: Saves, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "STILL_SECONDS", 0.01)
    async with saves.acted_on():
        saves.save("")
        assert await saves.until(1) == [("loaded after a while", ["entry.py"])]


async def test_an_empty_file_that_is_filled_is_loaded_once(saves: Saves, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "STILL_SECONDS", 60)
    async with saves.acted_on():
        saves.save("")
        await asyncio.sleep(0)
        saves.save("good")
        assert await saves.until(1) == [("loaded", ["entry.py"])]


def project(directory: Path, name: str, extra: str = "") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "entry.py").write_text("")
    path = directory / "wrangler.jsonc"
    date = '"compatibility_date": "2026-01-31"'
    path.write_text(f'{{"name": "{name}", "main": "entry.py", {date}{extra}}}')
    return path


def test_without_a_path_the_configuration_of_the_working_directory_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path, "here")
    monkeypatch.chdir(tmp_path)
    assert [config.name for config in ServingOptions().read_all()] == ["here"]


def test_without_a_path_and_a_configuration_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EmulatorError, match=r"there is no wrangler\.jsonc"):
        ServingOptions().read_all()


def test_several_configurations_are_read_in_order(tmp_path: Path) -> None:
    paths = (project(tmp_path / "b", "b"), project(tmp_path / "a", "a"))
    assert [config.name for config in ServingOptions(paths).read_all()] == ["b", "a"]


def test_environment_and_variables_apply_to_every_configuration(tmp_path: Path) -> None:
    environment = ', "env": {"staging": {"vars": {"COLOR": "red", "SIZE": 1}}}'
    paths = tuple(project(tmp_path / name, name, environment) for name in ("a", "b"))
    configs = ServingOptions(paths, "staging", {"COLOR": "blue"}).read_all()
    assert [config.name for config in configs] == ["a-staging", "b-staging"]
    assert [VARS.bindings(config) for config in configs] == [{"COLOR": "blue", "SIZE": 1}] * 2


def test_a_mistake_in_any_configuration_is_an_error(tmp_path: Path) -> None:
    paths = (project(tmp_path / "a", "a"), project(tmp_path / "b", "b", ', "limits": {"cpu_ms": 0}'))
    with pytest.raises(ConfigError, match=r"b/wrangler\.jsonc.*limits\.cpu_ms"):
        ServingOptions(paths).read_all()
