"""Errors that the user can fix, as the user reads them."""

from __future__ import annotations

from emulator.base.errors import ConfigError, EmulatorError, Problem


def test_an_error_says_where_what_and_how_to_fix_it() -> None:
    error = EmulatorError("is not a file", where="src/entry.py", hint="Name a file.")
    assert str(error) == "src/entry.py: is not a file\n  Name a file."
    assert str(EmulatorError("nothing is running")) == "nothing is running"


def test_a_problem_names_its_line_and_key_if_it_has_them() -> None:
    assert str(Problem("w.jsonc", 3, 7, "main", "is missing", "Add it.")) == "w.jsonc:3:7: main: is missing\n  Add it."
    assert str(Problem("w.jsonc", 0, 0, "", "is empty")) == "w.jsonc: is empty"


def test_a_configuration_error_shows_every_problem_in_order() -> None:
    problems = [Problem("w.jsonc", 1, 1, "name", "is missing"), Problem("w.jsonc", 2, 1, "main", "is missing")]
    error = ConfigError(problems)
    assert error.problems == tuple(problems)
    assert str(error).splitlines() == ["w.jsonc:1:1: name: is missing", "w.jsonc:2:1: main: is missing"]
