"""`emulator init`: creates a worker from a template, completely or not at all."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import click

from emulator.base.errors import EmulatorError
from emulator.base.words import reason
from emulator.cli.templates import template_names, templates_directory

_DEFAULT_TEMPLATE = "python-queue"
_MAX_NAME = 63
_MAY_STAY = frozenset({".git", ".venv", ".DS_Store"})
"""What a directory may contain and still count as empty: no template has an entry of these names."""
_LEFT_OUT = frozenset(
    {"__pycache__", ".dev.vars", ".env", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".wrangler", "node_modules"}
)
"""What running a template in place may leave behind, and a new worker should not get."""
_RENAMED = {"gitignore": ".gitignore"}
"""Templates use another name, because packaging tools obey a `.gitignore` that they find, or leave it out."""
_NAME_IN_CONFIGURATION = re.compile(r'("name"\s*:\s*)"[^"]*"')
_NAME_IN_PROJECT = re.compile(r'(^name\s*=\s*)"[^"]*"', re.MULTILINE)
_DISTRIBUTION = "workers-emulator"
_EMULATOR_IN_PROJECT = re.compile(rf'(^\s*)"{_DISTRIBUTION}"', re.MULTILINE)


TEMPLATES: Final = {
    "python-queue": "a sign-up page whose e-mail goes through a queue",
    "python-app": "to-do lists: a page, a database, sessions, attachments and mails",
    "python-fetch": "a small HTTP API",
    "python-fastapi": "an HTTP API with FastAPI, and a queue behind it",
    "python-cron": "looks after a site every five minutes",
    "javascript-queue": "the sign-up page in JavaScript",
    "javascript-app": "the to-do lists in JavaScript",
    "typescript-queue": "the sign-up page in TypeScript",
    "javascript-fetch": "a small HTTP API in JavaScript",
}
"""The templates, and what each of them makes."""


@click.command(
    short_help="Create a worker from a template.",
    epilog="\b\nTemplates:\n" + "\n".join(f"  {name:<18}{about}" for name, about in TEMPLATES.items()),
)
@click.argument("directory", metavar="[NAME]", required=False)
@click.option("--template", metavar="TEMPLATE", help=f"See below.  [default: {_DEFAULT_TEMPLATE}]")
def init(directory: str | None, template: str | None) -> None:
    """Create a worker in the directory NAME, which must be new or empty, and name it after the directory. On a
    terminal, what is not said is asked.

    \b
    Examples:
      emulator init my-app                           a sign-up page whose e-mail goes through a queue
      emulator init my-api --template python-fetch   a small HTTP API
      emulator init my-app --template typescript-queue
                                                     the sign-up in TypeScript
      emulator init .                                in this directory
    """
    if template is not None and template not in template_names():
        raise EmulatorError(f"there is no template {template!r}", hint=f"Templates: {', '.join(template_names())}.")
    if directory is None:
        if not is_interactive():
            raise click.UsageError("Missing argument 'NAME'.")
        from emulator.cli.choosing import choose

        directory = click.prompt("Name", default="my-app")
        template = template or choose("Template", TEMPLATES)
    template = template or _DEFAULT_TEMPLATE
    name = worker_name(directory)
    made = create(Path(directory), template, name)
    click.echo(f"Created {name} from the template {template}:")
    for path in made:
        click.echo(f"  {path}")
    if (Path(directory) / "package.json").is_file():
        _offer_workerd(Path(directory).resolve())
    click.echo("\nNext:")
    if Path(directory).resolve() != Path.cwd():
        click.echo(f"  cd {shlex.quote(directory)}")
    click.echo("  emulator dev")


def is_interactive() -> bool:
    """Whether somebody can answer: standard input and output are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _offer_workerd(directory: Path) -> None:
    """Say how to get what runs JavaScript where it is not installed, or on a terminal install it."""
    from emulator.hosts.workerd.tools import find_workerd

    try:
        find_workerd(directory)
    except EmulatorError:
        if is_interactive() and click.confirm("\nInstall workerd, which runs JavaScript workers, now?", default=True):
            from emulator.cli.install_js import install_js

            assert install_js.callback is not None
            install_js.callback(force=False)
        else:
            click.echo("\nworkerd, which runs JavaScript workers, is not installed yet: `emulator install-js`")


def worker_name(directory: str) -> str:
    """The name of a worker in `directory`: its last part in lower case, with dashes for the characters that a name
    cannot have.

    Names have 1 to 63 characters out of `a` to `z`, `0` to `9` and `-`. Raises EmulatorError if no name can be made.
    """
    if not directory.strip() or "\0" in directory:
        raise EmulatorError("a worker needs a name", hint="For example: emulator init my-app")
    last = Path(directory).resolve().name
    name = re.sub(r"[^a-z0-9]+", "-", last.lower())[:_MAX_NAME].strip("-")
    if not name:
        raise EmulatorError(
            f"no name for a worker can be made from {directory!r}",
            hint="A name consists of the letters a to z, digits and dashes. For example: emulator init my-app",
        )
    return name


def create(target: Path, template: str, name: str) -> list[str]:
    """Copy `template` to `target` for a worker called `name`. Returns the new files, as paths from `target`.

    They are written to a directory beside `target` and then moved, so that a failure changes nothing. Raises
    EmulatorError if `target` is a file, contains anything, or cannot be written.
    """
    _refuse_occupied(target)
    try:
        base = _nearest_directory(target)
        with _staging(base) as staging:
            tree = staging / target.absolute().relative_to(base.absolute())
            _fill(tree, template, name)
            files = sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file())
            _move_entries(staging, base)
    except OSError as error:
        raise EmulatorError(f"cannot create the worker: {reason(error)}", where=str(target)) from error
    return files


def _refuse_occupied(target: Path) -> None:
    try:
        if not target.exists():
            return
        if not target.is_dir():
            raise EmulatorError("is a file; nothing was changed", where=str(target), hint="Choose another name.")
        held = sorted(path.name for path in target.iterdir() if path.name not in _MAY_STAY)
    except OSError as error:
        raise EmulatorError(f"cannot be read: {reason(error)}", where=str(target)) from error
    if held:
        shown = ", ".join(held[:3]) + (f" and {len(held) - 3} more" if len(held) > 3 else "")
        raise EmulatorError(
            f"is not empty (it holds {shown}); nothing was changed",
            where=str(target),
            hint="Choose a directory that is new or empty.",
        )


def _nearest_directory(target: Path) -> Path:
    """`target` itself if it exists, else the nearest directory above it that does."""
    path = target.absolute()
    while not path.is_dir():
        path = path.parent
    return path


@contextmanager
def _staging(base: Path) -> Iterator[Path]:
    staging = Path(tempfile.mkdtemp(prefix=".emulator-init-", dir=base))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _fill(tree: Path, template: str, name: str) -> None:
    """Write the files of `template` below `tree`, as new files: those of an installed package may be read-only."""
    source = templates_directory() / template
    for path in source.rglob("*"):
        inner = path.relative_to(source)
        if path.is_file() and not _LEFT_OUT.intersection(inner.parts):
            place = tree / inner.with_name(_RENAMED.get(inner.name, inner.name))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    _replace(tree / "wrangler.jsonc", _NAME_IN_CONFIGURATION, f'"{name}"')
    _replace(tree / "package.json", _NAME_IN_CONFIGURATION, f'"{name}"')
    _replace(tree / "pyproject.toml", _NAME_IN_PROJECT, f'"{name}"')
    _replace(tree / "pyproject.toml", _EMULATOR_IN_PROJECT, json.dumps(_requirement()))


def _replace(file: Path, pattern: re.Pattern[str], value: str) -> None:
    """Put `value` behind the first group of `pattern` in a file, if there is one."""
    if file.is_file():
        text = file.read_text(encoding="utf-8")
        file.write_text(pattern.sub(lambda found: found[1] + value, text, count=1), encoding="utf-8")


def _requirement() -> str:
    """What a project requires for this emulator: its name or, where it was installed from a directory or an address,
    that, as its name alone would find something else or nothing."""
    try:
        origin = json.loads(distribution(_DISTRIBUTION).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    url = origin.get("url")
    return f"{_DISTRIBUTION} @ {url}" if url else _DISTRIBUTION


def _move_entries(staging: Path, base: Path) -> None:
    """Move all of `staging` into `base`, or none of it."""
    moved: list[Path] = []
    try:
        for entry in sorted(staging.iterdir()):
            place = base / entry.name
            if place.exists() or place.is_symlink():
                raise FileExistsError(17, f"{entry.name} was created there in the meantime")
            entry.rename(place)
            moved.append(place)
    except OSError:
        for place in moved:
            place.rename(staging / place.name)
        raise
