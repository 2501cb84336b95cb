"""Asks wrangler itself what it reads in configurations."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.node_tools import WRANGLER, tool

_READ = """
const { unstable_readConfig } = require(process.argv[1]);
const fs = require("fs");
const answers = JSON.parse(fs.readFileSync(0, "utf8")).map((text) => {
  fs.writeFileSync("wrangler.jsonc", text);
  try { return JSON.stringify(unstable_readConfig({ config: "wrangler.jsonc" }).vars); } catch { return null; }
});
console.log(JSON.stringify(answers));
"""

_SAY = """
const { unstable_readConfig } = require(process.argv[1]);
const fs = require("fs");
const write = console.log;
const answers = JSON.parse(fs.readFileSync(0, "utf8")).map((text) => {
  let answer = "takes";
  console.log = console.warn = () => { answer = "warns"; };
  fs.writeFileSync("wrangler.jsonc", text);
  try { unstable_readConfig({ config: "wrangler.jsonc" }); return answer; } catch { return "refuses"; }
});
write(JSON.stringify(answers));
"""


def vars_in_wrangler(node: str, directory: Path, texts: Sequence[str]) -> list[str | None]:
    """`vars` of each text of a configuration, as JSON; None for one that wrangler refuses. `node` runs it."""
    answers: list[str | None] = _ask(_READ, node, directory, texts)
    return answers


def verdicts_of_wrangler(node: str, directory: Path, texts: Sequence[str]) -> list[str]:
    """What wrangler does with each text of a configuration: `takes`, `warns` or `refuses`. `node` runs it."""
    answers: list[str] = _ask(_SAY, node, directory, texts)
    return answers


def _ask(code: str, node: str, directory: Path, texts: Sequence[str]) -> Any:
    run = subprocess.run(
        [node, "-e", code, str(tool(WRANGLER))],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        cwd=directory,
        env={**os.environ, "HOME": str(directory), "WRANGLER_SEND_METRICS": "false"},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.strip().splitlines()[-1])
