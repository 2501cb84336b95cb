"""`emulator completion`: what it prints completes commands, in a real shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from emulator.cli import cli


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(shell: str) -> None:
    script = CliRunner().invoke(cli, ["completion", shell])
    assert script.exit_code == 0
    assert "_EMULATOR_COMPLETE" in script.output


def test_an_unknown_shell_names_the_known_ones() -> None:
    refused = CliRunner().invoke(cli, ["completion", "tcsh"])
    assert refused.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in refused.output


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_a_command_and_an_option(tmp_path: Path) -> None:
    program = tmp_path / "emulator"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from emulator.cli import main; main()" "$@"\n')
    program.chmod(0o700)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }

    def complete(line: str) -> list[str]:
        words = line.split(" ")
        given = {
            **environment,
            "_EMULATOR_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": f"{len(words) - 1}",
        }
        done = subprocess.run([str(program)], env=given, capture_output=True, text=True, check=True)
        return [found.partition(",")[2] for found in done.stdout.split()]

    assert complete("emulator comp") == ["completion"]
    assert "--persist-to" in complete("emulator dev --per")
    assert complete("emulator dev --htt") == ["--https", "--https-cert-path", "--https-key-path"]
    assert complete("emulator dev --log-level w") == ["warning"]
    assert {"--ip", "--env-file"} <= {*complete("emulator dev --i"), *complete("emulator dev --env-")}
    script = f'source <("{program}" completion bash); complete -p emulator'
    sourced = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "emulator" in sourced.stdout
