"""URLs and their parameters, as JavaScript has them."""

from __future__ import annotations

import pytest

from emulator_runtime.js import URL, URLSearchParams


def test_a_url_is_taken_apart() -> None:
    url = URL.new("https://user:pass@Example.com:8443/a/./b/../c?q=1#top")
    assert url.href == str(url) == "https://user:pass@example.com:8443/a/c?q=1#top"
    assert (url.protocol, url.host, url.hostname, url.port) == ("https:", "example.com:8443", "example.com", "8443")
    assert (url.username, url.password) == ("user", "pass")
    assert (url.pathname, url.search, url.hash) == ("/a/c", "?q=1", "#top")
    assert url.origin == "https://example.com:8443"


def test_a_url_is_normalised() -> None:
    assert URL.new("HTTP://EXAMPLE.com:80").href == "http://example.com/"
    assert URL.new("https://bücher.example/ä").href == "https://xn--bcher-kva.example/%C3%A4"
    assert URL.new("http://[::1]:8787/").hostname == "[::1]"
    assert URL.new("http://a/x%2Fy/..").href == "http://a/"
    assert URL.new("http://a/dir/.").href == "http://a/dir/"


def test_a_relative_url_needs_a_base() -> None:
    assert URL.new("../c?d", "https://example.com/a/b").href == "https://example.com/c?d"
    assert URL.canParse("https://a")
    assert not URL.canParse("/a")
    with pytest.raises(TypeError, match="it must be absolute"):
        URL.new("/a")


def test_changing_the_parts_of_a_url_changes_it() -> None:
    url = URL.new("https://example.com/")
    url.searchParams.append("q", "a b&c")
    assert url.href == "https://example.com/?q=a+b%26c"
    url.pathname = "new path"
    url.hash = "#x"
    assert url.href == "https://example.com/new%20path?q=a+b%26c#x"
    url.search = "?z=1"
    assert url.searchParams.get("z") == "1"


def test_search_params_keep_duplicates_and_order() -> None:
    params = URLSearchParams.new("?a=1&b=2&a=3&c=")
    assert params.get("a") == "1"
    assert params.getAll("a") == ["1", "3"]
    assert params.get("c") == ""
    assert params.get("missing") is None
    assert "b" in params
    params.set("a", "9")
    params.delete("c")
    assert params.toString() == "a=9&b=2"
    assert URLSearchParams.new({"x": "é"}).toString() == "x=%C3%A9"
    assert dict(URLSearchParams.new([("a", "1")])) == {"a": "1"}
