"""`pytest --emulator-trace`: each failed test is one file for the browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import emulator.testing.core
import emulator.testing.transport  # noqa: F401 - loaded here once, so that pytester does not load it for each run
from emulator.cli.init import create

pytest_plugins = ["pytester"]

HOSTILE = "<img src=x onerror=alert(1)></pre><script>alert(2)</script>"

TESTS = f"""
    import pytest

    def test_passes(emulator):
        assert emulator.get("/").status_code == 200

    @pytest.mark.parametrize("case", ["a/b", "<c>"])
    def test_dies(emulator, case):
        emulator.post("/signup", json={{"email": "nobody@fail.example"}})
        emulator.queue("my-app-events").send({{"type": {HOSTILE!r}}})
        emulator.run_until_idle()
        assert emulator.queue("my-app-events-dlq").messages == []

    def test_needs_no_emulator():
        assert 1 == 2
    """


class Elements(HTMLParser):
    """Counts the elements and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen += [tag, *(name for name, _ in attrs)]


@pytest.fixture
def shop(pytester: pytest.Pytester) -> Path:
    create(pytester.path, "python-queue", "shop")
    (pytester.path / "tests" / "test_sign_up.py").unlink()
    pytester.makepyfile(TESTS)
    return pytester.path


def test_each_failed_test_that_had_an_emulator_is_a_file(shop: Path, pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("--emulator-trace", "traces", "-k", "not no_emulator")
    result.assert_outcomes(passed=1, failed=2)
    files = sorted((shop / "traces").iterdir())
    assert len(files) == 2
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+\.html", file.name) for file in files)
    page = files[0].read_text()
    assert "retried" in page
    assert "ConnectionError: the mail service did not take the e-mail to nobody@fail.example" in page
    assert "emulator.queue(&#34;my-app-events-dlq&#34;).messages == []" in page
    assert "+0.000 s" in page
    assert str(files[0]) in result.stdout.str()


def test_the_file_shows_local_variables_where_they_are_wanted(shop: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        entry="""
        from workers import WorkerEntrypoint

        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                items = ["<b>", self.env.API_KEY]
                try:
                    place(items, "<i>")
                except ValueError as error:
                    raise LookupError("no") from error

        def place(items, wanted):
            return items.index(wanted)
        """,
        test_locals="""
        import pytest

        from emulator.testing import Emulator

        @pytest.mark.parametrize("wanted", [False, True])
        def test_fails(wanted):
            secrets = {"API_KEY": "sk-live-1"}
            with Emulator(main="entry.py", secrets=secrets, raise_errors=False, locals=wanted) as emulator:
                emulator.get("/")
                assert 1 == 2
        """,
    )
    pytester.runpytest_inprocess("--emulator-trace", "traces", "test_locals.py").assert_outcomes(failed=2)
    [hidden] = (shop / "traces").glob("*False*")
    [shown] = (shop / "traces").glob("*True*")
    assert "<dt>items</dt><dd>[&#39;&lt;b&gt;&#39;, &#39;(secret API_KEY)&#39;]</dd>" in shown.read_text()
    assert "<dt>wanted</dt><dd>&#39;&lt;i&gt;&#39;</dd>" in shown.read_text()
    assert '<p class="text">ValueError: &#39;&lt;i&gt;&#39; is not in list</p>' in shown.read_text()
    assert "Local variables" not in hidden.read_text()


def test_nothing_in_the_file_comes_alive(shop: Path, pytester: pytest.Pytester) -> None:
    pytester.runpytest_inprocess("--emulator-trace", "traces", "-k", "dies")
    for file in (shop / "traces").iterdir():
        page = file.read_text()
        assert "onerror=alert(1)" in page
        seen = Elements(page).seen
        assert "script" not in seen
        assert "img" not in seen
        assert not [name for name in seen if name.startswith("on") or name in ("src", "href")]


def test_a_directory_that_cannot_be_made_is_a_sentence(shop: Path, pytester: pytest.Pytester) -> None:
    (shop / "traces").write_text("a file")
    result = pytester.runpytest_inprocess("--emulator-trace", "traces", "-k", "dies")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["traces: the trace cannot be written: *"])


def test_without_the_option_nothing_is_written(shop: Path, pytester: pytest.Pytester) -> None:
    before = {path.name for path in shop.iterdir()}
    pytester.runpytest_inprocess("-k", "dies", "-p", "no:cacheprovider")
    assert {path.name for path in shop.iterdir()} - before <= {"__pycache__"}
