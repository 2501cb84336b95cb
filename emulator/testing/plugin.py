"""The pytest plugin: the fixtures `emulator` and `async_emulator`, the mark, the settings, and the timeline in reports.

pytest loads it in every environment in which the emulator is installed, so it imports only pytest until a test uses a
fixture.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from types import ModuleType

    from emulator.testing import AsyncEmulator, Chaos, Emulator
    from emulator.testing.timeline import Timeline

T = TypeVar("T")

CONFIGURATIONS = ("wrangler.jsonc", "wrangler.json", "wrangler.toml")

MARK = (
    "emulator(config=None, *, env=None, vars=None, secrets=None, bindings=None, raise_errors=True, real_time=False, "
    "chaos=None, crons=True, locals=True, state=None): how the fixtures emulator and async_emulator run the workers. "
    "config is a path from the root directory, or several; chaos is a seed, True for a random one, or an "
    "emulator.testing.Chaos. "
    "The mark of a test adds to those of its class and module"
)

_OPTIONS = (
    "config",
    "env",
    "vars",
    "secrets",
    "bindings",
    "raise_errors",
    "real_time",
    "chaos",
    "crons",
    "locals",
    "state",
)
_MAPPINGS = ("vars", "secrets", "bindings")

_shown = pytest.StashKey[str]()
"""The timelines that the report of a test has shown."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the settings."""
    parser.addini(
        "emulator_config",
        "Path of the configuration of the workers under test, or several paths, from the root directory "
        "(default: the nearest wrangler.jsonc, .json or .toml above the test)",
        type="args",
        default=[],
    )
    parser.getgroup("emulator").addoption(
        "--emulator-trace",
        metavar="DIR",
        type=Path,
        help="For each test that fails, write what happened in its emulators into this directory, as a file for the "
        "browser.",
    )
    parser.addini("emulator_env", "Environment whose settings are used (env.NAME of the configuration)", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line("markers", MARK)


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """The workers of the nearest wrangler.jsonc, loaded for this test alone, in virtual time."""
    if iscoroutinefunction(getattr(request, "function", None)):
        raise _failure(
            f"{request.node.name} is async, but the fixture emulator is for tests that are not",
            "Use async_emulator instead, and await its methods.",
        )
    arguments = _arguments(request)
    from emulator.testing import Emulator

    with ExitStack() as stack:
        yield _opened(stack, lambda: Emulator(**arguments))


@pytest.fixture
def async_emulator(request: pytest.FixtureRequest) -> Iterator[AsyncEmulator]:
    """Like `emulator`, for an async test: its methods are awaited."""
    arguments = _arguments(request)
    from emulator.testing.emulators import opened

    with ExitStack() as stack:
        yield _opened(stack, lambda: opened(**arguments))


def _opened(stack: ExitStack, make: Callable[[], AbstractContextManager[T]]) -> T:
    """An emulator that `stack` closes. Ends the test with a sentence if it cannot be opened."""
    from emulator.base.errors import EmulatorError

    try:
        return stack.enter_context(make())
    except EmulatorError as error:
        raise _failure(str(error)) from None


def _failure(text: str, hint: str = "") -> BaseException:
    """What ends the test with a sentence and no traceback, which would contain nothing of the user's."""
    return pytest.fail.Exception(f"{text}\n  {hint}" if hint else text, pytrace=False)


def _arguments(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the marks, the settings and the location of a test say together."""
    config = request.config
    root = config.rootpath
    given = _marked(request.node)
    configured = given.pop("config", None) or config.getini("emulator_config") or _nearest(request.node.path, config)
    paths = [configured] if isinstance(configured, (str, Path)) else configured
    given["config"] = [root / path for path in paths]
    given["env"] = given.get("env") or config.getini("emulator_env") or None
    given["chaos"] = _chaos(given.get("chaos"))
    return given


def _marked(node: pytest.Item) -> dict[str, Any]:
    """The marks of a test, of its class and of its module as one. The mark closest to the test wins, for each key of
    `vars`, `secrets` and `bindings`."""
    together: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers("emulator"))):
        given = dict(mark.kwargs)
        if mark.args:
            given["config"] = mark.args[0] if len(mark.args) == 1 else list(mark.args)
        for name, value in given.items():
            if name not in _OPTIONS:
                raise _failure(f"@pytest.mark.emulator does not take {name!r}", f"It takes {', '.join(_OPTIONS)}.")
            if name in _MAPPINGS and not isinstance(value, Mapping):
                raise _failure(f"@pytest.mark.emulator({name}={value!r}): {name} must be a dict of names and values")
            together[name] = {**together.get(name, {}), **value} if name in _MAPPINGS else value
    return together


def _nearest(test: Path, config: pytest.Config) -> Path:
    """The configuration in the directory of a test, or in the nearest directory above it.

    The search ends at pytest's root directory if pytest's own configuration is there. Without one, pytest takes the
    directory in which it was started for the root, which may be deep inside a project.
    """
    root = config.rootpath
    for directory in test.parents:
        for name in CONFIGURATIONS:
            if (directory / name).is_file():
                return directory / name
        if directory == root and config.inipath is not None:
            break
    raise _failure(
        f"there is no {', '.join(CONFIGURATIONS[:-1])} or {CONFIGURATIONS[-1]} in {test.parent}, or above it",
        "Create one (`emulator init NAME`), or name yours with the setting emulator_config in pytest.ini or\n"
        "  pyproject.toml, or with @pytest.mark.emulator(config=...). Paths start at pytest's root directory.",
    )


def _chaos(given: Any) -> Chaos | None:
    if given is None or given is False:
        return None
    from emulator.testing.chaos import Chaos
    from emulator.testing.core import random_seed

    if isinstance(given, Chaos):
        return given
    if not isinstance(given, int):
        raise _failure(f"@pytest.mark.emulator(chaos={given!r}): chaos is a seed, True, or an emulator.testing.Chaos")
    return Chaos(random_seed() if given is True else given)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Forget what happened in earlier tests."""
    timeline = _timeline_module()
    if timeline is not None:
        timeline.forget_closed()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the timelines of a failed test's emulators into its report."""
    report = yield
    if not report.failed:
        return report
    if _was_not_awaited(item, call):
        text = (
            f"{item.name} is not async, but the methods of async_emulator must be awaited. "
            f"Use the fixture emulator instead."
        )
        report.sections.append(("Emulator", text))
    timeline = _timeline_module()
    if timeline is not None:
        error = call.excinfo.value if call.excinfo is not None else None
        timelines = timeline.to_report(error)
        told = [each.render(item.config.rootpath) for each in timelines]
        told = [text for text in told if text]
        text = "\n\n".join(told)
        # After the test, an error is reported only with what happened since.
        if text and text != item.stash.get(_shown, ""):
            item.stash[_shown] = text
            many = len(told) > 1
            for number, each in enumerate(told, 1):
                report.sections.append((f"Emulator timeline {number}" if many else "Emulator timeline", each))
            for why in filter(None, (each.why() for each in timelines)):
                report.sections.append(("Emulator: why messages failed", why))
            directory = item.config.getoption("--emulator-trace")
            if directory is not None:
                report.sections.append(("Emulator trace", _trace(item, directory, report, timelines)))
    return report


def _trace(item: pytest.Item, directory: Path, report: pytest.TestReport, timelines: Sequence[Timeline]) -> str:
    """Write the file of a failed test. Returns where it is, or why it is not."""
    from emulator.testing.trace import write_trace

    root = item.config.rootpath
    test = item.nodeid if report.when == "call" else f"{item.nodeid} ({report.when})"
    try:
        return str(write_trace(root / directory, test, report.longreprtext, timelines, root))
    except OSError as error:
        return f"{directory}: the trace cannot be written: {error.strerror or error}"


def _was_not_awaited(item: pytest.Item, call: pytest.CallInfo[None]) -> bool:
    """Whether a test used a coroutine as if it were the result."""
    if "async_emulator" not in getattr(item, "fixturenames", ()) or call.excinfo is None:
        return False
    text = str(call.excinfo.value)
    is_async = iscoroutinefunction(getattr(item, "function", None))
    return not is_async and ("'coroutine' object" in text or "coroutine object" in text)


def _timeline_module() -> ModuleType | None:
    """`emulator.testing.timeline`, if it has been imported."""
    return sys.modules.get("emulator.testing.timeline")
