"""Turns JavaScript errors into a `Failure`: the stack with the user's own files, and without the emulator's frames."""

from __future__ import annotations

import linecache
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from emulator.base.failure import MAX_TRACEBACK_BYTES, Failure, Frame, limited, with_short_message
from emulator.base.words import shown_path
from emulator.hosts.workerd.configuration import MAIN_NAME
from emulator.hosts.workerd.diagnostics import build_error, import_error
from emulator.hosts.workerd.nodejs import POLYFILL_HINT
from emulator.hosts.workerd.protocol import LANES_NAME, NO_DEFAULT_EXPORT
from emulator.hosts.workerd.source import SCRIPT_NAME, Source

_FRAME: Final = re.compile(
    r"^(?P<indent> +)at (?:(?P<function>.*?) \()?(?:file:///bundle/)?(?P<module>[^()\s][^()]*?):(?P<line>\d+)(?::(?P<column>\d+))?\)?"
    r"(?P<rest>[ ,].*)?$"
)
"""A frame of a stack. In what is logged, other things may follow it, such as the properties of the error."""

_SERVICE: Final = re.compile(r"^service \S+: ")
_UNCAUGHT: Final = re.compile(r"^Uncaught (?:\(in \w+\) )?")
_TYPED: Final = re.compile(r"^(?P<type>(?:[A-Z]\w*)?(?:Error|Exception)): (?P<message>.*)$", re.DOTALL)
_ADDRESSES: Final = re.compile(r"\nstack: [^\n]*")
_PREFIXES: Final = re.compile(
    r"[\w./+-]+\.(?:c\+\+|h):\d+: |(?:failed|overloaded|disconnected): |(?:remote|broken\.\w+|jsg)\."
)
_NO_SUCH_MODULE: Final = re.compile(r'(?:No such module "|Module not found: (?:file:///bundle/)?)(?P<name>[^"\s]+)')
_NO_SUCH_FLAG: Final = re.compile(r"No such compatibility flag: (?P<flag>\S+)")
_NO_DEBUG_PORT: Final = re.compile(r"--debug-port: unrecognized|no field named 'workerdDebugPort'")
_IMPORTED_FROM: Final = re.compile(r'imported from "(?P<module>[^"]+)"')


HUNG_TEXT: Final = (
    "Error: The Workers runtime canceled this request because it detected that your Worker's code had hung and would "
    "never generate a response. Refer to: https://developers.cloudflare.com/workers/observability/errors/"
)
"""What workerd and production say of a handler that waits for something that can never happen."""


def thrown(described: Mapping[str, Any], source: Source, root: Path) -> Failure:
    """The failure of a handler, from the emulator's module's description of the error. Code below `root` counts as the
    user's."""
    message = str(described.get("message", ""))
    stack = with_short_message(str(described.get("stack", "")), message)
    kind = str(described.get("type", ""))
    frames: list[Frame] = []
    text = _shown_stack(stack, source, root, frames) or (f"{kind}: {message}" if kind else message)
    for cause in described.get("causes", ()):
        text += f"\nCaused by: {_shown_stack(limited(str(cause), MAX_TRACEBACK_BYTES), source, root, [])}"
    return Failure(kind, message, tuple(reversed(frames)), text)


def simple_failure(text: str) -> Failure:
    """A failure that is only known from one line by workerd or the emulator: `TypeError: message`, or a sentence."""
    typed = _TYPED.match(text)
    if typed is not None:
        return Failure(typed["type"], typed["message"], (), text)
    return Failure("", text, (), text)


def not_started(said: str, source: Source, main: Path, config_file: str) -> Failure:
    """The failure of a worker that workerd failed to start, from what it wrote."""
    root = main.parent
    lines = [_UNCAUGHT.sub("", _SERVICE.sub("", line)) for line in said.split("\n")]
    first = lines[0]
    flag = _NO_SUCH_FLAG.search(first)
    if NO_DEFAULT_EXPORT in said:
        message = (
            f"{shown_path(main, root)} has no default export; a worker exports its handlers: "
            "export default { async fetch(request, env, ctx) { ... } }"
        )
        return simple_failure(message)
    if _NO_DEBUG_PORT.search(said):
        return simple_failure(
            "this workerd is too old for workers that call each other; `npm update workerd` installs a newer one, or "
            "emulator install-js where the project has none"
        )
    if flag is not None:
        message = f"{config_file}: compatibility_flags: workerd has no flag {flag['flag']!r}"
        return simple_failure(message)
    if first.startswith(("Compatibility ", "This Worker requires compatibility")):
        message = f"{config_file}: {first}"
        return simple_failure(message)
    missing = _NO_SUCH_MODULE.search(first)
    if missing is not None and (found := _missing_module(missing["name"], source, root, config_file)):
        return found
    frames: list[Frame] = []
    text = _shown_stack("\n".join([first, *(f"    {line.strip()}" for line in lines[1:])]), source, root, frames)
    importer = _IMPORTED_FROM.search(said)
    if not frames and importer is not None:
        located = source.locate(importer["module"], 1, 1)
        if located is not None:
            text = f"{first}\n    imported from {shown_path(located[0], root)}"
    failure = simple_failure(first)
    return Failure(failure.type, failure.message, tuple(reversed(frames)), text)


def _missing_module(name: str, source: Source, root: Path, config_file: str) -> Failure | None:
    """The failure of a worker whose code imports a module that workerd does not have; None if the importing file is not
    known. The user's own files are searched first."""
    if name.startswith("node:"):
        hint = "workerd provides this Node.js module only from a later compatibility_date on, or not at all."
        if source.lacks_polyfills:
            hint = f"{hint} {POLYFILL_HINT}"
    else:
        hint = f"Without a bundle, only files that rules in {config_file} name can be imported."
    names = (name, name.removeprefix("node:"), f"./{name}")
    for file in sorted(source.inputs, key=lambda file: ("node_modules" in file.parts, file)):
        shown = Path(os.path.relpath(file, root)).as_posix()
        error = import_error(root, shown, names, f'No such module "{name}"', hint)
        if error is not None:
            return replace(build_error([error], "", root).failure, type="Error")
    return None


def logged(text: str, source: Source, root: Path) -> str:
    """What worker code has logged. The stacks in it name the user's files, and not the emulator's."""
    return _shown_stack(text, source, root, []) if "    at " in text else text


def readable(text: str) -> str:
    """What workerd itself logs, without the places in its own source and the addresses of its stack."""
    text = _ADDRESSES.sub("", text)
    return _PREFIXES.sub("", text)


def _shown_stack(stack: str, source: Source, root: Path, frames: list[Frame]) -> str:
    """`stack` with the user's files, and without the emulator's. Adds the frames to `frames` in JavaScript's order,
    innermost first."""
    shown = []
    for line in stack.split("\n"):
        match = _FRAME.match(line)
        if match is None:
            shown.append(line)
            continue
        module, function, rest = match["module"], match["function"] or "", match["rest"] or ""
        if module in (MAIN_NAME, LANES_NAME, SCRIPT_NAME):
            if rest and shown:
                shown[-1] += rest
            continue
        located = source.locate(module, int(match["line"]), int(match["column"] or 1))
        if located is None:
            shown.append(line)
            continue
        file, number, column = located
        lines = linecache.getlines(str(file))
        code = lines[number - 1].strip() if 0 < number <= len(lines) else ""
        is_user = file.is_relative_to(root) and "node_modules" not in file.parts
        frames.append(Frame(str(file), number, function or "<module>", code, is_user, lines))
        place = f"{file}:{number}" + (f":{column}" if match["column"] else "")
        shown.append(
            f"{match['indent']}at {function} ({place}){rest}" if function else f"{match['indent']}at {place}{rest}"
        )
    return "\n".join(shown).rstrip()
