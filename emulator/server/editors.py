"""Links that open a file in the user's editor."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Final
from urllib.parse import quote

VARIABLE: Final = "EMULATOR_EDITOR_URL"
"""The variable that says how links look: `vscode://file{file}:{line}`, say. Empty means none."""

_VSCODE: Final = "vscode://file{file}:{line}"
_BY_PROGRAM: Final[Mapping[str, str]] = {
    "code": _VSCODE,
    "code-insiders": "vscode-insiders://file{file}:{line}",
    "codium": "vscodium://file{file}:{line}",
    "cursor": "cursor://file{file}:{line}",
    "emacs": "org-protocol://open-file?url=file://{file}&line={line}",
    "idea": "idea://open?file={file}&line={line}",
    "mate": "txmt://open?url=file://{file}&line={line}",
    "pycharm": "pycharm://open?file={file}&line={line}",
    "subl": "subl://open?url=file://{file}&line={line}",
    "webstorm": "webstorm://open?file={file}&line={line}",
    "windsurf": "windsurf://file{file}:{line}",
    "zed": "zed://file{file}:{line}",
}


def editor_link(file: str, line: int, environment: Mapping[str, str] = os.environ) -> str:
    """The address that opens a file at a line, in the editor of EMULATOR_EDITOR_URL, VISUAL or EDITOR, else in VS Code.
    Empty if there is no such file."""
    form = environment.get(VARIABLE)
    if form is None:
        form = next(filter(None, (_of_program(environment.get(name, "")) for name in ("VISUAL", "EDITOR"))), _VSCODE)
    if not form or not Path(file).is_absolute():
        return ""
    return form.replace("{file}", quote(file)).replace("{line}", str(max(line, 1)))


def _of_program(command: str) -> str:
    """How links look for the program in a command such as `code --wait`; empty if it is not known to have any."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    return _BY_PROGRAM.get(PurePath(words[0]).name, "") if words else ""
