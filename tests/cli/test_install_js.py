"""`emulator install-js`, with an npm that does as the test says, and with the real one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from emulator.cli import cli
from emulator.hosts.workerd import tools
from emulator.hosts.workerd.tools import (
    ESBUILD_VERSION,
    WORKERD_VERSION,
    cache_directory,
    find_package,
    find_workerd,
    installed_in,
)
from tests.support.node_tools import needs_node

INSTALLS = """#!/bin/sh
for name in @cloudflare/workerd-linux-64/bin/workerd @esbuild/linux-x64/bin/esbuild; do
  mkdir -p "node_modules/$(dirname "$name")"
  cp /bin/sh "node_modules/$name"
done
for name in @cloudflare/unenv-preset unenv; do
  mkdir -p "node_modules/$name"
  echo '{}' > "node_modules/$name/package.json"
done
echo run >> "$CALLS"
"""


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The npm on the PATH."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(tools, "_platform", lambda: ("linux", "x86_64"))
    return tmp_path / "npm"


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["install-js", *arguments])


def test_both_are_installed_once(npm: Path, tmp_path: Path) -> None:
    script(npm, INSTALLS)
    first = run()
    assert first.exit_code == 0, first.output
    assert f"Installing workerd {WORKERD_VERSION} and esbuild {ESBUILD_VERSION} ..." in first.output
    assert installed_in(cache_directory())
    assert "are already installed" in run().output
    assert (tmp_path / "calls").read_text() == "run\n"
    assert run("--force").exit_code == 0
    assert (tmp_path / "calls").read_text() == "run\nrun\n"
    assert [path.name for path in cache_directory().parent.iterdir()] == [cache_directory().name]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "#!/bin/sh\necho 'npm error network' >&2\nexit 7\n",
            "npm failed with status 7, and nothing was installed:\n  npm",
        ),
        ("#!/bin/sh\nexit 0\n", "nothing that runs on this platform"),
    ],
    ids=["fails", "installs nothing"],
)
def test_what_goes_wrong_is_told_and_leaves_nothing(npm: Path, text: str, said: str) -> None:
    script(npm, text)
    done = run()
    assert done.exit_code == 2
    assert said in done.output
    assert [*cache_directory().parent.iterdir()] == []


def test_without_npm_it_says_so(npm: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run()
    assert done.exit_code == 2
    assert "npm is not installed" in done.output


def test_a_cache_that_cannot_be_written_is_a_sentence(
    npm: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script(npm, INSTALLS)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    done = run()
    assert done.exit_code == 2
    assert "cannot install into" in done.output


@needs_node
def test_the_real_npm_installs_what_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EMULATOR_WORKERD", raising=False)
    done = run()
    assert done.exit_code == 0, done.output
    assert find_workerd(tmp_path).is_relative_to(cache_directory())
    preset = find_package("@cloudflare/unenv-preset", tmp_path)
    assert preset is not None
    assert preset.is_relative_to(cache_directory().resolve())
