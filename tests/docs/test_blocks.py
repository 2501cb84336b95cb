"""Every block of code says its language, and the tests beside this one run it. One that only shows something has its
reason here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import BLOCKS, PAGES, Block, blocks_in, blocks_of, prose_of

LANGUAGES = {"console", "ini", "js", "json", "jsonc", "python", "sh", "text", "toml", "ts", "yaml"}

SHOWN = {
    ("docs/architecture.md", "runtime/emulator_runtime/"): "the rooms, which test_pages.py compares with the packages",
    ("docs/architecture.md", "a person             a test"): "a drawing",
    ("docs/configuration.md", "wrangler.jsonc:"): "test_configuration_blocks.py makes each of these errors",
    ("docs/javascript.md", "Error: app failed to load;"): "the tests of esbuild's errors have it, with another file",
    ("docs/queues.md", "Warning: my-app-events moved 1 message"): "the tutorial has it, with another error",
    ("docs/queues.md", "web$ emulator dev -p 8787"): "two terminals side by side",
    ("docs/queues.md", "Messages are kept in .emulator;"): "tests/integration/test_persistence.py waits for it",
    ("docs/rest-api.md", "http://localhost:8787/cdn-cgi/"): "an address",
    ("docs/rest-api.md", "Ready on http://0.0.0.0:8787"): "tests/integration/test_rest_api.py waits for it",
    ("docs/analytics.md", "SELECT blob1 AS city"): "tests/bindings/analytics has it",
    ("docs/telemetry.md", "GET /sign-up"): "a drawing of what tests/integration/test_telemetry.py finds",
    ("docs/terminal.md", "sign-up  src/entry.py  fetch, queue"): "the tutorial has it, without a cron",
    ("docs/why.md", "$ emulator why b5ceb99f"): "cut short; tests/dashboard/test_stories.py has all of it",
    ("docs/why.md", "$ emulator messages"): "tests/cli/test_listing.py prints such a table",
    ("docs/why.md", ">    6      raise ConnectionError"): "a part of that; tests/dashboard/test_stories.py has it",
    ("docs/testing.md", "Chaos, seed 4."): "the order of what chaos does differs with each test",
    ("docs/testing.md", "------------------------------ Emulator"): "tests/testing/test_docs_testing.py makes it",
}
"""Blocks in `text`, by page and beginning, and why nothing here runs them."""


def reasons(block: Block) -> list[tuple[str, str]]:
    start = block.text.strip()
    return [(page, begins) for page, begins in SHOWN if page == block.page and start.startswith(begins)]


def test_every_block_says_what_language_it_is_in() -> None:
    assert [f"{block}: {block.language!r}" for block in BLOCKS if block.language not in LANGUAGES] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_code_stands_outside_of_a_block(page: Path) -> None:
    assert re.findall(r"(?<=\n\n)    +[^\s*-].*", prose_of(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_fence_belongs_to_a_block(page: Path) -> None:
    assert "```" not in prose_of(page)


@pytest.mark.parametrize("block", blocks_in("text"), ids=str)
def test_what_is_only_shown_has_a_reason(block: Block) -> None:
    assert len(reasons(block)) == 1


def test_every_reason_is_of_a_block() -> None:
    assert set(SHOWN) == {reason for block in blocks_in("text") for reason in reasons(block)}


def test_a_block_is_found_with_its_line_and_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '# A\n\n- x\n\n  ```python title="a.py"\n  def f():\n      pass\n  ```\n\n```sh\n# b\nls # c\n```\n'
    )
    monkeypatch.setattr("tests.docs.blocks.ROOT", tmp_path)
    first, second = blocks_of(page)
    assert first == Block("page.md", 5, "python", "a.py", "def f():\n    pass\n")
    assert (second.line, second.commands) == (10, ["ls"])
    assert prose_of(page).count("\n") == 13
