"""Options in JavaScript's style."""

from __future__ import annotations

from typing import Any

import pytest

from emulator_runtime import js, workers
from emulator_runtime.js_options import given_headers, given_options
from emulator_runtime.workers.headers import Headers


def test_keywords_take_precedence_over_a_dict_which_stays_the_same() -> None:
    options = {"method": "POST", "body": "a"}
    assert given_options(options, {"method": "PUT"}) == {"method": "PUT", "body": "a"}
    assert options == {"method": "POST", "body": "a"}
    assert given_options(None, {"method": "PUT"}) == {"method": "PUT"}


@pytest.mark.parametrize("options", [5, "POST", [("method", "POST")]])
def test_what_is_not_a_dict_is_refused(options: Any) -> None:
    with pytest.raises(TypeError, match="options must be a dict"):
        given_options(options, {})


def test_a_response_as_options_is_not_emulated() -> None:
    with pytest.raises(TypeError, match="a Response as options is not emulated"):
        given_options(workers.Response("x"), {})


def test_pairs_of_any_kind_become_a_list_and_other_headers_stay_the_same() -> None:
    assert given_headers({"a": "1"}.items()) == [("a", "1")]
    for headers in (None, {"a": "1"}, [("a", "1")], Headers({"a": "1"})):
        assert given_headers(headers) is headers


async def test_a_request_as_options_is_taken_over() -> None:
    given = js.Request.new("http://a.example/", method="POST", headers={"X-A": "1"}, body="text", redirect="manual")
    made = js.Request.new("http://b.example/", given, method="PUT")
    assert (made.url, made.method, made.headers.get("x-a"), made.redirect) == (
        "http://b.example/",
        "PUT",
        "1",
        "manual",
    )
    assert await made.text() == "text"
    assert given.bodyUsed
