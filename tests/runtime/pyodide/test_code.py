"""`pyodide.code` runs source as Pyodide does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from emulator_runtime.pyodide import code


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 + 1", 2),
        ("x = 5\nx * 2", 10),
        ("x = 5", None),
        ("1 + 1;", None),
        ("1 + 1; # a comment", None),
        ("1 + 1 # ;", 2),
        ("    def f():\n        return 3\n    f()", 3),
        ("", None),
    ],
)
def test_the_value_of_the_last_line_is_returned(source: str, value: Any) -> None:
    assert code.eval_code(source) == value


def test_names_and_modes() -> None:
    names: dict[str, Any] = {"a": 1}
    own: dict[str, Any] = {}
    assert code.eval_code("b = a + 1\nb", names, own) == 2
    assert ("b" in names, own) == (False, {"b": 2})
    assert code.eval_code("c = 4", return_mode="last_expr_or_assign") == 4
    assert code.eval_code("4", return_mode="none") is None
    assert code.eval_code("4;", quiet_trailing_semicolon=False) == 4
    with pytest.raises(SyntaxError):
        code.eval_code("1 +")


async def test_source_may_wait() -> None:
    assert await code.eval_code_async("await sleep(0, 5)", {"sleep": asyncio.sleep}) == 5
    assert await code.eval_code_async("1 + 1") == 2


def test_imports_are_found() -> None:
    source = "import a.b, c\nfrom d.e import f\nfrom . import g\ndef h():\n    import i"
    assert code.find_imports(source) == ["a", "c", "d", "i"]
    assert code.find_imports("import") == []


def test_a_relaxed_call_leaves_out_what_is_not_taken() -> None:
    assert code.relaxed_call(lambda a, b=2: (a, b), 1, 3, 4, c=5) == (1, 3)
    assert code.relaxed_call(lambda *a, **b: (a, b), 1, 2, c=5) == ((1, 2), {"c": 5})
    assert code.relaxed_wrap(lambda: 7)(1, 2, x=3) == 7
