"""Requests: what the server makes of a scope, and what worker code makes itself."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Mapping
from http import HTTPMethod
from typing import Any

import pytest

from emulator_runtime.http import request_from_scope
from emulator_runtime.workers import Headers, Request
from emulator_runtime.workers.formdata import FormData
from tests.runtime.asgi_calls import http_scope, incoming, playing


def test_the_url_is_the_host_header_the_path_as_it_was_sent_and_the_query() -> None:
    request = incoming(method="GET", path="/caf%C3%A9/a%2Fb", query=b"q=1&q=a%20b")
    assert request.url == "http://localhost:8787/caf%C3%A9/a%2Fb?q=1&q=a%20b"


def test_the_url_falls_back_to_the_address_of_the_server() -> None:
    scope = http_scope()
    scope["headers"] = []
    assert request_from_scope(scope, playing()).url == "http://127.0.0.1:8787/"


def test_the_url_is_made_of_the_decoded_path_where_the_server_gives_no_raw_one() -> None:
    scope = http_scope(path="/a b/ü")
    del scope["raw_path"]
    assert request_from_scope(scope, playing()).url == "http://localhost:8787/a%20b/%C3%BC"


def test_the_method_is_an_http_method_and_equal_to_its_name() -> None:
    request = incoming(method="PATCH")
    assert request.method is HTTPMethod.PATCH
    assert request.method == "PATCH"


def test_a_method_that_http_does_not_know_is_a_str() -> None:
    assert incoming(method="PURGE").method == "PURGE"


def test_headers_are_an_http_message_whose_names_have_no_case() -> None:
    headers = incoming(headers=[(b"x-token", b"abc"), (b"accept", b"text/html")]).headers
    assert isinstance(headers, http.client.HTTPMessage)
    assert isinstance(headers, Mapping)
    assert headers["X-Token"] == headers.get("x-token") == "abc"
    assert "ACCEPT" in headers
    assert headers.get("missing") is None
    assert headers.get("missing", "default") == "default"
    expected = {"accept": "text/html", "cf-connecting-ip": "127.0.0.1", "host": "localhost:8787", "x-token": "abc"}
    assert dict(headers.items()) == expected
    assert list(headers) == list(expected)


def test_the_address_of_the_client_is_a_header_unless_the_client_sends_one() -> None:
    scope = http_scope() | {"client": ("192.0.2.7", 50_000)}
    request = request_from_scope(scope, playing())
    assert request.headers["cf-connecting-ip"] == request.clone().headers["cf-connecting-ip"] == "192.0.2.7"
    assert request.js_object.headers.get("cf-connecting-ip") == "192.0.2.7"
    assert request_from_scope(scope, playing()).js_object.headers.get("cf-connecting-ip") == "192.0.2.7"
    scope["headers"] = [(b"cf-connecting-ip", b"198.51.100.1")]
    assert request_from_scope(scope, playing()).headers["cf-connecting-ip"] == "198.51.100.1"
    scope |= {"client": None, "headers": []}
    assert "cf-connecting-ip" not in request_from_scope(scope, playing()).headers


def test_a_header_that_comes_twice_is_joined_with_a_comma() -> None:
    assert incoming(headers=[(b"x-a", b"1"), (b"x-a", b"2")]).headers["x-a"] == "1, 2"


def test_a_header_that_is_not_ascii_is_read_as_utf_8_and_else_as_latin_1() -> None:
    headers = incoming(headers=[(b"x-a", "日本".encode()), (b"x-b", "é".encode("latin-1"))]).headers
    assert headers["x-a"] == "日本"
    assert headers["x-b"] == "é"


def test_cf_has_plausible_values_as_attributes() -> None:
    cf = incoming().cf
    assert cf is not None
    assert cf.colo == "DFW"
    assert cf["country"] == "US"


def test_cf_of_a_request_that_the_worker_made_is_what_it_gave() -> None:
    assert Request("https://example.com").cf is None
    cf = Request("https://example.com", cf={"cacheTtl": 5}).cf
    assert cf is not None
    assert cf.cacheTtl == 5


async def test_the_body_is_read_as_text_json_and_bytes() -> None:
    assert await incoming(b"caf", b"\xc3\xa9").text() == "café"
    assert await incoming(b'{"a": ', b"[1]}").json() == {"a": [1]}
    assert await incoming(b"a", b"b").bytes() == b"ab"
    buffer = await incoming(b"ab").buffer()
    assert buffer.to_bytes() == b"ab"
    assert bytes(buffer.to_py()) == b"ab"
    assert buffer.byteLength == 2
    blob = await incoming(b"ab", headers=[(b"content-type", b"text/plain")]).blob()
    assert (blob.size, blob.content_type, await blob.text()) == (2, "text/plain", "ab")


async def test_json_passes_options_on_and_raises_what_json_raises() -> None:
    assert await incoming(b"[1.5]").json(parse_float=str) == ["1.5"]
    with pytest.raises(json.JSONDecodeError):
        await incoming(b"{").json()


async def test_text_that_is_not_utf_8_is_replaced() -> None:
    assert await incoming(b"a\xffb").text() == "a\ufffdb"


async def test_reading_a_body_twice_raises_os_error() -> None:
    request = incoming(b"text")
    assert not request.body_used
    await request.text()
    assert request.body_used
    for method in (request.text, request.json, request.bytes, request.buffer, request.form_data, request.blob):
        with pytest.raises(OSError, match="Body already used"):
            await method()
    with pytest.raises(OSError, match="Body already used"):
        request.clone()


async def test_a_request_without_a_body_can_be_read_any_number_of_times() -> None:
    request = incoming(method="GET")
    assert request.body is None
    assert await request.text() == await request.text() == ""
    assert not request.body_used
    assert incoming(method="POST", headers=[(b"content-length", b"0")]).body is None


async def test_a_body_is_received_only_as_far_as_it_is_read() -> None:
    received = 0

    async def receive() -> dict[str, Any]:
        nonlocal received
        received += 1
        return {"type": "http.request", "body": b"chunk", "more_body": received < 1000}

    request = request_from_scope(http_scope("POST", headers=[(b"content-length", b"5000")]), receive)
    assert request.body is not None
    assert received == 0
    reader = request.body.getReader()
    assert (await reader.read()).value == b"chunk"
    assert received == 1
    await reader.read()
    assert received == 2


async def test_a_body_is_iterated_in_chunks_that_are_bytes_and_have_to_bytes() -> None:
    body = incoming(b"one", b"two").body
    assert body is not None
    chunks = [chunk async for chunk in body]
    assert chunks == [b"one", b"two"]
    assert chunks[0].to_bytes() == b"one"


async def test_a_client_that_goes_away_during_an_upload_makes_reads_raise_os_error() -> None:
    messages = [{"type": "http.request", "body": b"half", "more_body": True}]
    request = request_from_scope(http_scope("POST", headers=[(b"content-length", b"8")]), playing(*messages))
    with pytest.raises(OSError, match="the client went away before it sent the whole request body"):
        await request.text()


async def test_clones_both_have_the_whole_body() -> None:
    request = incoming(b"a", b"b", method="PUT", path="/x", headers=[(b"x-a", b"1")])
    clone = request.clone()
    assert (clone.url, clone.method, clone.headers["x-a"]) == (request.url, "PUT", "1")
    assert await clone.text() == "ab"
    assert await request.text() == "ab"


async def test_watching_for_the_client_leaves_the_body_to_its_reader() -> None:
    request = incoming(b"one", b"two")
    gone = asyncio.ensure_future(request.client_gone())
    await asyncio.sleep(0)
    assert await request.text() == "onetwo"
    await gone


async def test_watching_for_the_client_of_a_request_without_a_body() -> None:
    await incoming(method="GET").client_gone()


async def test_watching_for_the_client_reads_a_large_body_ahead_no_further_than_a_little() -> None:
    received = 0

    async def receive() -> dict[str, Any]:
        nonlocal received
        await asyncio.sleep(0)
        received += 1
        return {"type": "http.request", "body": b"x" * 40_000, "more_body": received < 5}

    request = request_from_scope(http_scope("POST", headers=[(b"content-length", b"200000")]), receive)
    gone = asyncio.ensure_future(request.client_gone())
    for _ in range(20):
        await asyncio.sleep(0)
    assert received == 2
    assert len(await request.bytes()) == 200_000
    gone.cancel()
    await asyncio.wait([gone])


def test_a_request_is_made_of_an_absolute_url_which_is_normalised() -> None:
    assert Request("https://Example.com").url == "https://example.com/"
    assert Request("http://example.com:80/a/../b c?q=é").url == "http://example.com/b%20c?q=%C3%A9"
    assert Request("https://example.com").method is HTTPMethod.GET


@pytest.mark.parametrize(
    "url", ["/path", "example.com/path", "", "http://", "http://a b/", "http://[::1", "http://a:x/"]
)
def test_a_url_that_is_not_absolute_is_an_error(url: str) -> None:
    with pytest.raises(TypeError, match="Invalid URL"):
        Request(url)
    with pytest.raises(ValueError, match="Invalid URL"):
        Request(url)


async def test_a_request_takes_method_headers_body_and_redirect() -> None:
    request = Request(
        "https://example.com", method=HTTPMethod.POST, headers={"X-A": "1"}, body="text", redirect="manual"
    )
    assert request.method == "POST"
    assert request.headers["x-a"] == "1"
    assert request.headers["content-type"] == "text/plain;charset=UTF-8"
    assert request.redirect == "manual"
    assert await request.text() == "text"
    assert Request("https://example.com", method="post").method == "POST"
    assert Request("https://example.com").redirect == "follow"


def test_headers_of_a_request_are_a_dict_pairs_or_headers() -> None:
    for headers in ({"x-a": "1"}, [("x-a", "1")], [["x-a", "1"]], Headers({"x-a": "1"})):
        assert Request("https://example.com", headers=headers).headers["x-a"] == "1"


async def test_a_request_of_a_form_is_multipart() -> None:
    request = Request("https://example.com", method="POST", body=FormData({"a": "1"}))
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert (await request.form_data())["a"] == "1"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_get_and_head_have_no_body(method: str) -> None:
    with pytest.raises(TypeError, match="GET or HEAD method cannot have a body"):
        Request("https://example.com", method=method, body="x")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"methd": "POST"}, "no option 'methd'"),
        ({"method": "IN VALID"}, "Invalid HTTP method"),
        ({"redirect": "never"}, "Invalid redirect value"),
        ({"method": "POST", "body": {"a": 1}}, "Unsupported type in Request: dict"),
        ({"headers": {"bad name": "1"}}, "Invalid header name"),
        ({"headers": {"x-a": "1\r\nx-b: 2"}}, "Invalid header value"),
        ({"headers": (("x-a", "1"),)}, "unexpected type for headers argument: tuple"),
        ({"headers": "x-a: 1"}, "unexpected type for headers argument: str"),
    ],
)
def test_bad_options_are_type_errors(options: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        Request("https://example.com", **options)


def test_headers_of_a_request_are_not_taken_as_headers_of_another() -> None:
    with pytest.raises(TypeError, match=r"pass list\(headers.items\(\)\)"):
        Request("https://example.com", headers=incoming().headers)


async def test_a_request_made_of_another_takes_its_body_over() -> None:
    first = incoming(b"text", method="PUT", headers=[(b"x-a", b"1")])
    second = Request(first, headers={"x-b": "2"})
    assert (second.url, second.method) == (first.url, "PUT")
    assert dict(second.headers) == {"x-b": "2"}
    assert first.body_used
    assert await second.text() == "text"
    with pytest.raises(OSError, match="Body already used"):
        Request(first)


async def test_the_view_of_the_javascript_world_shares_the_body() -> None:
    request = incoming(b"text", headers=[(b"x-a", b"1")])
    view = request.js_object
    assert view.method == "POST"
    assert view.headers.get("X-A") == "1"
    assert dict(view.headers)["x-a"] == "1"
    with pytest.raises(TypeError, match="immutable"):
        view.headers.set("x-a", "2")
    assert await view.text() == "text"
    assert request.body_used
    assert view.bodyUsed


def test_the_repr_names_method_and_url() -> None:
    assert repr(Request("https://example.com")) == "Request(method='GET', url='https://example.com/')"
