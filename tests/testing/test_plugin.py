"""The pytest plugin, through pytest: fixtures, marks, settings, and where a configuration is looked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import emulator.log.text
import emulator.testing.core
import emulator.testing.transport  # noqa: F401 - loaded here once, so that pytester does not load it for each run
from emulator.cli.init import create
from emulator.cli.templates import template_names
from tests.support.node_tools import needs_node

pytest_plugins = ["pytester"]


@pytest.fixture
def shop(pytester: pytest.Pytester) -> Path:
    """The worker of `emulator init` in the directory where pytest runs, without its tests."""
    create(pytester.path, "python-queue", "shop")
    (pytester.path / "tests" / "test_sign_up.py").unlink()
    return pytester.path


SENDS = """
    def test_sends(emulator):
        emulator.post("/signup", json={"email": "ada@example.com"})
        [delivery] = emulator.advance(seconds=5)
        assert delivery.outcome == "ok"
    """


@pytest.mark.parametrize(
    "template",
    [pytest.param(name, marks=() if name.startswith("python") else needs_node) for name in template_names()],
)
def test_the_tests_of_a_template_pass(template: str, pytester: pytest.Pytester, request: pytest.FixtureRequest) -> None:
    if not template.startswith("python"):
        request.getfixturevalue("javascript")
    create(pytester.path, template, "shop")
    result = pytester.runpytest_inprocess("-W", "error", "--strict-markers")
    outcomes = result.parseoutcomes()
    assert outcomes.keys() == {"passed"}, result.stdout.str()
    assert outcomes["passed"] >= 3


def test_each_case_of_a_parametrised_test_gets_an_emulator_of_its_own(shop: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.mark.parametrize("case", range(3))
        def test_fresh(emulator, case):
            assert emulator.queue("my-app-events").messages == []
            assert f"{emulator.now:%H:%M:%S}" == "08:00:00"
            emulator.queue("my-app-events").send(case)
            emulator.advance(seconds=1)
        """)
    pytester.runpytest_inprocess("-W", "error").assert_outcomes(passed=3)


def test_an_async_test_takes_async_emulator(shop: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import asyncio
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_under_anyio(async_emulator):
            assert (await async_emulator.get("/")).status_code == 200

        def test_under_asyncio(async_emulator):
            async def main():
                await async_emulator.queue("my-app-events").send("x")
                return await async_emulator.advance(seconds=5)

            assert len(asyncio.run(main())) == 1
        """)
    pytester.runpytest_inprocess("-W", "error").assert_outcomes(passed=2)


def test_an_async_test_that_takes_the_wrong_fixture_is_told_so(shop: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.mark.anyio
        async def test_wrong(emulator):
            emulator.get("/")
        """)
    result = pytester.runpytest_inprocess("-W", "error", "-k", "asyncio")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["test_wrong?asyncio? is async, but the fixture emulator is for tests that are not", "  Use async_emulator *"]
    )
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_a_test_that_does_not_await_is_told_so(shop: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_wrong(async_emulator):
            response = async_emulator.get("/")
            assert response.json()
        """)
    result = pytester.runpytest_subprocess()
    result.stdout.fnmatch_lines(["*test_wrong is not async, but *Use the fixture emulator instead."])


def test_the_mark_of_a_test_adds_to_those_of_its_class_and_module(shop: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        pytestmark = pytest.mark.emulator(vars={"SENDER": "module", "A": 1}, raise_errors=False)

        def env(emulator, **names):
            class Probe:
                async def send(self, body, **options):
                    raise RuntimeError
            emulator.override(EVENTS=Probe())
            emulator.post("/signup", json={"email": "a@b.example"})
            return vars(emulator._core.session.envs["shop"])

        @pytest.mark.emulator(vars={"A": 2, "B": 2})
        class TestClass:
            @pytest.mark.emulator(vars={"B": 3})
            def test_all(self, emulator):
                found = env(emulator)
                assert (found["SENDER"], found["A"], found["B"]) == ("module", 2, 3)

            def test_class(self, emulator):
                assert env(emulator)["B"] == 2

        def test_module(emulator):
            assert env(emulator)["SENDER"] == "module"
        """)
    pytester.runpytest_inprocess("-W", "error", "--strict-markers").assert_outcomes(passed=3)


def test_a_mark_with_an_unknown_argument_lists_those_that_there_are(shop: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.mark.emulator(variables={})
        def test_it(emulator): ...

        @pytest.mark.emulator(vars="A=1")
        def test_that(emulator): ...
        """)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["@pytest.mark.emulator does not take 'variables'", "  It takes config, env, vars, *"])
    result.stdout.fnmatch_lines(["@pytest.mark.emulator(vars='A=1'): vars must be a dict *"])


def test_chaos_by_mark_is_a_seed_or_true_or_a_chaos(shop: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest
        from emulator.testing import Chaos

        @pytest.mark.emulator(chaos=3)
        def test_seed(emulator):
            emulator.queue("my-app-events").send(1)
            assert emulator.run_until_idle() == "seed"

        @pytest.mark.emulator(chaos=True)
        def test_random(emulator):
            emulator.queue("my-app-events").send(1)
            assert emulator.run_until_idle() == "random"

        @pytest.mark.emulator(chaos=Chaos(seed=5, delay=1))
        def test_chaos(emulator):
            emulator.queue("my-app-events").send(1)
            assert emulator.run_until_idle() == "chaos"

        @pytest.mark.emulator(chaos="often")
        def test_wrong(emulator): ...
        """)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=3, errors=1)
    output = result.stdout.str()
    assert "Chaos, seed 3. To see the same again: @pytest.mark.emulator(chaos=3), or emulator.chaos(seed=3)" in output
    assert "To see the same again: emulator.chaos(seed=5, delay=1)" in output
    assert re.search(r"Chaos, seed \d+\. .*chaos=\d+\)", output)
    assert "@pytest.mark.emulator(chaos='often'): chaos is a seed, True, or an emulator.testing.Chaos" in output


def test_several_configurations_are_several_workers(pytester: pytest.Pytester) -> None:
    for name in ("web", "jobs"):
        create(pytester.path / name, "python-fetch", name)
    pytester.makepyfile("""
        import pytest

        @pytest.mark.emulator(config=["web/wrangler.jsonc", "jobs/wrangler.jsonc"])
        def test_both(emulator):
            assert emulator.get("/hello/Ada").status_code == 200
            assert emulator.get("http://jobs.localhost/hello/Ada").status_code == 200
        """)
    result = pytester.runpytest_inprocess("-W", "error", "test_several_configurations_are_several_workers.py")
    result.assert_outcomes(passed=1)


def test_the_nearest_configuration_above_a_test_is_taken(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]")
    for name in ("a", "a/b"):
        create(pytester.path / "made", "python-queue", name.replace("/", "-"))
        (pytester.path / name).mkdir()
        (pytester.path / "made" / "wrangler.jsonc").rename(pytester.path / name / "wrangler.jsonc")
        (pytester.path / "made" / "src").rename(pytester.path / name / "src")
        (pytester.path / "made").rename(pytester.path / f"rest-{name[-1]}")
        (pytester.path / name / "tests").mkdir()
    for name, place in (("a", "a/tests/test_a.py"), ("a-b", "a/b/tests/test_b.py")):
        (pytester.path / place).write_text(
            f"def test(emulator): assert emulator._core.session.configs[0].name == {name!r}"
        )
    pytester.runpytest_inprocess("-W", "error", "a").assert_outcomes(passed=2)


def test_a_run_that_was_started_deep_in_a_project_finds_its_configuration(
    shop: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop / "tests" / "test_deep.py").write_text("def test(emulator): assert emulator.get('/').is_success")
    monkeypatch.chdir(shop / "tests")
    pytester.runpytest_inprocess("-W", "error").assert_outcomes(passed=1)


def test_the_search_ends_where_pytest_is_configured(shop: Path, pytester: pytest.Pytester) -> None:
    (shop / "inner").mkdir()
    (shop / "inner" / "pytest.ini").write_text("[pytest]")
    (shop / "inner" / "test_inner.py").write_text("def test(emulator): ...")
    result = pytester.runpytest_inprocess("inner")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["there is no wrangler.jsonc, wrangler.json or wrangler.toml in *inner, or above it"])


@pytest.mark.parametrize("setting", ["pytest.ini", "pyproject.toml"])
def test_settings_name_the_configuration_and_its_environment(setting: str, pytester: pytest.Pytester) -> None:
    create(pytester.path / "worker", "python-fetch", "api")
    path = pytester.path / "worker" / "wrangler.jsonc"
    text = path.read_text().rstrip().removesuffix("}").rstrip()
    path.write_text(
        text + ',\n"env": {"staging": {"vars": {"GREETING": "Moin"}}, "live": {"vars": {"GREETING": "Hey"}}}}'
    )
    if setting == "pytest.ini":
        pytester.makeini("[pytest]\nemulator_config = worker/wrangler.jsonc\nemulator_env = staging")
    else:
        pytester.makepyprojecttoml("""
            [tool.pytest.ini_options]
            emulator_config = "worker/wrangler.jsonc"
            emulator_env = "staging"
            """)
    pytester.makepyfile(
        test_settings="""
        import pytest

        def test_setting(emulator):
            assert emulator.get("/hello/Ada").json() == {"message": "Moin, Ada"}

        @pytest.mark.emulator(env="live")
        def test_mark(emulator):
            assert emulator.get("/hello/Ada").json() == {"message": "Hey, Ada"}
        """
    )
    result = pytester.runpytest_inprocess("-W", "error", "--strict-config", "test_settings.py")
    result.assert_outcomes(passed=2)


def test_without_a_configuration_a_test_is_told_what_to_do(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]")
    pytester.makepyfile("def test(emulator): ...")
    result = pytester.runpytest_inprocess("-W", "error")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["there is no wrangler.jsonc*", "  Create one (`emulator init NAME`)*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*plugin.py*")


@pytest.mark.parametrize("fixture", ["emulator", "async_emulator"])
@pytest.mark.parametrize(
    "broken",
    [
        ("wrangler.jsonc", '{"name": ', "wrangler.jsonc:1:"),
        ("wrangler.jsonc", '{"name": "x", "main": "src/absent.py", "compatibility_date": "2026-11-01"}', "absent.py"),
        ("src/entry.py", "import absent", "No module named 'absent'"),
    ],
)
def test_what_is_broken_fails_the_test_with_a_sentence(
    shop: Path, pytester: pytest.Pytester, fixture: str, broken: tuple[str, str, str]
) -> None:
    file, text, said = broken
    (shop / file).write_text(text)
    pytester.makepyfile(f"def test({fixture}): ...")
    result = pytester.runpytest_inprocess("-W", "error")
    result.assert_outcomes(errors=1)
    assert said in result.stdout.str()
    assert "plugin.py" not in result.stdout.str()
    assert "During handling" not in result.stdout.str()


@pytest.mark.parametrize(
    "options",
    [("-p", "no:cacheprovider"), ("--import-mode=importlib",), ("-s",), ("-p", "no:logging"), ("--capture=sys",)],
)
def test_options_of_pytest_change_nothing(shop: Path, pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    pytester.makepyfile(SENDS)
    pytester.runpytest_inprocess("-W", "error", "--strict-markers", *options).assert_outcomes(passed=1)


def test_capsys_and_caplog_see_what_the_worker_writes(shop: Path, pytester: pytest.Pytester) -> None:
    (shop / "src" / "mail.py").write_text("""
import logging, sys
async def send_welcome_email(sender, recipient):
    print("printed")
    print("to stderr", file=sys.stderr)
    logging.getLogger("shop").warning("warned")
    logging.getLogger("shop").info("informed")
""")
    pytester.makepyfile("""
        import logging

        def test_both(emulator, capsys, caplog):
            caplog.set_level(logging.INFO)
            emulator.post("/signup", json={"email": "ada@example.com"})
            emulator.run_until_idle()
            written = capsys.readouterr()
            assert written.out == "printed\\n"
            assert written.err == "to stderr\\n"
            assert [record.getMessage() for record in caplog.records if record.name == "shop"] == ["warned", "informed"]
        """)
    pytester.runpytest_inprocess("-W", "error").assert_outcomes(passed=1)


def test_a_test_may_change_the_directory(shop: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_elsewhere(tmp_path, monkeypatch, emulator):
            monkeypatch.chdir(tmp_path)
            emulator.post("/signup", json={"email": "ada@fail.example"})
            emulator.run_until_idle()
            assert 0
        """)
    result = pytester.runpytest_inprocess("-W", "error")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*: ConnectionError: the mail service did not take *(src/mail.py:6)"])


def test_tests_run_in_several_processes(shop: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.mark.parametrize("case", range(4))
        def test_it(emulator, case):
            emulator.queue("my-app-events").send({"type": "boom" if case == 3 else "fine"})
            assert [delivery.outcome for delivery in emulator.run_until_idle()] == ["ok"]
        """)
    result = pytester.runpytest_subprocess("-W", "error", "-n", "2")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*Emulator timeline*", "*: ConnectionError: boom (src/entry.py:*)"])


def test_nothing_is_imported_until_a_fixture_is_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import sys

        def test_nothing():
            ours = {name for name in sys.modules if name.partition(".")[0] == "emulator"}
            assert ours == {"emulator", "emulator.testing", "emulator.testing.plugin"}
            assert not {"httpx", "msgspec", "starlette", "anyio.to_thread"} & set(sys.modules)
        """)
    pytester.runpytest_subprocess("-W", "error", "-p", "no:anyio", "-p", "no:xdist").assert_outcomes(passed=1)
