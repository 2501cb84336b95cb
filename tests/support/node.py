"""The Node.js that wrangler runs on: the machine's own, or, where that is too old, one that npm brings.

`python -m tests.support.node` installs the latter where it is needed. Only wrangler and what is built on it need it:
npm itself runs on the machine's own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

OLDEST: Final = (22, 12)
"""The oldest version, major and minor, that the wrangler of `tests/npm` runs on."""

DIRECTORY: Final = Path(__file__).parents[1] / "npm/node22"
"""The npm project that brings a newer Node.js, in a package for each platform."""

_BROUGHT: Final = DIRECTORY / "node_modules/.bin/node"


def version(program: str) -> tuple[int, int]:
    """Major and minor version of a Node.js; (0, 0) where it does not run."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0, 0
    found = re.match(r"v(\d+)\.(\d+)\.", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def find() -> str | None:
    """The path of a Node.js that is new enough; None where there is none."""
    for program in (shutil.which("node"), str(_BROUGHT)):
        if program is not None and version(program) >= OLDEST:
            return program
    return None


def missing() -> str:
    """Why `find` finds nothing: a sentence."""
    own = shutil.which("node")
    has = f"the one here is {'.'.join(map(str, version(own)))}" if own else "there is none here"
    return f"wrangler needs Node.js {'.'.join(map(str, OLDEST))} or newer: {has}, and npm has brought no newer one"


def install() -> str | None:
    """Have npm install a Node.js that is new enough, unless there is one. Returns why that failed, if it did."""
    if find() is not None:
        return None
    npm = shutil.which("npm")
    if npm is None:
        return missing()
    done = subprocess.run([npm, "ci", "--loglevel=error"], cwd=DIRECTORY, capture_output=True, text=True, check=False)
    if find() is not None:
        return None
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return f"{missing()}{f' ({said[0]})' if said else ''}"


if __name__ == "__main__":
    if (reason := install()) is not None:
        print(f"{reason}: the tests that need wrangler will be skipped.", file=sys.stderr)
