"""A configuration file as data with positions, and the list of what was found wrong with it.

The parsers in `jsonc`, `json5` and `toml` make a `Document`; the checks look values up in it by key path and report to
`Findings`, which turn the key path into a file, a line and a column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from emulator.base.errors import Problem
from emulator.config.model import Place

KeyPath: TypeAlias = tuple[str | int, ...]

_EXCERPT_WIDTH = 100


class DocumentSyntaxError(Exception):
    """The text is not what its format allows. `offset` is the index of the character where that shows."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class Document(NamedTuple):
    """A parsed file.

    `values` and `keys` hold the offset in `text` of every value and of every key, by key path; the path of the whole
    is `()`. `repeated` lists keys that an object has more than once (the last one counts): path and offset of each
    repetition. `refused` is what wrangler would refuse first in a file that is read all the same.
    """

    file: str
    text: str
    data: object
    values: Mapping[KeyPath, int]
    keys: Mapping[KeyPath, int]
    repeated: Sequence[tuple[KeyPath, int]] = ()
    refused: DocumentSyntaxError | None = None

    def has(self, path: KeyPath) -> bool:
        """Whether there is a value at `path`."""
        return path in self.values

    def place(self, path: KeyPath, *, at_key: bool = False) -> Place:
        """Where the value at `path` begins (`at_key`: where its key does). What is not in the file stands where the
        nearest thing around it does."""
        offset = self.keys.get(path) if at_key else None
        around = path
        while offset is None:
            offset = self.values.get(around, None if around else 0)
            around = around[:-1]
        return Place(self.file, *line_and_column(self.text, offset), format_path(path))


class Findings:
    """Collects the errors and the warnings of one document, each with its place."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

    def error(self, path: KeyPath, message: str, hint: str = "", *, at_key: bool = False) -> None:
        """The configuration cannot be used as it is."""
        self.errors.append(problem_at(self.document.place(path, at_key=at_key), message, hint))

    def warn(self, path: KeyPath, message: str, hint: str = "", *, at_key: bool = True) -> None:
        """The configuration can be used, but perhaps it does not do what it seems to."""
        self.warnings.append(problem_at(self.document.place(path, at_key=at_key), message, hint))


def problem_at(place: Place, message: str, hint: str = "") -> Problem:
    """A problem at a place."""
    return Problem(place.file, place.line, place.column, place.key, message, hint)


def format_path(path: KeyPath) -> str:
    """`queues.consumers[0].max_batch_size`; a key with other characters than those of a name is quoted."""
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


def excerpt(text: str, offset: int) -> str:
    """The source line around `offset` with a caret below that character, indented as the hint of a `Problem` is."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[start : end if end >= 0 else len(text)].rstrip().replace("\t", " ")
    column = offset - start
    cut = max(0, column - _EXCERPT_WIDTH // 2)
    return f"{line[cut : cut + _EXCERPT_WIDTH]}\n  {' ' * (column - cut)}^"
