"""`emulator install-js`: downloads what runs JavaScript workers, through npm, into the emulator's cache."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from emulator.base.errors import EmulatorError
from emulator.base.words import reason
from emulator.hosts.workerd.tools import ESBUILD_VERSION, WORKERD_VERSION, cache_directory, installed_in

_TIMEOUT_SECONDS: Final = 600
_LOCKED: Final = ("package.json", "package-lock.json")
"""What to install, with checksums; in `emulator/hosts/workerd/npm`."""


@click.command(short_help="Install what runs JavaScript workers.")
@click.option("--force", is_flag=True, help="Install again, even if they are already installed.")
def install_js(*, force: bool) -> None:
    """Install workerd and esbuild, which run and bundle JavaScript workers, into the emulator's cache.

    They are downloaded through npm, at versions that are known to work, and their checksums are verified, with the
    packages that wrangler adds to workers that use modules of Node.js. A worker whose own node_modules has them, as it
    does where wrangler is installed, does not need this. Running a worker does not need Node.js.
    """
    target = cache_directory()
    what = f"workerd {WORKERD_VERSION} and esbuild {ESBUILD_VERSION}"
    if installed_in(target) and not force:
        click.echo(f"{what} are already installed in {target}")
        return
    npm = shutil.which("npm")
    if npm is None:
        raise EmulatorError(
            "npm is not installed; it is needed to download workerd and esbuild",
            hint="Install Node.js, or name the programs in EMULATOR_WORKERD and EMULATOR_ESBUILD.",
        )
    click.echo(f"Installing {what} ...")
    try:
        _install(npm, target)
    except OSError as error:
        raise EmulatorError(f"cannot install into {target}: {reason(error)}") from None
    click.echo(f"Installed in {target}")


def _install(npm: str, target: Path) -> None:
    """Install into a directory beside `target`, and move it there when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="install-", dir=target.parent) as name:
        draft = Path(name) / "whole"
        draft.mkdir()
        locked = files("emulator.hosts.workerd") / "npm"
        for file in _LOCKED:
            (draft / file).write_bytes((locked / file).read_bytes())
        _run_npm(npm, draft)
        if not installed_in(draft):
            raise EmulatorError("npm installed nothing that runs on this platform; workerd needs Linux or macOS")
        old = Path(name) / "old"
        with suppress(FileNotFoundError):
            target.rename(old)
        draft.rename(target)


def _run_npm(npm: str, directory: Path) -> None:
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise EmulatorError(f"npm did not finish within {_TIMEOUT_SECONDS // 60} minutes") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it gave no reason"]
        said = "\n  ".join(lines[:8])
        raise EmulatorError(f"npm failed with status {done.returncode}, and nothing was installed:\n  {said}")
