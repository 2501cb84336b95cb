"""The documentation names files, sections and packages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from emulator.cli.reference import reference
from tests.docs.blocks import PAGES, ROOT

TOP = ("bench", "docs", "emulator", "examples", "runtime", "templates", "tests")
ROOMS = sorted(path.name for path in (ROOT / "emulator").iterdir() if (path / "__init__.py").exists())
BASES = (ROOT, ROOT / "emulator", ROOT / "runtime", ROOT / "docs")
GENERATED = ("bench/node_modules", "bench/results")
PLACEHOLDER = re.compile(r"/[A-Z]+\b(?!\.md)")


def named_files(text: str) -> set[str]:
    """What `text` names below a directory of the project, or below a room of `emulator`, which pages may leave out."""
    first = "|".join([*TOP, "emulator_runtime", *ROOMS])
    names = {name.rstrip("/.") for name in re.findall(rf"(?<![\w./@=-])((?:{first})/[\w./-]+)", text)}
    return {name for name in names if not name.startswith(GENERATED) and not PLACEHOLDER.search(name)}


def exists(name: str) -> bool:
    return any((base / f"{name}{suffix}").exists() for base in BASES for suffix in ("", ".py"))


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    assert [name for name in sorted(named_files(page.read_text(encoding="utf-8"))) if not exists(name)] == []


def test_a_name_of_no_file_would_be_found() -> None:
    text = "See `queues/contract.py`, `emulator/log/gone.py`, templates/python-queue/src/mail.py:6 and `src/entry.py`."
    names = named_files(text)
    assert names == {"queues/contract.py", "emulator/log/gone.py", "templates/python-queue/src/mail.py"}
    assert [name for name in sorted(names) if not exists(name)] == ["emulator/log/gone.py"]


def test_every_file_that_the_architecture_names_without_its_directory_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    code = {path.name for base in BASES[1:] for path in base.rglob("*") if path.suffix in (".py", ".js")}
    assert sorted(set(re.findall(r"`(\w+\.(?:py|js))`", text)) - code) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_the_picture_of_the_rooms_shows_every_package() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    [picture] = re.findall(r"```text\n(runtime/.*?)```", text, re.DOTALL)
    assert sorted(re.findall(r"^  (\w+)/", picture, re.MULTILINE)) == ROOMS


def test_every_page_can_be_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES[2:] if f"(docs/{page.name})" not in readme] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 100


def test_the_manual_of_the_command_line_is_what_its_help_says() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == reference(), "run: python -m emulator.cli.reference"


def test_every_section_about_differences_is_in_the_table_of_them() -> None:
    told = (ROOT / "docs" / "faithful.md").read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs").glob("*.md")):
        for heading in re.findall(
            r"^## (.*(?:differ|not emulated).*)$", page.read_text(encoding="utf-8"), re.MULTILINE
        ):
            anchor = heading.lower().replace(" ", "-")
            assert page.name == "faithful.md" or f"({page.name}#{anchor})" in told


def test_every_page_is_on_the_site() -> None:
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page.name for page in PAGES[2:] if page.name not in re.findall(r"[\w-]+\.md", site)] == []
