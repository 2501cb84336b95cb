"""The pytest plugin: the fixtures `emulator` and `async_emulator`, the mark, the options, and the report's timeline.

It is loaded into every pytest run of an environment that has the emulator installed, so that it imports nothing but
pytest until a test asks for a fixture.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from emulator.testing import AsyncEmulator, Emulator

CONFIGURATIONS = ("wrangler.jsonc", "wrangler.json", "wrangler.toml")

MARK = (
    "emulator(config=None, *, env=None, vars=None, secrets=None, bindings=None, raise_errors=True, real_time=False, "
    "chaos=None): how the fixtures emulator and async_emulator run the workers; config is a path from the root "
    "directory, or several; chaos is a seed, True for a random one, or an emulator.testing.Chaos"
)

_OPTIONS = ("config", "env", "vars", "secrets", "bindings", "raise_errors", "real_time", "chaos")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the settings."""
    parser.addini(
        "emulator_config",
        "Configuration of the workers under test, or several, from the root directory (default: the nearest "
        "wrangler.jsonc, .json or .toml above the test)",
        type="args",
        default=[],
    )
    parser.addini("emulator_env", "Environment whose settings are used (env.NAME of the configuration)", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line("markers", MARK)


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """The workers of the nearest wrangler.jsonc, loaded for this test alone, in virtual time."""
    from emulator.errors import EmulatorError
    from emulator.testing import Emulator

    try:
        made = Emulator(**_arguments(request)).__enter__()
    except EmulatorError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def async_emulator(request: pytest.FixtureRequest) -> Iterator[AsyncEmulator]:
    """As `emulator`, for a test that is async: its methods are awaited."""
    from emulator.errors import EmulatorError
    from emulator.testing.emulators import opened

    try:
        context = opened(**_arguments(request))
        made = context.__enter__()
    except EmulatorError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield made
    finally:
        context.__exit__(None, None, None)


def _arguments(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the mark, the settings and the place of a test say together."""
    marker = request.node.get_closest_marker("emulator")
    given = dict(marker.kwargs) if marker is not None else {}
    if marker is not None and marker.args:
        given["config"] = marker.args[0] if len(marker.args) == 1 else list(marker.args)
    for name in given:
        if name not in _OPTIONS:
            pytest.fail(f"@pytest.mark.emulator takes no {name!r}; it takes {', '.join(_OPTIONS)}", pytrace=False)
    root = request.config.rootpath
    configured = given.pop("config", None) or request.config.getini("emulator_config")
    if not configured:
        configured = _nearest(request.node.path.parent, root)
    paths = [configured] if isinstance(configured, (str, Path)) else list(configured)
    given["config"] = [root / path for path in paths]
    given.setdefault("env", request.config.getini("emulator_env") or None)
    given["chaos"] = _chaos(given.get("chaos"))
    return given


def _nearest(directory: Path, root: Path) -> Path:
    """The configuration in `directory`, or in the nearest one above it, up to the root directory."""
    for place in (directory, *directory.parents):
        for name in CONFIGURATIONS:
            if (place / name).is_file():
                return place / name
        if place == root:
            break
    return root


def _chaos(given: Any) -> Any:
    if given is None or given is False:
        return None
    from emulator.testing.chaos import Chaos
    from emulator.testing.core import random_seed

    if isinstance(given, Chaos):
        return given
    return Chaos(random_seed() if given is True else int(given))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Forget the timelines of the test before."""
    core = sys.modules.get("emulator.testing.core")
    if core is not None:
        core.recent_timelines.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what happened in the emulators of a failed test into its report."""
    report = yield
    core = sys.modules.get("emulator.testing.core")
    if core is not None and report.failed:
        for number, timeline in enumerate(core.recent_timelines, 1):
            many = f" {number}" if len(core.recent_timelines) > 1 else ""
            text = timeline.render()
            if text:
                report.sections.append((f"Emulator timeline{many}", text))
    return report
