"""The sentences that docs/how-to.md explains are those that the code says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs/how-to.md").read_text(encoding="utf-8")
SENTENCES = re.findall(r"^\| `([^`]+)` \|", PAGE.partition("what an error means")[2], re.MULTILINE)
_PLACEHOLDER = re.compile(r"\b[A-Z]{2,}\b")


def _texts() -> Iterator[str]:
    """Every text in the code; what is put into one when it runs is `{}`."""
    for path in (*(ROOT / "emulator").rglob("*.py"), *(ROOT / "runtime").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    for path in (ROOT / "emulator").rglob("*.js"):
        yield re.sub(r"\$\{[^}]*\}", "{}", path.read_text(encoding="utf-8"))


@cache
def said() -> str:
    """Every text in the code, with a NUL between two of them."""
    return "\0".join(_texts())


def is_said(sentence: str) -> bool:
    """Whether the code has a sentence, in which words in capitals stand for something."""
    parts = _PLACEHOLDER.split(sentence)
    words = _PLACEHOLDER.findall(sentence)
    pattern = re.escape(parts[0])
    for word, part in zip(words, parts[1:], strict=True):
        pattern += rf"(?:\{{\}}|{word}){re.escape(part)}"
    return re.search(pattern, said()) is not None


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_code_says_what_is_explained(sentence: str) -> None:
    assert is_said(sentence)


def test_there_are_sentences_and_one_that_is_not_said_would_be_found() -> None:
    assert len(SENTENCES) > 30
    assert not is_said("Port PORT is taken on HOST")
    assert not is_said("No emulator runs")


def test_no_sentence_is_there_twice() -> None:
    assert len(set(SENTENCES)) == len(SENTENCES)
