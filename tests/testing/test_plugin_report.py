"""What the report of a failing test tells: a timeline, and only where it helps."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

import emulator.log.text
import emulator.testing.core
import emulator.testing.transport  # noqa: F401 - loaded here once, so that pytester does not load it for each run
from emulator.cli.init import create

pytest_plugins = ["pytester"]


@pytest.fixture
def shop(pytester: pytest.Pytester) -> Path:
    create(pytester.path, "python-queue", "shop")
    (pytester.path / "tests" / "test_sign_up.py").unlink()
    return pytester.path


def timeline_of(pytester: pytest.Pytester, source: str, *options: str) -> str:
    """Run one failing test; the text of its timeline."""
    pytester.makepyfile(source)
    result = pytester.runpytest_inprocess("-W", "error", "-rN", *options)
    output = result.stdout.str()
    assert "Emulator timeline" in output, output
    section = output.partition("Emulator timeline")[2].partition("\n")[2]
    lines = []
    for line in section.splitlines():
        if line.startswith(("===", "---", "___")):
            break
        lines.append(line)
    return "\n".join(lines)


def without_ids(text: str) -> str:
    return re.sub(r"\b[0-9a-f]{8}\b", "ID", text)


def test_everything_is_told_in_order_with_virtual_times(shop: Path, pytester: pytest.Pytester) -> None:
    text = timeline_of(
        pytester,
        """
        def test_it(emulator):
            emulator.post("/signup", json={"email": "ada@example.com"})
            emulator.queue("my-app-events").send({"type": "boom"})
            emulator.run_until_idle()
            assert 0
        """,
    )
    expected = """\
        +0.000 s  sent      ID to my-app-events by shop: {'type': 'welcome-email', 'email': 'ada@example.com'}
                  request   POST /signup 200 OK
                  sent      ID to my-app-events by the test: {'type': 'boom'}
        +5.000 s  print     Welcome e-mail from hello@sign-up.example to ada@example.com
                  batch     my-app-events: acked ID; to be retried: ID (attempt 1)
                            ID: ConnectionError: boom (src/entry.py:55)
       +10.000 s  batch     my-app-events: to be retried: ID (attempt 2)
                            ID: ConnectionError: boom (src/entry.py:55)
       +15.000 s  batch     my-app-events: to be retried: ID (attempt 3)
                            ID: ConnectionError: boom (src/entry.py:55)
       +20.000 s  batch     my-app-events: out of retries: ID, moved to my-app-events-dlq (attempt 4)
                            ID: ConnectionError: boom (src/entry.py:55)"""
    assert textwrap.dedent(without_ids(text)) == textwrap.dedent(expected)


def test_a_passing_test_shows_nothing(shop: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_passes(emulator):
            emulator.post("/signup", json={"email": "ada@example.com"})

        def test_fails_without_an_emulator():
            assert 0
        """)
    result = pytester.runpytest_inprocess("-rA")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*Emulator timeline*")


def test_an_injected_fault_is_told_with_its_batch(shop: Path, pytester: pytest.Pytester) -> None:
    text = timeline_of(
        pytester,
        """
        def test_it(emulator):
            emulator.queue("my-app-events").send({"type": "x"})
            emulator.queue("my-app-events").fail_next()
            emulator.advance(seconds=5)
            assert 0
        """,
    )
    assert "to be retried: ID (attempt 1) because of ConnectionError: made to fail by the test" in without_ids(text)


def test_outgoing_requests_and_direct_calls_are_told(pytester: pytest.Pytester) -> None:
    text = timeline_of(
        pytester,
        """
        from emulator.testing import Emulator

        WORKER = '''
            import asyncio
            from workers import Response, WorkerEntrypoint, fetch

            class Default(WorkerEntrypoint):
                async def fetch(self, request):
                    await asyncio.sleep(30)
                    await fetch("https://known.example/")
                    await fetch("https://unknown.example/")
                    return Response("ok")

                async def scheduled(self, controller, env, ctx):
                    print("scheduled")

                async def queue(self, batch, env, ctx):
                    batch.retryAll()
            '''

        def test_it():
            with Emulator(main=WORKER, queues={"consumers": [{"queue": "jobs"}]}) as emulator:
                emulator.outbound.get("https://known.example/", json={})
                emulator.dispatch_queue("jobs", ["a", "b"])
                emulator.dispatch_scheduled("0 8 * * *")
                emulator.get("/")
        """,
    )
    assert "+0.000 s  dispatch  2 to the consumer of jobs, by the test: ok" in text
    assert "scheduled 0 8 * * * at 2027-01-15 08:00:00, by the test" in text
    assert "print     scheduled" in text
    assert "+30.000 s  fetch     GET https://known.example/ 200" in text
    assert "fetch     GET https://unknown.example/: no route answers it" in text


def test_with_several_workers_each_line_tells_whose_it_is(pytester: pytest.Pytester) -> None:
    for name, template in (("web", "python-queue"), ("api", "python-fetch")):
        create(pytester.path / name, template, name)
    text = timeline_of(
        pytester,
        """
        import pytest

        @pytest.mark.emulator(config=["web/wrangler.jsonc", "api/wrangler.jsonc"])
        def test_it(emulator):
            emulator.post("/signup", json={"email": "ada@example.com"})
            emulator.get("http://api.localhost/hello/Ada")
            emulator.run_until_idle()
            assert 0
        """,
        "test_with_several_workers_each_line_tells_whose_it_is.py",
    )
    assert "request   POST /signup 200 OK (web)" in text
    assert "request   GET /hello/Ada 200 OK (api)" in text
    assert "batch     my-app-events to web: acked ID" in without_ids(text)


def test_a_long_story_is_cut(shop: Path, pytester: pytest.Pytester) -> None:
    text = timeline_of(
        pytester,
        """
        def test_it(emulator):
            for number in range(150):
                emulator.post("/signup", json={"email": f"{number}@example.com"})
            emulator.queue("my-app-events").send_batch(["long" * 1000] * 50)
            assert 0
        """,
    )
    lines = text.splitlines()
    assert lines[0] == "(366 earlier entries are left out)"
    assert len(lines) < 120
    assert max(map(len, lines)) < 300
    assert lines[-1].strip() == "and 45 more"


def test_emulators_that_a_test_opened_itself_are_told(shop: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest
        from emulator.testing import Emulator

        def test_the_one_that_failed():
            for number in range(5):
                with Emulator() as emulator:
                    emulator.get(f"/{number}")
                    assert number < 3

        def test_after_one_that_was_meant_to_fail():
            with pytest.raises(ZeroDivisionError), Emulator() as emulator:
                emulator.get("/meant")
                1 / 0
            with Emulator() as emulator:
                emulator.get("/the-next")
                assert 0

        def test_after_it_was_closed():
            with Emulator() as emulator:
                emulator.get("/closed")
            assert 0

        def test_two():
            with Emulator() as one, Emulator() as two:
                one.get("/one")
                two.get("/two")
                assert 0
        """)
    result = pytester.runpytest_inprocess("-W", "error")
    result.assert_outcomes(failed=4)
    output = result.stdout.str()
    assert "request   GET /the-next 404" in output
    assert "request   GET /meant 404" not in output
    assert "request   GET /3 404" in output
    assert "request   GET /2 404" not in output
    assert "request   GET /closed 404" in output
    assert "Emulator timeline 1" in output
    assert "Emulator timeline 2" in output
    assert output.count("request   GET /one 404") == output.count("request   GET /two 404") == 1


def test_an_emulator_that_tests_share_keeps_its_story(shop: Path, pytester: pytest.Pytester) -> None:
    text = timeline_of(
        pytester,
        """
        import pytest
        from emulator.testing import Emulator

        @pytest.fixture(scope="module")
        def shared():
            with Emulator() as emulator:
                yield emulator

        def test_first(shared):
            shared.get("/first")

        def test_second(shared):
            assert 0
        """,
    )
    assert "request   GET /first 404" in text


def test_an_error_after_the_test_tells_what_is_new(shop: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.fixture
        def checked(emulator):
            yield emulator
            emulator.get("/after")
            assert 0

        def test_passes(checked):
            checked.get("/during")

        def test_fails(emulator):
            emulator.get("/alone")
            assert 0
        """)
    result = pytester.runpytest_inprocess("-W", "error")
    result.assert_outcomes(passed=1, failed=1, errors=1)
    output = result.stdout.str()
    assert output.count("request   GET /after 404") == 1
    assert output.count("request   GET /alone 404") == 1


def test_a_handler_that_raises_shows_the_users_code_only(shop: Path, pytester: pytest.Pytester) -> None:
    (shop / "src" / "page.py").write_text("PAGE = 1 / 1\n")
    entry = shop / "src" / "entry.py"
    entry.write_text(entry.read_text().replace("url = urlsplit(request.url)", "url = urlsplit(request.nothing)", 1))
    pytester.makepyfile("""
        def test_it(emulator):
            emulator.get("/")
        """)
    result = pytester.runpytest_inprocess("-W", "error")
    result.assert_outcomes(failed=1)
    output = result.stdout.str()
    assert "url = urlsplit(request.nothing)" in output
    assert "error     in GET /: AttributeError: " in output
