"""The blocks of code of the documentation, each with where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

ELSEWHERE: Final = {
    "docs/cli.md": "test_pages.py compares it with the help",
    "docs/tutorial.md": "tests/integration/test_tutorial.py walks through it",
}
"""Pages that have a test of their own for all of their blocks."""

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)
_INFO = re.compile(r"(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?")
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMAND = {
    "console": re.compile(r"^\$ (.*)$", re.MULTILINE),
    "sh": re.compile(r"^([^#\n].*)$", re.MULTILINE),
    "yaml": re.compile(r"\brun: ([^|\n].*)$", re.MULTILINE),
}


class Block(NamedTuple):
    """A fenced block: its page, relative to the project, the line of its fence, its language, its title or an empty
    string, and its text."""

    page: str
    line: int
    language: str
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_test(self) -> bool:
        """Whether pytest is to run it."""
        return self.language == "python" and re.search(r"^(async )?def test_|^@pytest", self.text, re.M) is not None

    @property
    def is_script(self) -> bool:
        """Whether it is a program of its own, which speaks with a session from outside."""
        return self.language == "python" and "from cloudflare import" in self.text

    @property
    def commands(self) -> list[str]:
        """The commands of a block in `console` (after `$ `), `sh` or `yaml` (of `run:`), without comments."""
        return [re.sub(r"\s+# .*", "", line).strip() for line in _COMMAND[self.language].findall(self.text)]


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of one page, in order. Raises ValueError for an info string of another form."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        info = _INFO.fullmatch(found["info"].strip())
        if info is None:
            raise ValueError(f"{page.name}:{line}: what is {found['info']!r}?")
        code = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        yield Block(page.relative_to(ROOT).as_posix(), line, info["language"], info["title"] or "", code)


def prose_of(page: Path) -> str:
    """A page without its blocks; the lines keep their numbers."""
    return _FENCE.sub(lambda found: "\n" * found[0].count("\n"), page.read_text(encoding="utf-8"))


def spans_of(page: Path) -> Iterator[tuple[int, str]]:
    """What stands between single backticks on a page, with its line."""
    for number, line in enumerate(prose_of(page).splitlines(), 1):
        yield from ((number, span) for span in _SPAN.findall(line))


BLOCKS: Final = [block for page in PAGES for block in blocks_of(page)]


def blocks_in(*languages: str) -> list[Block]:
    """The blocks in these languages, but for the pages that have a test of their own."""
    return [block for block in BLOCKS if block.language in languages and block.page not in ELSEWHERE]


def shown(line: str) -> str:
    """The pattern of a line of output, in which ids, durations, ages and spaces may differ."""
    text = re.escape(line.strip())
    text = re.sub(r"[0-9a-f]{8}", "[0-9a-f]{8}", text)
    text = re.sub(r"\d+\\ (?:ms|s|min)\b", r"\\d+\\s(?:ms|s|min)", text)
    return re.sub(r"(\\ )+", r"\\s+", text)
