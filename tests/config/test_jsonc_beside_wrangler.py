"""What wrangler itself takes, of the ways to write JSON: the word of our own reader about it must be true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.config import jsonc
from emulator.config.document import DocumentSyntaxError
from tests.config.wrangler import vars_in_wrangler
from tests.support.node_tools import needs_node

FORMS = {
    '"vars": {"A": 1}': True,
    '"vars": {"A": 1,},': True,
    '/* a */ "vars": {} // b': True,
    '"vars": {"A": 1 // a\r, "B": 2\r\n}': True,
    '"vars": {"A": 1 // a\u2028, "B": 2\n}': True,
    "vars: {}": False,
    "\"vars\": {'A': 1}": False,
    '"vars": {"A": \'x\'}': False,
    '"vars": {"A": 0x10}': False,
    '"vars": {"A": +1}': False,
    '"vars": {"A": .5}': False,
    '"vars": {"A": 5.}': False,
    '"vars": {"A": NaN}': False,
    '"vars": {"A": "\t"}': False,
    '"vars": {"A": "\\x41"}': False,
    '"vars": {"A": "\\\n"}': False,
    '\u00a0"vars": {}': False,
    '\v"vars": {}': False,
    '"vars": {},,': False,
}


@needs_node
def test_our_reader_takes_what_wrangler_takes(tmp_path: Path, newest_node: str) -> None:
    base = '{"name": "demo", "main": "entry.js", "compatibility_date": "2026-01-31",'
    texts = [f"{base} {form}\n}}" for form in FORMS]
    (tmp_path / "entry.js").touch()
    answers = vars_in_wrangler(newest_node, tmp_path, texts)
    assert dict(zip(FORMS, [answer is not None for answer in answers], strict=True)) == FORMS
    for text, answer in zip(texts, answers, strict=True):
        if answer is None:
            with pytest.raises(DocumentSyntaxError):
                jsonc.parse(text)
        else:
            data = jsonc.parse(text).data
            assert isinstance(data, dict)
            assert data.get("vars", {}) == json.loads(answer)
