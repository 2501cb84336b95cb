from __future__ import annotations

import pytest

from emulator.server.editors import editor_link


@pytest.mark.parametrize(
    ("environment", "link"),
    [
        ({}, "vscode://file/app/my%20shop/entry.py:7"),
        ({"EDITOR": "vim"}, "vscode://file/app/my%20shop/entry.py:7"),
        ({"EDITOR": "/usr/bin/subl -w"}, "subl://open?url=file:///app/my%20shop/entry.py&line=7"),
        ({"EDITOR": "vim", "VISUAL": "cursor --wait"}, "cursor://file/app/my%20shop/entry.py:7"),
        ({"VISUAL": "pycharm", "EMULATOR_EDITOR_URL": "x://{file}#{line}"}, "x:///app/my%20shop/entry.py#7"),
        ({"EMULATOR_EDITOR_URL": ""}, ""),
        ({"EDITOR": "'"}, "vscode://file/app/my%20shop/entry.py:7"),
    ],
)
def test_the_link_is_for_the_editor_at_hand(environment: dict[str, str], link: str) -> None:
    assert editor_link("/app/my shop/entry.py", 7, environment) == link


def test_what_is_no_file_has_no_link() -> None:
    assert editor_link("<string>", 1, {}) == ""
    assert editor_link("/app/entry.py", 0, {}) == "vscode://file/app/entry.py:1"
