"""The parsers of the runtime, given anything at all: they answer, or raise an error of their own."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emulator_runtime import multipart
from emulator_runtime.errors import InvalidURLError
from emulator_runtime.url import URL, URLSearchParams
from emulator_runtime.workers.formdata import FormData

any_text = st.text(st.characters(), max_size=60)  # halves of surrogate pairs too
pieces_of_urls = st.sampled_from(
    ["http", "https:", "//", "/", "[", "]", "@", ":", "?", "#", "%", "..", "a", "\ud83d", "\xdf", "\u0660", "\0", " "]
)
url_text = st.lists(pieces_of_urls, max_size=12).map("".join)


@given(any_text | url_text, st.none() | any_text | url_text)
@example("http://h/\ud83d", None)
@example("/a", "http://[")
@example("http://h:\u0660/", None)
def test_a_url_is_parsed_or_invalid(text: str, base: str | None) -> None:
    with suppress(InvalidURLError):
        url = URL(text, base)
        for part in (url.href, url.host, url.hostname, url.port, url.username, url.password, url.origin, url.search):
            part.encode()


@given(any_text)
@example("\ud83d")
def test_a_url_takes_any_text_for_its_parts(text: str) -> None:
    url = URL("https://example.com/")
    url.pathname = text
    url.search = text
    url.hash = text
    url.searchParams.append(text, text)
    assert URL(url.href).href == url.href


def test_half_of_a_surrogate_pair_in_a_url_becomes_the_replacement_character() -> None:
    assert URL("https://example.com/\ud83d").pathname == "/%EF%BF%BD"
    assert URLSearchParams({"a": "\ud83d"}).toString() == "a=%EF%BF%BD"


@given(st.lists(st.tuples(any_text, any_text), max_size=4))
def test_any_pairs_make_a_query(pairs: list[tuple[str, str]]) -> None:
    assert URLSearchParams(URLSearchParams(pairs).toString()).size == len(pairs)


BOUNDARY = "multipart/form-data; boundary=b"
DISPOSITION = b'Content-Disposition: form-data; name="a"'
pieces = st.sampled_from([b"--b", b"\r\n", b"\r\n\r\n", b"--", DISPOSITION, b"; filename=", b'"', b"\\", b"\xff", b"x"])


@given(st.lists(pieces, max_size=20).map(b"".join) | st.binary(max_size=80), st.sampled_from([BOUNDARY]) | any_text)
def test_a_form_is_parsed_or_a_type_error(body: bytes, content_type: str) -> None:
    with suppress(TypeError):
        multipart.parse(body, content_type)


@given(any_text, any_text)
@example("\ud83d", "\ud83d")
def test_a_form_of_any_text_can_be_sent(name: str, value: str) -> None:
    form = FormData()
    form.append(name, value)
    body, content_type = form.encode()
    assert len(FormData.parse(body, content_type)) == 1


def test_half_of_a_surrogate_pair_in_a_form_becomes_the_replacement_character() -> None:
    form = FormData()
    form.append("a", "\ud83d")
    assert FormData.parse(*form.encode())["a"] == "\ufffd"


@pytest.mark.parametrize("many", [100_000])
def test_a_header_full_of_parameters_is_read_in_one_go(many: int) -> None:
    with pytest.raises(TypeError, match="boundary"):
        multipart.parse(b"", "multipart/form-data" + ';a="' * many)
