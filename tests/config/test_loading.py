"""Files that are not configurations, or are not there, and how their errors show the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.base.errors import ConfigError, EmulatorError
from emulator.config import find_config
from tests.config.project import assert_errors, wrap, write
from tests.support.configs import load_config


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "wrangler.jsonc",
            '{\n\t"name": "demo"\n\t▶"main": "a.py"\n}',
            'expected `,` or `}`, found `"`\n "main": "a.py"\n   ^',
        ),
        ("wrangler.json", '{"name": "demo",▶', "expected a key in double quotes, or `}`, found the end of the file\n"),
        ("wrangler.toml", 'name = "demo"\nmain = ▶src/entry.py\n', "invalid value\nmain = src/entry.py\n         ^"),
    ],
)
def test_a_syntax_error_shows_the_line_with_a_caret(tmp_path: Path, name: str, text: str, expected: str) -> None:
    if expected.endswith("\n"):
        expected += '{"name": "demo",\n                  ^'
    assert_errors(tmp_path, text, [expected], name=name)


def test_a_long_line_is_cut_around_the_caret(tmp_path: Path) -> None:
    path = write(tmp_path, f'{{"a": "{"x" * 500}", b = 1, "c": "{"y" * 500}"}}')
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    line, caret = caught.value.problems[0].hint.split("\n")
    assert len(line) == 100
    assert line[caret.index("^") - 2] == "b"


@pytest.mark.parametrize(("text", "found"), [("▶[1]", "an array"), ('//\n ▶"x"', '"x"'), ("▶null", "null")])
def test_a_configuration_that_is_not_an_object_is_an_error(tmp_path: Path, text: str, found: str) -> None:
    assert_errors(tmp_path, text, [f"a configuration must be an object {{ ... }}, not {found}"])


@pytest.mark.parametrize("name", ["wrangler.jsonc", "wrangler.json", "wrangler.toml"])
def test_an_empty_file_is_an_error(tmp_path: Path, name: str) -> None:
    for content in ("", "\ufeff \n\t\n"):
        path = write(tmp_path, content, name)
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        assert str(caught.value) == f"{path}: the file is empty\n  It needs at least a `name` and a `main`."


def test_a_file_that_is_not_utf_8_is_an_error_at_its_byte(tmp_path: Path) -> None:
    path = tmp_path / "wrangler.jsonc"
    path.write_bytes('{\n  "name": "é'.encode() + b"\xe9")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == f"{path}:2:13: byte 0xe9 is not UTF-8\n  Save the file in UTF-8."


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "wrangler.jsonc"
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: there is no such file\n")


def test_a_file_of_another_kind_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "name: demo", "wrangler.yaml")
    with pytest.raises(ConfigError, match=r"wrangler\.yaml: must end in \.jsonc, \.json or \.toml"):
        load_config(path)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, wrap(""))

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == f"{path}: cannot be read: permission denied"


def test_the_configuration_of_a_directory_is_jsonc_then_json_then_toml(tmp_path: Path) -> None:
    for name in ("wrangler.toml", "wrangler.json", "wrangler.jsonc"):
        (tmp_path / name).touch()
        assert find_config(tmp_path) == tmp_path / name
    assert load_config(write(tmp_path, '{"name": "demo", "main": "src/entry.py"}').parent).name == "demo"


def test_a_directory_without_a_configuration_is_an_error_that_names_all_three(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError) as caught:
        load_config(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: there is no wrangler.jsonc, wrangler.json or wrangler.toml here\n"
        "  Name one with `-c PATH`, or create a new worker with `emulator init NAME`."
    )


def test_a_directory_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(EmulatorError) as caught:
        find_config(tmp_path)
    assert str(caught.value) == f"{tmp_path}: cannot be read: permission denied"


def test_what_is_not_a_directory_has_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match="is not a directory"):
        find_config(write(tmp_path, ""))
    with pytest.raises(EmulatorError, match="cannot be read: no such file or directory"):
        find_config(tmp_path / "nowhere")


def test_a_main_that_is_not_there_is_an_error_at_its_value(tmp_path: Path) -> None:
    text = '{"name": "demo", "main": ▶"src/missing.py"}'
    expected = f'main: "src/missing.py": there is no such file\nLooked for {tmp_path}/src/missing.py.'
    assert_errors(tmp_path, text, [expected])


def test_a_main_with_a_path_that_no_file_can_have_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, '{"name": "demo", "main": "%s.py"}' % ("x" * 5000))
    with pytest.raises(ConfigError, match="there is no such file"):
        load_config(path)


def test_a_path_below_the_working_directory_is_shown_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, '{"name": "demo"}')
    for path in (Path(), Path("wrangler.jsonc"), tmp_path):
        with pytest.raises(ConfigError, match=r"^wrangler\.jsonc:1:1: main: is missing"):
            load_config(path)
