"""`emulator types`: writes what an editor and a type checker need to know of workers."""

from __future__ import annotations

from pathlib import Path

import click

from emulator.base.words import count, shown_path
from emulator.cli.options import config_option, environment_option

_MYPY_HINT = """\
Pyright and VS Code find them by themselves. mypy does with this in pyproject.toml:

  [tool.mypy]
  mypy_path = "typings"
"""


@click.command(short_help="Write the types of a worker's bindings and modules.")
@config_option
@environment_option
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if something is out of date. For CI.")
def types(config_paths: tuple[Path, ...], environment: str | None, *, check: bool) -> None:
    """Write what an editor and a type checker need, beside the configuration.

    For a Python worker that is the directory `typings`: the modules `workers`, `js` and `pyodide`, and the class Env of
    this worker's bindings, which `self.env` is. For a JavaScript worker it is `worker-configuration.d.ts`, with the
    interface Env, as `wrangler types` writes it; the runtime's own types are in the package @cloudflare/workers-types.

    While `emulator dev` runs, files that are there follow the configuration.

    \b
    Examples:
      emulator types
      emulator types --check
    """
    from emulator.server.serving import ServingOptions
    from emulator.stubs.files import outdated, types_of, write

    configs = ServingOptions(config_paths=config_paths, environment=environment).read_all()
    files = {path: text for config in configs for path, text in types_of(config).items()}
    if check:
        old = outdated(files)
        for path in old:
            click.echo(f"{shown_path(path)} is out of date", err=True)
        if old:
            click.echo("Run `emulator types`.", err=True)
            raise SystemExit(1)
        return
    changed = write(files)
    if not changed:
        click.echo("Everything is up to date")
        return
    if len(changed) == 1:
        click.echo(f"Wrote {shown_path(changed[0])}")
        return
    places = sorted({path.parent for path in changed}, key=lambda path: len(path.parts))
    click.echo(f"Wrote {count(len(changed), 'file')} to {shown_path(places[0])}")
    if not any(_knows(config.path.parent / "pyproject.toml") for config in configs):
        click.echo(f"\n{_MYPY_HINT}", nl=False)


def _knows(project: Path) -> bool:
    """Whether mypy's settings are there already."""
    try:
        return "mypy_path" in project.read_text(encoding="utf-8")
    except OSError:
        return False
