"""What wrangler itself takes, of the ways to write JSON: the word of our own reader about it must be true."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from emulator.config import jsonc
from emulator.config.document import DocumentSyntaxError
from tests.support.node_tools import WRANGLER, needs_node, tool

READ = """
const { unstable_readConfig } = require(process.argv[1]);
const fs = require("fs");
const answers = JSON.parse(fs.readFileSync(0, "utf8")).map((text) => {
  fs.writeFileSync("wrangler.jsonc", text);
  try { return JSON.stringify(unstable_readConfig({ config: "wrangler.jsonc" }).vars); } catch { return null; }
});
console.log(JSON.stringify(answers));
"""
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
    run = subprocess.run(
        [newest_node, "-e", READ, str(tool(WRANGLER).parents[1] / "wrangler-dist/cli.js")],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "WRANGLER_SEND_METRICS": "false"},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answers = json.loads(run.stdout.strip().splitlines()[-1])
    assert dict(zip(FORMS, [answer is not None for answer in answers], strict=True)) == FORMS
    for text, answer in zip(texts, answers, strict=True):
        if answer is None:
            with pytest.raises(DocumentSyntaxError):
                jsonc.parse(text)
        else:
            data = jsonc.parse(text).data
            assert isinstance(data, dict)
            assert data.get("vars", {}) == json.loads(answer)
