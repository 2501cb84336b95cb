"""The properties of a request that say how a browser would send it."""

from __future__ import annotations

import pytest

from emulator_runtime.workers import Request
from tests.runtime.asgi_calls import incoming


def test_a_request_says_how_it_was_made() -> None:
    request = Request("https://example.com", cache="no-store")
    for each in (request, request.clone(), Request(request), request.js_object):
        assert (each.cache, each.redirect, each.integrity, each.keepalive) == ("no-store", "follow", "", False)
    assert Request("https://example.com").cache is None
    assert incoming(method="GET").cache is None


@pytest.mark.parametrize(
    "name", ["credentials", "destination", "is_history_navigation", "mode", "referrer", "referrer_policy"]
)
def test_what_the_runtime_does_not_know_is_an_attribute_error_as_in_production(name: str) -> None:
    with pytest.raises(AttributeError, match="the requests of Workers have no such property"):
        getattr(Request("https://example.com"), name)


def test_a_request_shows_itself() -> None:
    assert repr(Request("https://example.com", method="POST")) == "Request(method='POST', url='https://example.com/')"
