from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.base.bus import Notice
from emulator.base.errors import EmulatorError
from emulator.bindings.assets.config import Assets
from emulator.bindings.assets.files import MAX_FILE_BYTES, AssetDirectory, content_type
from emulator.bindings.assets.rules import read_headers, read_redirects
from emulator.bindings.assets.site import Asked, Site
from emulator.testing import Emulator

Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def public(tmp_path: Path) -> Write:
    def write(files: dict[str, str]) -> Path:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return tmp_path

    return write


def test_what_is_ignored_is_not_served(public: Write) -> None:
    lines = "# comment\n*.map\n/secret\nbuild/\n!keep.map\ndocs/*.txt\n"
    names = ["a.js", "a.js.map", "keep.map", "secret/x", "sub/secret/x", "sub/build/x", "docs/a.txt", "docs/sub/a.txt"]
    files = AssetDirectory(public({".assetsignore": lines, "_headers": "", **dict.fromkeys(names, "x")}))
    assert list(files.paths()) == ["/a.js", "/keep.map", "/docs/sub/a.txt", "/sub/secret/x"]
    assert not files.has("/_headers")
    assert not files.has("/.assetsignore")


@pytest.mark.parametrize("path", ["/../x", "/sub/../../x", "", "x", "//x", "/sub/", "/sub", "/./x", "/x\0"])
def test_nothing_outside_is_served(public: Write, path: str) -> None:
    root = public({"x": "outside", "public/sub/y": "inside"})
    assert AssetDirectory(root / "public").read(path) is None


def test_a_change_is_seen_at_once(public: Write) -> None:
    root = public({"a.txt": "one"})
    os.utime(root / "a.txt", (1, 1))
    files = AssetDirectory(root)
    first = files.read("/a.txt")
    assert first is not None
    assert files.read("/a.txt") is first  # held in memory
    (root / "a.txt").write_text("another")
    second = files.read("/a.txt")
    assert second is not None
    assert (second.content, second.etag != first.etag) == (b"another", True)
    (root / "a.txt").unlink()
    assert files.read("/a.txt") is None


def test_a_file_that_is_too_large_is_a_sentence(public: Write) -> None:
    root = public({"big": ""})
    with (root / "big").open("r+b") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(EmulatorError, match=r"big has 26,214,401 bytes, and an asset may have 26,214,400"):
        AssetDirectory(root).read("/big")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a.HTML", "text/html; charset=utf-8"),
        ("/a.mjs", "text/javascript; charset=utf-8"),
        ("/a.woff2", "font/woff2"),
        ("/noending", ""),
    ],
)
def test_types(path: str, expected: str) -> None:
    assert content_type(path) == expected


def test_lines_without_effect_say_why() -> None:
    rules, problems = read_redirects("/a /b\n/a /c\nno /b\n/c /d 999\n/d\n/e https://x 200\n/f nowhere\n")
    assert [(rule.source, rule.to, rule.status) for rule in rules] == [("/a", "/b", 302)]
    assert [(problem.line, problem.text) for problem in problems] == [
        (2, "there is a rule for /a already"),
        (3, "no must begin with / or https://"),
        (4, "the status must be one of 200, 301, 302, 303, 307, 308, not 999"),
        (5, "it must be: SOURCE DESTINATION [STATUS]"),
        (6, "a rule with status 200 leads to a path"),
        (7, "nowhere must be a path or a URL"),
    ]
    _, many = read_redirects("".join(f"/{number}/* /b\n" for number in range(101)))
    assert [problem.text for problem in many] == ["there are more than 100 rules with splats or placeholders"]
    found, wrong = read_headers("X: 1\n/a\n  X: 1\n  nothing\n  Y:\n/b\n")
    assert [(rule.source, rule.set) for rule in found] == [("/a", [("x", "1")])]
    assert [problem.line for problem in wrong] == [1, 4, 5]


def test_rules_may_change_and_be_wrong_while_it_runs(tmp_path: Path, public: Write) -> None:
    public({"public/index.html": "home", "wrangler.json": '{"name": "a", "assets": {"directory": "public"}}'})
    with Emulator(tmp_path / "wrangler.json") as emulator:
        told: list[str] = []
        emulator._core.bus.subscribe(Notice, lambda notice: told.append(notice.text))
        assert emulator.get("/old").status_code == 404
        (tmp_path / "public/_redirects").write_text("/old /new\nwrong\n")
        for _ in range(2):
            assert emulator.get("/old").headers["location"].endswith("/new")
        assert told == ["_redirects:2 has no effect: it must be: SOURCE DESTINATION [STATUS]"]
        assert emulator.assets().paths == ["/index.html"]
        with pytest.raises(EmulatorError, match="there is no asset /absent"):
            emulator.assets("a").read("/absent")


def test_a_directory_that_is_not_there_is_said(tmp_path: Path, public: Write) -> None:
    public({"wrangler.json": '{"name": "a", "assets": {"directory": "dist"}}'})
    with Emulator(tmp_path / "wrangler.json") as emulator:
        assert emulator.get("/").status_code == 404
        public({"dist/index.html": "built later"})
        assert emulator.get("/").text == "built later"


def test_an_answer_that_is_known_changes_with_every_file_that_it_depends_on(tmp_path: Path, public: Write) -> None:
    root = public({"page.html": "a page", "sub/x.txt": "text"})
    answers: list[str] = []
    site = Site(Assets(root, not_found_handling="404-page"), root, answers.append)
    asked = Asked("GET", "http://localhost/page")

    def settle() -> None:
        """Let all files be old enough for their answers to be kept."""
        for file in root.rglob("*"):
            if file.is_file():
                os.utime(file, ns=(0, file.stat().st_mtime_ns - 10**9))

    def said(url: str = "http://localhost/page") -> tuple[int, bytes, dict[bytes, bytes]]:
        first, again = site.answer(asked._replace(url=url)), site.answer(asked._replace(url=url))
        assert again is first
        return first.status, first.body, dict(first.headers)

    settle()
    assert said()[:2] == (200, b"a page")
    (root / "page.html").write_text("a better page")
    settle()
    assert said()[:2] == (200, b"a better page")
    (root / "_headers").write_text("/page\n  X-Made: here\n")
    settle()
    assert said()[2][b"x-made"] == b"here"
    (root / "_redirects").write_text("/page /sub/x.txt 302\n")
    settle()
    assert (said()[0], said()[2][b"location"]) == (302, b"/sub/x.txt")
    (root / "_redirects").unlink()
    (root / ".assetsignore").write_text("page.html\n")
    settle()
    assert said()[0] == 404
    (root / "404.html").write_text("nothing here")
    settle()
    assert said()[:2] == (404, b"nothing here")
    (root / ".assetsignore").unlink()
    assert said()[:2] == (200, b"a better page")
    (root / "page.html").unlink()
    (root / "404.html").unlink()
    assert said()[0] == 404


def test_an_answer_made_of_a_file_that_has_just_changed_is_not_kept(public: Write) -> None:
    root = public({"a.txt": "one"})
    site = Site(Assets(root), root, print)
    version = (root / "a.txt").stat()
    asked = Asked("GET", "http://localhost/a.txt")
    assert site.answer(asked).body == b"one"
    (root / "a.txt").write_text("two")
    os.utime(root / "a.txt", ns=(version.st_atime_ns, version.st_mtime_ns))  # as if within one step of its clock
    assert site.answer(asked).body == b"two"


def test_the_answers_that_are_known_are_not_endless(public: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.bindings.assets.recall.MOST_ANSWERS", 10)
    site = Site(Assets(root := public({})), root, print)
    for number in range(35):
        site.answer(Asked("GET", f"http://localhost/{number}"))
    assert len(site._alone._known) == 5
