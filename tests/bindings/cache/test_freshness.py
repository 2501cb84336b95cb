from __future__ import annotations

import pytest

from emulator.bindings.cache.freshness import DEFAULT_SECONDS, keeping

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT

DATE = (b"date", b"Fri, 15 Jan 2027 07:59:00 GMT")
IN_AN_HOUR = (b"expires", b"Fri, 15 Jan 2027 09:00:00 GMT")


def control(text: str) -> tuple[bytes, bytes]:
    return b"cache-control", text.encode()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([control("max-age=60")], 60),
        ([control("max-age=60, s-maxage=30")], 30),
        ([control('max-age="60"')], 60),
        ([control("MAX-AGE = 60")], 60),
        ([control("max-age=60"), control("s-maxage=10")], 10),
        ([control("max-age=1, max-age=60")], 60),
        ([control("max-age=60"), IN_AN_HOUR], 60),
        ([IN_AN_HOUR], 3600),
        ([IN_AN_HOUR, DATE], 3660),
        ([control("public"), IN_AN_HOUR], 3600),
        ([control("max-age=60"), (b"age", b"20")], 40),
        ([control("max-age=60"), (b"age", b"99")], 0),
        ([control("max-age=60"), (b"age", b"-1")], 60),
        ([control("max-age=x")], 0),
        ([control("max-age")], 0),
        ([control("s-maxage=0, max-age=60")], 0),
        ([(b"expires", b"0")], 0),
        ([(b"expires", b"Thu, 01 Jan 1970 00:00:00 GMT")], 0),
        ([control("no-cache, max-age=60")], 0),
        ([control('no-cache="x-a", max-age=60'), (b"x-a", b"1")], 0),
        ([control('no-cache="x-a", max-age=60')], 60),
        ([control('private="x-a", max-age=60')], 60),
        ([control("must-revalidate, stale-while-revalidate=600, max-age=60")], 60),
        ([(b"vary", b"accept"), control("max-age=60")], 60),
        ([control("private, max-age=60")], None),
        ([control("private=, max-age=60")], None),
        ([control("no-store, max-age=60")], None),
        ([control("max-age=60"), (b"set-cookie", b"a=1")], None),
        ([control('max-age=60, private="x-a, Set-Cookie"'), (b"set-cookie", b"a=1")], 60),
        ([], 7200),
        ([control("public")], 7200),
    ],
)
def test_how_long_a_response_is_kept(headers: list[tuple[bytes, bytes]], seconds: float | None) -> None:
    kept = keeping(200, headers, [], NOW)
    assert (None if kept is None else kept.seconds) == seconds


def test_a_response_that_says_nothing_is_kept_by_its_status() -> None:
    kept = {status: keeping(status, [], [], NOW) for status in (200, 201, 204, 301, 302, 303, 307, 404, 410, 500)}
    assert {status: each.seconds for status, each in kept.items() if each is not None} == DEFAULT_SECONDS
    assert DEFAULT_SECONDS == {200: 7200, 301: 7200, 302: 1200, 303: 1200, 404: 180, 410: 180}


def test_any_status_is_kept_that_says_for_how_long() -> None:
    for status in (201, 307, 500, 504):
        kept = keeping(status, [control("max-age=60")], [], NOW)
        assert kept is not None
        assert kept.seconds == 60


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        ("max-age=60", False),
        ("public, max-age=60", True),
        ("must-revalidate, max-age=60", True),
        ("s-maxage=60", True),
    ],
)
def test_a_response_to_an_authorized_request_is_kept_if_it_is_for_all(text: str, is_kept: bool) -> None:
    assert (keeping(200, [control(text)], [(b"authorization", b"x")], NOW) is not None) is is_kept


def test_headers_of_the_connection_and_of_caches_are_not_kept() -> None:
    named = [b"connection", b"transfer-encoding", b"content-length", b"age", b"cf-cache-status", b"x-private", b"x-a"]
    kept = keeping(200, [*((name, b"1") for name in named), control("private=X-Private, max-age=60")], [], NOW)
    assert kept is not None
    assert kept.headers == [(b"x-a", b"1"), control("private=X-Private, max-age=60")]
    assert kept.age == 1
