"""`emulator init`: what it makes, and what it refuses without touching anything."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from emulator.base.errors import EmulatorError
from emulator.bindings.queue.config import consumers_of, producers_of
from emulator.cli import cli
from emulator.cli.init import TEMPLATES, create, worker_name
from emulator.cli.templates import template_names, templates_directory
from tests.support.configs import load_config


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def init(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["init", *arguments])


def everything(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_templates_are_those_that_the_help_names() -> None:
    assert template_names() == [
        "javascript-app",
        "javascript-fetch",
        "javascript-queue",
        "python-app",
        "python-cron",
        "python-fastapi",
        "python-fetch",
        "python-queue",
        "typescript-queue",
    ]
    assert sorted(TEMPLATES) == template_names()
    text = init("--help").output
    assert all(f"{name:<18}{about}\n" in text for name, about in TEMPLATES.items())


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("template", template_names())
def test_a_new_worker_has_its_name_and_loads(template: str, tmp_path: Path) -> None:
    result = init("my-app", "--template", template)
    assert result.exit_code == 0, result.output
    config = load_config(tmp_path / "my-app" / "wrangler.jsonc", environment=None, overrides={})
    assert config.name == "my-app"
    assert config.warnings == ()
    assert config.main.is_file()
    made = everything(tmp_path / "my-app")
    main = str(config.main.relative_to(tmp_path / "my-app"))
    assert {"README.md", ".gitignore", main, "wrangler.jsonc"} <= made.keys()
    assert "gitignore" not in made
    assert all(name in result.output for name in made)
    assert not [path for path in made if "__pycache__" in path]


def test_the_next_commands_are_shown() -> None:
    assert init("my app").output.endswith("Next:\n  cd 'my app'\n  emulator dev\n")


def test_the_default_template_has_the_queue_of_the_readme(tmp_path: Path) -> None:
    init("my-app")
    config = load_config(tmp_path / "my-app" / "wrangler.jsonc", environment=None, overrides={})
    assert [(producer.binding, producer.queue) for producer in producers_of(config)] == [("EVENTS", "my-app-events")]
    settings = consumers_of(config)[0].settings
    assert (settings.max_batch_size, settings.max_batch_timeout, settings.max_retries) == (10, 5, 3)
    assert settings.dead_letter_queue == "my-app-events-dlq"


def test_here_is_a_place_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "Shop 2"
    (here / ".git").mkdir(parents=True)
    monkeypatch.chdir(here)
    result = init(".")
    assert result.exit_code == 0, result.output
    assert "cd " not in result.output
    assert load_config(here / "wrangler.jsonc", environment=None, overrides={}).name == "shop-2"
    assert names(here) == [
        *(".dev.vars.example", ".git", ".gitignore", ".vscode", "README.md", "pyproject.toml"),
        *("src", "tests", "wrangler.jsonc"),
    ]


def test_missing_directories_above_are_made(tmp_path: Path) -> None:
    assert init("apps/web/my-app").exit_code == 0
    assert (tmp_path / "apps" / "web" / "my-app" / "wrangler.jsonc").is_file()
    assert names(tmp_path) == ["apps"]


def test_a_directory_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "my-app").mkdir()
    (tmp_path / "my-app" / "notes.txt").write_text("mine")
    result = init("my-app")
    assert result.exit_code == 2
    assert "my-app: is not empty (it holds notes.txt); nothing was changed" in result.output
    assert everything(tmp_path) == {"my-app/notes.txt": b"mine"}


def test_a_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "my-app").write_text("mine")
    result = init("my-app")
    assert result.exit_code == 2
    assert "my-app: is a file" in result.output
    assert everything(tmp_path) == {"my-app": b"mine"}


def test_a_path_through_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    result = init("file/my-app")
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert everything(tmp_path) == {"file": b"mine"}


def test_an_unknown_template_lists_those_that_there_are(tmp_path: Path) -> None:
    result = init("my-app", "--template", "rust")
    assert result.exit_code == 2
    assert "there is no template 'rust'\n  Templates: javascript-app, javascript-fetch, javascript" in result.output
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("my-app", "my-app"),
        ("apps/My_App 2!", "my-app-2"),
        ("--a--", "a"),
        ("x" * 80, "x" * 63),
    ],
)
def test_a_name_is_made_valid(directory: str, name: str) -> None:
    assert worker_name(directory) == name


@pytest.mark.parametrize("directory", ["", " ", "???", "a\0b"])
def test_what_makes_no_name_is_refused(directory: str, tmp_path: Path) -> None:
    with pytest.raises(EmulatorError):
        worker_name(directory)
    assert names(tmp_path) == []


def test_what_a_template_gets_by_being_run_does_not_go_into_a_new_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates = tmp_path / "templates"
    shutil.copytree(templates_directory() / "python-fetch", templates / "python-fetch")
    template = templates / "python-fetch"
    before = everything(template)
    for name in (
        ".dev.vars",
        ".env",
        ".wrangler/state",
        "node_modules/x",
        "src/__pycache__/entry.pyc",
        ".pytest_cache/x",
    ):
        (template / name).parent.mkdir(parents=True, exist_ok=True)
        (template / name).write_text("left behind")
    monkeypatch.setattr("emulator.cli.init.templates_directory", lambda: templates)
    assert create(tmp_path / "my-app", "python-fetch", "my-app") == sorted(
        name.replace("gitignore", ".gitignore") for name in before
    )


@pytest.mark.parametrize("target", ["my-app", "here"])
def test_a_failure_half_way_leaves_nothing_behind(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    rename = Path.rename
    calls = 0

    def fail_the_third_time(path: Path, place: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == (3 if target == "here" else 1):
            raise OSError(28, "No space left on device")
        return rename(path, place)

    monkeypatch.setattr(Path, "rename", fail_the_third_time)
    result = init(target)
    assert result.exit_code == 2
    assert f"{target}: cannot create the worker: no space left on device" in result.output
    assert names(tmp_path) == ["here"]
    assert names(tmp_path / "here") == []


@pytest.mark.parametrize("name", ["public", "migrations", "tests"])
def test_the_to_do_lists_are_the_same_in_both_languages(name: str) -> None:
    python, javascript = (
        everything(templates_directory() / f"{language}-app" / name) for language in ("python", "javascript")
    )
    python = {path: content for path, content in python.items() if "__pycache__" not in path}
    assert python == {path: content for path, content in javascript.items() if "__pycache__" not in path}
    assert python


def test_templates_name_no_resource_from_elsewhere() -> None:
    for path in templates_directory().rglob("*.py"):
        assert not re.search(r"(src|href|url\()=?[\"'(]?https?:", path.read_text()), path


@pytest.mark.parametrize("template", [name for name in template_names() if name.startswith("python")])
def test_a_python_project_says_what_it_needs(template: str, tmp_path: Path) -> None:
    create(tmp_path / "shop", template, "shop")
    project = tomllib.loads((tmp_path / "shop/pyproject.toml").read_text())
    assert project["project"]["name"] == "shop"
    [pytest_, emulator] = project["dependency-groups"]["dev"]
    assert pytest_ == "pytest"
    origin = distribution("workers-emulator").read_text("direct_url.json")
    assert emulator == (f"workers-emulator @ {json.loads(origin)['url']}" if origin else "workers-emulator")


@pytest.mark.parametrize("template", [name for name in template_names() if not name.startswith("python")])
def test_a_javascript_project_says_what_it_needs(template: str, tmp_path: Path) -> None:
    create(tmp_path / "shop", template, "shop")
    package = json.loads((tmp_path / "shop/package.json").read_text())
    assert (package["name"], package["private"], package["scripts"]["dev"]) == ("shop", True, "emulator dev")
    assert "wrangler" in package["devDependencies"]


def test_workerd_that_is_missing_is_spoken_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMULATOR_WORKERD", str(tmp_path / "nothing"))
    assert "`emulator install-js`" in init("my-app", "--template", "javascript-fetch").output
    assert "install-js" not in init("other", "--template", "python-fetch").output


def test_without_a_terminal_a_name_is_needed() -> None:
    result = init()
    assert result.exit_code == 2
    assert "Missing argument 'NAME'" in result.output


def test_on_a_terminal_what_was_not_said_is_asked(tmp_path: Path) -> None:
    terminal, inside = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "emulator", "init"],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        start_new_session=True,
    ) as process:
        os.close(inside)
        seen = ""

        def until(text: str) -> None:
            nonlocal seen
            while text not in seen:
                assert select.select([terminal], [], [], 20)[0], seen
                seen += os.read(terminal, 4_096).decode().replace("\r", "")

        until("Name [my-app]: ")
        os.write(terminal, b"watch\n")
        until("> 1 python-queue")
        until("9 javascript-fetch")
        os.write(terminal, b"\x1b[A")  # around to the last, and back over the first
        until("> 9 javascript-fetch")
        os.write(terminal, b"\x1b[B\x1b[B")
        until("> 2 python-app")
        os.write(terminal, b"\r")
        until("Next:\n  cd watch\n  emulator dev\n")
        assert process.wait() == 0
    os.close(terminal)
    assert "Created watch from the template python-app" in seen
    assert (tmp_path / "watch/wrangler.jsonc").is_file()
