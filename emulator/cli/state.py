"""`emulator state`: what bindings keep beside a configuration: how much it is, and how it goes to another machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from emulator.base.errors import EmulatorError
from emulator.base.words import shown_path
from emulator.cli.tables import print_json, print_table
from emulator.storage.state import DIRECTORY, PLACE, State

if TYPE_CHECKING:
    from emulator.config.model import WorkerConfig

F = TypeVar("F", bound=Callable[..., Any])


def _options(command: F) -> F:
    """Which directory: `config`, None for the configuration in the working directory, and `persist_to`."""
    config = click.option(
        "-c",
        "--config",
        metavar="PATH",
        type=click.Path(path_type=Path),
        help="The configuration beside which it is kept.  [default: wrangler.jsonc, .json or .toml in this directory]",
    )
    persist_to = click.option(
        "--persist-to",
        metavar="DIR",
        type=click.Path(path_type=Path, file_okay=False),
        help="The directory that `emulator dev --persist-to` was given.",
    )
    return config(persist_to(command))


_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


@click.group(short_help="Look at what bindings keep; export, import or remove it.")
def state() -> None:
    """Look at what the bindings of a project keep, and take it to another machine or away. Messages in queues are not
    part of it.

    \b
    Examples:
      emulator state info                  how much there is
      emulator state export shop.zip       one file, which another machine or a test can begin from
      emulator state import shop.zip       begin from it
      emulator state reset kv              begin anew
    """


@state.command(short_help="Show how much is kept.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@_options
def info(as_json: bool, config: Path | None, persist_to: Path | None) -> None:
    """Show where what bindings keep is, and how much it is.

    \b
    Examples:
      emulator state info
      emulator state info --json
    """
    from emulator.storage.archive import sizes

    directory = _directory(config, persist_to)
    found = sizes(directory)
    if as_json:
        print_json({"directory": str(directory), "bytes": found})
        return
    click.echo(shown_path(directory))
    if found:
        print_table(["WHAT", "BYTES"], [[name, f"{size:,}"] for name, size in found.items()])
    else:
        click.echo("Nothing is kept there.")


@state.command(short_help="Write everything to one file.")
@_file
@_options
def export(file: Path, config: Path | None, persist_to: Path | None) -> None:
    """Write everything that bindings keep to FILE, also while a session runs.

    \b
    Examples:
      emulator state export shop.zip
    """
    from emulator.storage.archive import sizes, write_archive

    directory = _directory(config, persist_to)
    if not sizes(directory):
        raise EmulatorError(f"nothing is kept in {shown_path(directory)}")
    write_archive(directory, file)
    click.echo(f"Wrote {shown_path(file)} ({file.stat().st_size:,} bytes)")


@state.command("import", short_help="Begin from a file, or from what wrangler dev has kept.")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--from-wrangler",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Take over what `wrangler dev` has kept in this directory, .wrangler/state/v3, and leave it as it is.",
)
@_yes
@_options
def import_(
    file: Path | None, from_wrangler: Path | None, yes: bool, config: Path | None, persist_to: Path | None
) -> None:
    """Let what bindings keep be what is in FILE, which `emulator state export` has written.

    \b
    Examples:
      emulator state import shop.zip
      emulator state import --from-wrangler .wrangler/state/v3
    """
    if (file is None) == (from_wrangler is None):
        raise click.UsageError("Give a FILE, or --from-wrangler DIR.")
    directory = _unused(_directory(config, persist_to))
    if file is not None:
        from emulator.storage.archive import sizes, unpack_archive

        if sizes(directory) and not yes:
            click.confirm(f"Replace what is kept in {shown_path(directory)}?", abort=True)
        unpack_archive(file, directory)
        click.echo(f"{shown_path(directory)} is now what {shown_path(file)} contains")
        return
    assert from_wrangler is not None
    from emulator.bindings.registry import KINDS

    kept = State(directory)
    try:
        workers = _workers(config)
        taken = [text for kind in KINDS for text in kind.take_over(from_wrangler, workers, kept)]
    finally:
        kept.close()
    if not taken:
        raise EmulatorError(f"there is nothing of wrangler's in {shown_path(from_wrangler)} that can be taken over")
    for text in taken:
        click.echo(f"Took over {text}")


@state.command(short_help="Remove it.")
@click.argument("kind", required=False)
@_yes
@_options
def reset(kind: str | None, yes: bool, config: Path | None, persist_to: Path | None) -> None:
    """Remove everything that bindings keep, or what one KIND keeps.

    \b
    Examples:
      emulator state reset
      emulator state reset kv
    """
    directory = _unused(_directory(config, persist_to))
    root = directory / DIRECTORY
    there = sorted({path.name.partition(".")[0] for path in root.glob("*") if path.name != "lock"})
    if kind is not None and kind not in there:
        raise EmulatorError(
            f"{shown_path(directory)} keeps nothing of {kind!r}, but of: {', '.join(there) or 'nothing'}"
        )
    if not there:
        click.echo("Nothing is kept there.")
        return
    what = ", ".join(there) if kind is None else kind
    if not yes:
        click.confirm(f"Remove {what} from {shown_path(directory)}?", abort=True)
    for path in root.glob("*" if kind is None else f"{kind}*"):
        if path.name.partition(".")[0] in ({kind} if kind is not None else there):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    click.echo(f"Removed {what}")


def _directory(config: Path | None, persist_to: Path | None) -> Path:
    if persist_to is not None:
        return persist_to
    from emulator.config import find_config

    path = find_config(Path.cwd()) if config is None else config
    return path.resolve().parent / PLACE


def _workers(config: Path | None) -> list[WorkerConfig]:
    """The worker beside whose configuration this is; none if there is no configuration."""
    from emulator.bindings.registry import KINDS
    from emulator.config import find_config
    from emulator.config.loading import load_config

    try:
        path = find_config(Path.cwd()) if config is None else config
    except EmulatorError:
        return []
    return [load_config(path, KINDS)]


def _unused(directory: Path) -> Path:
    """The directory, if no session uses it. Raises EmulatorError."""
    kept = State(directory)
    try:
        if (directory / DIRECTORY).exists() and not kept.claim():
            raise EmulatorError(f"a session uses {shown_path(directory)}", hint="Stop `emulator dev` first.")
    finally:
        kept.close()
    return directory
