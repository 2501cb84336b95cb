"""A configuration file as data with positions, and the problems found in it.

The parsers in `jsonc`, `json5` and `toml` return a `Document`. The checks look up values by key path and report to
`Findings`, which turns the key path into a file, line and column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import msgspec

from emulator.base.errors import Code, Problem
from emulator.config.model import Place

CONFIG_SUFFIXES: Final = frozenset({".json", ".jsonc", ".toml"})

KeyPath: TypeAlias = tuple[str | int, ...]

_EXCERPT_WIDTH = 100

REFUSED = "wrangler refuses this"
"""How a warning begins about what the emulator takes and wrangler does not."""

REFUSED_BY_PRODUCTION = "production refuses this"
"""How a warning begins about what wrangler takes, too, and production does not."""


class DocumentSyntaxError(Exception):
    """The text has a syntax error. `offset` is the index of the character where the parser noticed it."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class Document(NamedTuple):
    """A parsed file.

    `values` and `keys` map key paths to the offsets in `text` of every value and every key; the path of the whole
    document is `()`. `repeated` lists the keys that appear more than once in an object, with path and offset of each
    repetition; the last one is used. `refused` is the first thing that wrangler would refuse in a file that the
    emulator accepts.
    """

    file: str
    text: str
    data: object
    values: Mapping[KeyPath, int]
    keys: Mapping[KeyPath, int]
    repeated: Sequence[tuple[KeyPath, int]] = ()
    refused: DocumentSyntaxError | None = None

    def has(self, path: KeyPath) -> bool:
        """Whether the document has a value at `path`."""
        return path in self.values

    def place(self, path: KeyPath, *, at_key: bool = False) -> Place:
        """Where the value at `path` begins, or with `at_key`, its key. For a path that is not in the file, the place of
        the nearest object or array around it."""
        offset = self.keys.get(path) if at_key else None
        around = path
        while offset is None:
            offset = self.values.get(around, None if around else 0)
            around = around[:-1]
        return Place(self.file, *line_and_column(self.text, offset), format_path(path))


class Findings:
    """Collects the errors and warnings about one document, with their places."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self.notes: list[Problem] = []

    def error(
        self, path: KeyPath, message: str, hint: str = "", *, at_key: bool = False, code: Code = "invalid-value"
    ) -> None:
        """Add an error: the configuration cannot be used."""
        self.errors.append(problem_at(self.document.place(path, at_key=at_key), message, hint, code))

    def warn(self, path: KeyPath, message: str, hint: str = "", *, at_key: bool = True, code: Code = "ignored") -> None:
        """Add a warning: the configuration can be used, but may not do what the user expects."""
        self.warnings.append(problem_at(self.document.place(path, at_key=at_key), message, hint, code))

    def note(self, path: KeyPath, message: str, hint: str = "", *, code: Code) -> None:
        """Add a note, for those who ask what could be better: all works as it is."""
        self.notes.append(problem_at(self.document.place(path, at_key=True), message, hint, code))

    def not_here(self, path: KeyPath, message: str) -> None:
        """Add a warning: production does what the configuration asks for, and the emulator does not."""
        problem = problem_at(self.document.place(path, at_key=True), message, code="not-emulated")
        self.warnings.append(msgspec.structs.replace(problem, is_local=True))

    def refused(self, path: KeyPath, why: str, hint: str = "", *, code: Code = "refused-by-wrangler") -> None:
        """Add a warning: the configuration can be used here, but wrangler refuses it. `why` is a clause."""
        self.warn(path, f"{REFUSED}: {why}", hint, code=code)

    def refused_by_production(
        self, path: KeyPath, why: str, hint: str = "", *, code: Code = "refused-by-production"
    ) -> None:
        """Add a warning: the emulator and wrangler take the configuration, and production does not. `why` is a
        clause."""
        self.warn(path, f"{REFUSED_BY_PRODUCTION}: {why}", hint, code=code)


def problem_at(place: Place, message: str, hint: str = "", code: Code = "invalid-value") -> Problem:
    """A problem at a place."""
    return Problem(place.file, place.line, place.column, place.key, message, hint, code=code)


def format_path(path: KeyPath) -> str:
    """`queues.consumers[0].max_batch_size`; a key is quoted if it has characters that a name cannot have."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        plain = step.replace("-", "_").replace("$", "_").isidentifier()
        text += ("." if text else "") + (step if plain else f'"{step}"')
    return text


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """The line and the column of the character at `offset`, both counted from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def pointed(problem: Problem) -> Problem:
    """A problem of a configuration whose hint begins with the line of the file and a caret below the column. The lines
    of other files, which have secrets, are not shown."""
    file = Path(problem.file)
    if problem.code == "syntax" or file.suffix.lower() not in CONFIG_SUFFIXES:  # a syntax error has its line already
        return problem
    try:
        lines = file.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError):
        return problem
    if not 0 < problem.line <= len(lines):
        return problem
    shown = excerpt(lines[problem.line - 1], problem.column - 1)
    return msgspec.structs.replace(problem, hint=f"{shown}\n  {problem.hint}" if problem.hint else shown)


def excerpt(text: str, offset: int) -> str:
    """The source line around `offset`, with a caret below that character, indented like the hint of a `Problem`."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[start : end if end >= 0 else len(text)].rstrip().replace("\t", " ")
    column = offset - start
    cut = max(0, column - _EXCERPT_WIDTH // 2)
    return f"{line[cut : cut + _EXCERPT_WIDTH]}\n  {' ' * (column - cut)}^"
