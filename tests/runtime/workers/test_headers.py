"""Headers as JavaScript and worker code see them."""

from __future__ import annotations

import pytest

from emulator_runtime.js import Headers


def test_headers_have_no_case_and_join_values() -> None:
    headers = Headers({"X-A": "1"})
    headers.append("x-a", "2")
    headers["x-b"] = " padded "
    assert headers.get("x-A") == "1, 2"
    assert headers["X-B"] == "padded"
    assert headers.get("missing") is None
    assert "X-A" in headers
    headers.set("x-a", "3")
    headers.delete("x-b")
    assert list(headers) == [("x-a", "3")]


def test_headers_iterate_sorted_with_each_cookie_on_its_own() -> None:
    headers = Headers.new([["x-b", "1"], ["set-cookie", "a=1"], ["accept", "2"], ["Set-Cookie", "b=2"]])
    assert list(headers) == [("accept", "2"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-b", "1")]
    assert headers.getSetCookie() == headers.getAll("Set-Cookie") == ["a=1", "b=2"]
    with pytest.raises(TypeError, match="Set-Cookie"):
        headers.getAll("accept")
    seen: list[str] = []
    headers.forEach(lambda value, name, _headers: seen.append(f"{name}={value}"))
    assert seen[0] == "accept=2"


def test_headers_are_made_of_dicts_items_and_headers() -> None:
    for init in ({"a": "1"}, {"a": "1"}.items(), [("a", "1")], Headers({"a": "1"})):
        assert Headers.new(init).get("a") == "1"
