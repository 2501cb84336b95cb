"""`emulator init`: creates a worker from a template, completely or not at all."""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


@click.command(short_help="Create a worker from a template.")
@click.argument("directory", metavar="NAME")
@click.option(
    "--template",
    metavar="TEMPLATE",
    default=_DEFAULT_TEMPLATE,
    show_default=True,
    help="python-queue, javascript-queue, typescript-queue: a producer and a consumer. "
    "python-fetch, javascript-fetch: a small router.",
)
def init(directory: str, template: str) -> None:
    """Create a worker in the directory NAME, which must be new or empty, and name it after the directory.

    \b
    Examples:
      emulator init my-app                           a sign-up page whose e-mail goes through a queue
      emulator init my-api --template python-fetch   a small HTTP API
      emulator init my-app --template typescript-queue
                                                     the sign-up in TypeScript
      emulator init .                                in this directory
    """
    if template not in template_names():
        raise EmulatorError(f"there is no template {template!r}", hint=f"Templates: {', '.join(template_names())}.")
    name = worker_name(directory)
    made = create(Path(directory), template, name)
    click.echo(f"Created {name} from the template {template}:")
    for path in made:
        click.echo(f"  {path}")
    click.echo("\nNext:")
    if Path(directory).resolve() != Path.cwd():
        click.echo(f"  cd {shlex.quote(directory)}")
    click.echo("  emulator dev")


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
    configuration = tree / "wrangler.jsonc"
    text = configuration.read_text(encoding="utf-8")
    configuration.write_text(_NAME_IN_CONFIGURATION.sub(rf'\1"{name}"', text, count=1), encoding="utf-8")


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
