"""Asks wrangler itself what it reads in configurations."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

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


def vars_in_wrangler(node: str, directory: Path, texts: Sequence[str]) -> list[str | None]:
    """`vars` of each text of a configuration, as JSON; None for one that wrangler refuses. `node` runs it."""
    run = subprocess.run(
        [node, "-e", _READ, str(tool(WRANGLER).parents[1] / "wrangler-dist/cli.js")],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        cwd=directory,
        env={**os.environ, "HOME": str(directory), "WRANGLER_SEND_METRICS": "false"},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answers: list[str | None] = json.loads(run.stdout.strip().splitlines()[-1])
    return answers
