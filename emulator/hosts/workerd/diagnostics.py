"""Parses esbuild's messages about the code of a worker, and turns them into a `Failure`.

The input is esbuild's text for people, because its protocol for programs is private, changes with every version, and
needs a process that keeps running. In the text a message is a line that begins with a mark, followed by a place, the
code and notes, each indented. Other text is shown unchanged.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from emulator.base.failure import Failure, Frame
from emulator.base.words import count

_HEAD: Final = re.compile(r"^(?P<mark>✘ \[ERROR\]|▲ \[WARNING\]) (?P<text>.*?)(?: \[[a-z0-9-]+\])?$", re.MULTILINE)
_PLACE: Final = re.compile(r"^    (?P<file>\S.*):(?P<line>\d+):(?P<column>\d+):$", re.MULTILINE)
_COUNT: Final = re.compile(r"^(?P<shown>\d+) of (?P<all>\d+)(?P<more>\+?) errors? shown.*$", re.MULTILINE)
_LINE_ENDS: Final = re.compile("\r\n?|\u2028|\u2029")
_TOTAL: Final = re.compile(r"^\d+ (?:errors?|warnings?)(?: and \d+ warnings?)?$", re.MULTILINE)


class Diagnostic(msgspec.Struct, frozen=True):
    """A message from esbuild. `detail` is the text that follows it: places, code and notes. `file` is empty if there is
    no place; `line` and `column` count from 1, the column in characters."""

    is_error: bool
    text: str
    detail: str
    file: str = ""
    line: int = 0
    column: int = 0
    hint: str = ""

    @property
    def place(self) -> str:
        """`file:line:column`, or nothing."""
        return f"{self.file}:{self.line}:{self.column}" if self.file else ""


class BuildError(Exception):
    """The code of a worker cannot be bundled; `failure` has esbuild's explanation. `files` are the files to fix."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.summary)
        self.failure = failure
        self.files = frozenset(Path(frame.file) for frame in failure.frames)


def read_diagnostics(said: str, root: Path, hint: Callable[[Diagnostic], str]) -> list[Diagnostic]:
    """The messages in esbuild's output, with places relative to `root`. `hint` returns how to fix one, or an empty
    string; it replaces notes, which are about esbuild's options."""
    heads = list(_HEAD.finditer(said))
    ends = [*(head.start() for head in heads), len(said)][1:]
    return [_diagnostic(head, said[head.end() : end], root, hint) for head, end in zip(heads, ends, strict=True)]


def build_error(errors: Sequence[Diagnostic], said: str, root: Path) -> BuildError:
    """The error of a build that ended with `errors`; the first one is its summary. `said` is esbuild's complete output,
    which is shown if it contains no errors that can be parsed."""
    if not errors:
        text = said.strip() or "esbuild ended without saying why"
        return BuildError(Failure("BuildError", text.partition("\n")[0], (), text, verbatim=True))
    counts = _COUNT.search(said)
    unshown = int(counts["all"]) - int(counts["shown"]) if counts else 0
    more = len(errors) - 1 + unshown
    first = errors[0]
    message = first.text + (f" (and {count(more, 'more error')})" if more else "")
    text = "\n\n".join(_shown(error) for error in errors)
    if unshown:
        text += f"\n\nAnd {count(unshown, 'more error')}."
    # The innermost frame is the last one: that is where the first error is.
    frames = tuple(_frame(root, error) for error in reversed(errors) if error.file)
    return BuildError(Failure("BuildError", message, frames, text, verbatim=True))


def one_line(diagnostic: Diagnostic) -> str:
    """`file:line:column: text`, for a log."""
    return f"{diagnostic.place}: {diagnostic.text}" if diagnostic.file else diagnostic.text


def import_error(root: Path, file: str, names: Sequence[str], text: str, hint: str) -> Diagnostic | None:
    """An error about the import of one of `names` in a file, in the form of esbuild's own errors. None if the file does
    not import any of them, or cannot be read."""
    lines = _lines(root / file)
    quoted = "|".join(map(re.escape, names))
    pattern = re.compile(rf"""(["'`])(?:{quoted})\1""")
    for number, line in enumerate(lines, 1):
        match = pattern.search(line)
        if match is not None:
            column = match.start() + 1
            frame = _code_frame(file, number, column, line, len(match[0]))
            return Diagnostic(True, text, frame, file, number, column, hint)
    return None


def _code_frame(file: str, line: int, column: int, code: str, width: int) -> str:
    """A line of code with `width` characters marked."""
    shown, before = code.replace("\t", "  "), code[: column - 1].replace("\t", "  ")
    margin = " " * (len(str(line)) + 6)
    return f"    {file}:{line}:{column}:\n      {line} │ {shown}\n{margin} ╵ {' ' * len(before)}{'~' * width}"


def _diagnostic(head: re.Match[str], rest: str, root: Path, hint: Callable[[Diagnostic], str]) -> Diagnostic:
    detail = _TOTAL.sub("", _COUNT.sub("", rest)).strip("\n").rstrip()
    is_error = "ERROR" in head["mark"]
    places = list(_places(detail, root))
    detail = "".join(_with_columns(detail, places))
    bare = Diagnostic(is_error, head["text"], detail)
    if places and detail.startswith(f"    {places[0][1]}:"):
        _, file, line, column = places[0]
        bare = replace(bare, file=file, line=line, column=column)
    said = hint(bare)
    return replace(bare, hint=said, detail=_without_notes(detail)) if said else bare


def _places(detail: str, root: Path) -> Iterator[tuple[re.Match[str], str, int, int]]:
    """Each place in a text: file, line and column, which esbuild counts in bytes from 0."""
    for match in _PLACE.finditer(detail):
        line, offset = int(match["line"]), int(match["column"])
        lines = _lines(root / match["file"])
        code = lines[line - 1] if 0 < line <= len(lines) else ""
        before = code.encode()[:offset].decode("utf-8", "ignore") if code else " " * offset
        yield match, os.path.normpath(match["file"]), line, len(before) + 1


def _with_columns(detail: str, places: Sequence[tuple[re.Match[str], str, int, int]]) -> Iterator[str]:
    end = 0
    for match, file, line, column in places:
        yield f"{detail[end : match.start()]}    {file}:{line}:{column}:"
        end = match.end()
    yield detail[end:]


def _without_notes(detail: str) -> str:
    """The first place of a message and the code there."""
    return detail.partition("\n\n")[0] if detail.startswith("    ") else ""


def _shown(error: Diagnostic) -> str:
    parts = [f"Error: {error.text}", error.detail, f"  {error.hint}" if error.hint else ""]
    return "\n\n".join(part for part in parts if part)


def _frame(root: Path, error: Diagnostic) -> Frame:
    file = root / error.file
    lines = _lines(file)
    code = lines[error.line - 1].strip() if 0 < error.line <= len(lines) else ""
    return Frame(os.path.normpath(file), error.line, "<module>", code, "node_modules" not in file.parts, lines)


def _lines(file: Path) -> list[str]:
    """The lines of a file, as esbuild counts them."""
    try:
        text = file.read_bytes().decode("utf-8", "replace")
    except OSError:
        return []
    return _LINE_ENDS.sub("\n", text).split("\n")
