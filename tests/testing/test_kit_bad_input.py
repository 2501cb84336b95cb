"""What is given wrongly is answered with a sentence that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulator.base.errors import ConfigError, EmulatorError, WorkerLoadError
from emulator.testing import Emulator
from tests.testing.kit_workers import ACKS, QUEUES, worker


def opening(**arguments: Any) -> str:
    with pytest.raises(EmulatorError) as info, Emulator(**arguments):
        pass
    return str(info.value)


def test_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no wrangler.jsonc, wrangler.json or wrangler.toml here" in opening()
    assert 'Emulator("path/wrangler.jsonc")' in opening()
    assert opening(config="other.jsonc").startswith("other.jsonc: there is no such file\n  Name one with Emulator(")
    assert "config=[]" in opening(config=[])
    (tmp_path / "empty").mkdir()
    assert opening(config=tmp_path / "empty").startswith("empty: there is no wrangler.jsonc")


def test_a_broken_configuration_points_at_the_line(tmp_path: Path) -> None:
    (tmp_path / "wrangler.jsonc").write_text('{\n  "name": "shop",\n  "main": "entry.py",\n  "queues": []\n}')
    assert "wrangler.jsonc:4:13: queues: must be" in opening(config=tmp_path)
    assert "entry.py" in opening(config=tmp_path)


def test_a_configuration_finds_its_directory_and_several_go_together(tmp_path: Path) -> None:
    (tmp_path / "entry.py").write_text("def on_fetch(): pass")
    (tmp_path / "wrangler.jsonc").write_text('{"name": "shop", "main": "entry.py", "compatibility_date": "2026-11-01"}')
    with Emulator(tmp_path) as emulator:
        assert "shop" in repr(emulator)
    assert "shop" in opening(config=[tmp_path, tmp_path])


def test_a_configuration_in_code_is_checked_and_named_as_such() -> None:
    with (
        pytest.raises(ConfigError) as info,
        Emulator(main=ACKS, queues={"consumers": [{"queue": "jobs", "max_retries": 101}]}),
    ):
        pass
    assert str(info.value).startswith("Emulator(main=...): queues.consumers[0].max_retries: ")
    assert "is not a file" in opening(main="src/nowhere.py")
    assert "must be values that JSON can express" in opening(main=ACKS, settings={"vars": {"x": object()}})
    assert "Emulator(main=...): name" in opening(main=ACKS, name="Not A Name")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"queues": QUEUES}, "queues= and settings= belong to main="),
        ({"settings": {}}, "queues= and settings= belong to main="),
        ({"main": ACKS, "config": "wrangler.jsonc"}, "main= gives the worker in code"),
        ({"main": ACKS, "env": "staging"}, "main= gives the worker in code"),
    ],
)
def test_arguments_that_do_not_go_together(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(EmulatorError, match=says):
        Emulator(**arguments)


def test_a_worker_that_does_not_import(tmp_path: Path) -> None:
    (tmp_path / "entry.py").write_text("import json\n\nimport nothing_of_this_name\n")
    with pytest.raises(WorkerLoadError) as info, Emulator(main=tmp_path / "entry.py", name="shop"):
        pass
    text = str(info.value)
    assert text.startswith(f"{tmp_path / 'entry.py'}:3: worker shop failed to load: ModuleNotFoundError: No module")
    assert "import nothing_of_this_name" in text


def test_an_unknown_queue_says_which_there_are() -> None:
    with Emulator(**worker(ACKS)) as emulator:
        with pytest.raises(EmulatorError, match="there is no queue 'job'; the queues are: jobs, dead-jobs"):
            emulator.queue("job")
        with pytest.raises(EmulatorError, match="there is no queue 'job'"):
            emulator.dispatch_queue("job", ["x"])


def test_one_that_is_not_open_or_closed_says_what_to_do() -> None:
    emulator = Emulator(**worker(ACKS))
    with pytest.raises(EmulatorError, match=r"not open\n  use `with Emulator\(\.\.\.\) as emulator:`"):
        emulator.get("/")
    with emulator:
        jobs = emulator.queue("jobs")
        client = emulator.client
        jobs.send("x")
        emulator.advance(seconds=5)
    calls: list[Any] = [
        emulator.advance,
        emulator.run_until_idle,
        lambda: emulator.get("/"),
        lambda: client.get("/"),
        lambda: emulator.dispatch_queue("jobs", []),
        emulator.dispatch_scheduled,
        lambda: emulator.override(X=1),
        lambda: emulator.queue("jobs"),
        lambda: jobs.send("x"),
        lambda: jobs.messages,
        jobs.pause,
        jobs.resume,
        jobs.purge,
        jobs.fail_next,
    ]
    for call in calls:
        with pytest.raises((EmulatorError, RuntimeError), match="closed"):
            call()
    emulator.close()
    assert len(emulator.deliveries) == 1
    assert "jobs" in emulator.timeline
