"""Secrets do not occur in texts that are shown, however they are written there."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.base.secrets import Secrets

KEY = "sk-live/1 2\"3'4é"


@pytest.fixture
def secrets() -> Secrets:
    secrets = Secrets()
    secrets.add("API_KEY", KEY)
    return secrets


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        f"Bearer {KEY}, again {KEY}",
        repr(KEY),
        json.dumps({"key": KEY}),
        json.dumps([KEY], ensure_ascii=False),
        f"https://example.com/{quote(KEY)}",
        f"https://example.com/?{urlencode({'key': KEY})}",
        quote(KEY, safe=""),
        quote_plus(KEY),
        KEY.encode().decode("latin-1"),
    ],
)
def test_a_secret_is_hidden_however_it_is_written(secrets: Secrets, written: str) -> None:
    shown = secrets.hide(written)
    assert "(secret API_KEY)" in shown
    assert "live" not in shown


def test_texts_without_a_secret_stay_as_they_are(secrets: Secrets) -> None:
    assert secrets.hide("sk-live") == "sk-live"
    assert Secrets().hide("anything") == "anything"
    assert Secrets().hide("anything", 3) == "any"


def test_a_secret_that_continues_behind_the_cut_is_hidden_as_a_whole(secrets: Secrets) -> None:
    text = f"x{KEY}y{KEY}"
    for most in range(1, len(KEY) + 2):
        assert secrets.hide(text, most) == ("x" if most == 1 else "x(secret API_KEY)")
    assert secrets.hide(text, len(KEY) + 2) == "x(secret API_KEY)y"
    assert secrets.hide(text, len(KEY) + 3) == "x(secret API_KEY)y(secret API_KEY)"


def test_of_two_secrets_the_longer_one_is_hidden(secrets: Secrets) -> None:
    secrets.add("LONG", f"{KEY}-and-more")
    assert secrets.hide(f"{KEY}-and-more {KEY}") == "(secret LONG) (secret API_KEY)"


def test_a_secret_of_an_older_version_stays_hidden(secrets: Secrets) -> None:
    assert secrets.hide(KEY) == "(secret API_KEY)"
    secrets.add("API_KEY", "the new one")
    assert secrets.hide(f"{KEY} the new one") == "(secret API_KEY) (secret API_KEY)"
    assert secrets.longest == max(len(quote(KEY, safe="")), len("the new one"))


def test_a_secret_of_a_few_characters_is_hidden_where_it_stands_alone(secrets: Secrets) -> None:
    secrets.add("PIN", "123")
    secrets.add("EMPTY", "")
    assert secrets.hide("pin=123, 1234, a123, '123'") == "pin=(secret PIN), 1234, a123, '(secret PIN)'"


@given(st.text("ABÀ€\"'\\/ \n\ud800", min_size=4, max_size=20), st.text("ab0 -", max_size=30), st.integers(0, 60))
def test_nothing_of_a_secret_is_left_wherever_a_text_is_cut(secret: str, around: str, most: int) -> None:
    secrets = Secrets()
    secrets.add("name", secret)
    for text in (f"{around}{secret}{around}", f"{around}{secret!r}", f"{around}{json.dumps(secret)}"):
        for shown in (secrets.hide(text), secrets.hide(text, most)):
            assert not set("ABÀ€\\/\n\ud800") & set(shown)
