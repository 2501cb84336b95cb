"""Responses: status, headers, and bodies of every kind."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest

from emulator_runtime import invocation, js
from emulator_runtime.pyodide.ffi import JsException
from emulator_runtime.workers import Blob, FetchResponse, File, FormData, Headers, Response


async def test_a_str_is_sent_as_utf_8_text() -> None:
    response = Response("café")
    assert response.status == 200
    assert response.ok
    assert response.headers["content-type"] == "text/plain;charset=UTF-8"
    assert await response.bytes() == "café".encode()


def test_a_content_type_of_the_user_wins() -> None:
    response = Response("<p>", headers={"Content-Type": "text/html"})
    assert response.headers.get_all("content-type") == ["text/html"]


def test_bytes_and_none_get_no_content_type() -> None:
    assert "content-type" not in Response(b"x").headers
    assert Response(None).body is None
    assert Response().status == 200


@pytest.mark.parametrize(
    "body",
    [{"a": 1}, ["a"], 5, bytearray(b"x"), memoryview(b"x"), object(), Blob("x"), File("x", "a"), Response("x")],
)
def test_any_other_body_is_a_type_error_that_names_its_type(body: object) -> None:
    with pytest.raises(TypeError, match=f"Unsupported type in Response: {type(body).__name__}"):
        Response(body)


def test_the_error_about_a_dict_says_what_to_use() -> None:
    with pytest.raises(TypeError, match=r"use Response.json"):
        Response({"a": 1})


async def test_forms_and_blobs_are_bodies_with_their_content_types() -> None:
    form = Response(FormData({"a": "1"}))
    assert (await form.form_data())["a"] == "1"
    assert Response(Blob("x", "text/css").js_object).headers["content-type"] == "text/css"


def test_headers_keep_duplicates() -> None:
    response = Response(None, headers=[("set-cookie", "a=1"), ("Set-Cookie", "b=2"), ("x-a", "1"), ("x-a", "2")])
    assert response.headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert response.headers["x-a"] == "1, 2"
    assert [name for name, _ in response.raw_headers] == [b"set-cookie", b"set-cookie", b"x-a", b"x-a"]


def test_header_values_are_latin_1_and_else_utf_8() -> None:
    response = Response(None, headers={"x-a": "é", "x-b": "日", "x-c": 5})
    assert response.raw_headers == [(b"x-a", b"\xe9"), (b"x-b", "日".encode()), (b"x-c", b"5")]
    assert (response.headers["x-a"], response.headers["x-b"], response.headers["x-c"]) == ("é", "日", "5")


@pytest.mark.parametrize(
    "headers", [{"x-a": "1\nx-b: 2"}, {"x\r\n": "1"}, {"": "1"}, {"x-a": "\0"}, [("x-a",)], ["ab"]]
)
def test_headers_that_would_break_out_of_their_line_or_are_no_pairs_are_type_errors(headers: Any) -> None:
    with pytest.raises(TypeError):
        Response(None, headers=headers)


@pytest.mark.parametrize("status", [199, 600, 100, 101, -1])
def test_a_status_out_of_range_is_an_error_of_javascript(status: int) -> None:
    with pytest.raises(JsException, match="range 200 to 599, inclusive") as caught:
        Response("x", status=status)
    assert caught.value.name == "RangeError"
    with pytest.raises(ValueError, match="range 200 to 599, inclusive"):
        Response.json("x", status=status)


def test_a_status_is_an_int_or_an_http_status() -> None:
    assert Response("x", status=HTTPStatus.CREATED).status == 201
    assert Response("x", 404).status == 404
    with pytest.raises(TypeError, match="must be an int, not str"):
        Response("x", status="200")  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_that_takes_no_body_is_an_error_with_one(status: int) -> None:
    with pytest.raises(JsException, match=r"null body status \(101, 204, 205, or 304\) cannot have a body") as caught:
        Response("x", status=status)
    assert caught.value.name == "TypeError"
    with pytest.raises(TypeError, match="cannot have a body"):
        Response.json({}, status=status)
    assert Response(None, status=status).body is None


def test_an_empty_body_passes_with_such_a_status_and_is_warned_of() -> None:
    warnings: list[str] = []
    scope = invocation.Scope("worker", None, None, warnings.append)  # type: ignore[arg-type]
    token = invocation.current.set(invocation.Invocation(scope, None))
    try:
        assert Response("", status=204).body is None
    finally:
        invocation.current.reset(token)
    assert "cannot have a body" in warnings[0]


def test_the_status_text_is_the_usual_one_unless_given() -> None:
    assert Response("x").status_text == "OK"
    assert Response("x", status=404).status_text == "Not Found"
    assert Response("x", status=599).status_text == ""
    assert Response("x", status_text="Fine").status_text == "Fine"
    with pytest.raises(TypeError, match="Invalid statusText"):
        Response("x", status_text="a\r\nb")


async def test_json_on_the_class_makes_a_response() -> None:
    response = Response.json({"a": [1, "é"]}, status=201, headers={"x-a": "1"})
    assert response.status == 201
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-a"] == "1"
    assert await response.text() == '{"a": [1, "\\u00e9"]}'
    assert await Response.json({"a": 1}).json() == {"a": 1}
    assert await Response.json("text").text() == '"text"'
    assert await Response.from_json([1], 202).json() == [1]
    assert Response.json({}, headers={"Content-Type": "application/problem+json"}).headers["content-type"] == (
        "application/problem+json"
    )


def test_json_of_a_value_that_json_cannot_say_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        Response.json({"a": object()})


async def test_json_on_a_response_reads_its_body() -> None:
    assert await Response('{"a": 1.5}').json(parse_float=str) == {"a": "1.5"}


async def test_a_fetch_response_is_made_of_a_js_response() -> None:
    inner = js.Response.new("text", {"status": 201, "headers": {"x-a": "1"}})
    response = FetchResponse("https://example.com/", inner)
    assert (response.status, response.headers["x-a"], response.url) == (201, "1", "")
    assert response.js_response.status == 201
    assert await response.text() == "text"
    with pytest.raises(TypeError, match=r"must be a js.Response, not Response"):
        FetchResponse("https://example.com/", Response("x"))  # type: ignore[arg-type]


def test_a_redirect_has_a_location_and_302_unless_told() -> None:
    response = Response.redirect("https://Example.com")
    assert type(response) is js.Response
    assert response.status == 302
    assert response.headers.get("location") == "https://example.com/"
    assert Response.redirect("https://example.com/a?b", HTTPStatus.MOVED_PERMANENTLY).status == 301


def test_a_redirect_with_another_status_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="200 is not a redirect status code"):
        Response.redirect("https://example.com", 200)


@pytest.mark.parametrize("url", ["/relative", "not a url", "http://a b"])
def test_a_redirect_to_a_bad_url_is_a_value_error_and_a_type_error(url: str) -> None:
    with pytest.raises(ValueError, match="Unable to parse URL"):
        Response.redirect(url)
    with pytest.raises(TypeError):
        Response.redirect(url)


def test_changing_the_headers_that_were_read_does_not_change_the_response() -> None:
    response = Response("x")
    response.headers["x-a"] = "1"
    assert "x-a" not in response.headers


async def test_the_view_of_the_javascript_world_can_change_the_headers() -> None:
    response = Response("text")
    view = response.js_object
    view.headers.set("X-A", "1")
    view.headers.append("x-a", "2")
    assert response.headers["x-a"] == "1, 2"
    assert view.statusText == "OK"
    assert await view.text() == "text"
    assert response.body_used
    again = Response(Response("x", status=201).js_object)
    assert again.status == 201
    with pytest.raises(ValueError, match="Expected no options"):
        Response(Response("x").js_object, status=200)


def test_raise_for_status_raises_from_400() -> None:
    Response("x").raise_for_status()
    with pytest.raises(OSError, match="404 Client Error: Not Found"):
        Response("x", 404).raise_for_status()
    with pytest.raises(OSError, match="503 Server Error"):
        Response("x", 503).raise_for_status()


def test_a_response_is_a_fetch_response_and_shows_itself() -> None:
    assert issubclass(Response, FetchResponse)
    assert repr(Response("x")) == "Response(status=200, content_type='text/plain;charset=UTF-8')"
    assert repr(Response(None, 404, "Gone away")) == "Response(status=404, status_text='Gone away')"


def test_headers_can_be_given_as_headers_and_are_copied() -> None:
    headers = Headers({"x-a": "1"})
    response = Response("x", headers=headers)
    headers.set("x-a", "2")
    assert response.headers["x-a"] == "1"
    assert headers.get("content-type") is None
