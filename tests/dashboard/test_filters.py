from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.dashboard.events import EventRow, event_facts
from emulator.dashboard.fields import EVENTS, MESSAGES, REQUESTS, SUBJECTS
from emulator.dashboard.filters import Filter, FilterError, Subject, Term, parse, quantity
from emulator.dashboard.rows import FoundMessage, MessageFacts, json_line, message_row, request_facts
from emulator.dashboard.story import RequestStory
from emulator.queues.message import QueueMessage

MESSAGE: Final[dict[str, Any]] = {
    "id": "3f2a91c0",
    "queue": "orders",
    "state": "dead",
    "attempts": 3,
    "error": "ConnectionError: Out of reach",
    "body": {"type": "welcome-email", "user": {"name": "Ada Lovelace"}, "items": [{"id": 7}], "paid": True},
    "older": 3_700.0,
    "size": 12_000,
    "text": '3f2a91c0 {"type":"welcome-email"} ConnectionError: Out of reach',
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "state:dead",
        "state:DEAD -queue:audit",
        "state:dead attempts>2 body.type=welcome-email error~connection older>1h",
        "attempts>=3 attempts<=3 attempts:3",
        'body.user.name="ada lovelace"',
        "body.items.0.id=7",
        "body.paid:true",
        "size>10kB older<2h",
        'welcome "out of reach"',
        "-state:ready",
        "state!=ready body.nothing!=1",
        "queue:orders -body.nothing:1",
    ],
)
def test_these_hold(text: str) -> None:
    assert parse(text, MESSAGES).matches(MESSAGE)


@pytest.mark.parametrize(
    "text",
    [
        "state:ready",
        "state:dead attempts>3",
        "attempts<3",
        "body.nothing=1",
        "body.type>3",
        "older>2h",
        "goodbye",
        '-"out of reach"',
        "state!=dead",
        "body.items.1.id=7",
        "error~timeout",
    ],
)
def test_these_do_not_hold(text: str) -> None:
    assert not parse(text, MESSAGES).matches(MESSAGE)


@pytest.mark.parametrize(
    ("text", "over", "said"),
    [
        ('queue:a error~"out of', MESSAGES, """character 9: a quote is missing, or one too many, in 'error~"out of'"""),
        ('a"b"', MESSAGES, "character 1: a quote is missing"),
        (
            "attempts>many",
            MESSAGES,
            "character 1: attempts>many: what stands behind > must be a number, such as 3, 90s",
        ),
        ("attempts:many", MESSAGES, "character 1: attempts:many: what stands behind : must be a number"),
        ("older>1fortnight", MESSAGES, "must be a number"),
        ("state:dead  -attemps>2", MESSAGES, "character 13: messages have no field attemps; the nearest is attempts"),
        ("http://x", REQUESTS, "character 1: requests have no field http; a text with : in it needs quotes"),
        ("attempts>2", REQUESTS, "requests have no field attempts;"),
        ("state.x:1", MESSAGES, "messages have no field state.x;"),
        ("state:daed", MESSAGES, "there is no state daed; the nearest is dead"),
        ("level:warn", EVENTS, "there is no level warn; the nearest is warning"),
        ("kind:nothing", REQUESTS, "there is no kind nothing; there are request, scheduled and email"),
        ("state>3", MESSAGES, "state is not a number; there are ready, delayed,"),
        ("queue:a error:", MESSAGES, 'character 9: a value is missing behind error: ("" is the empty one)'),
        ("a -", MESSAGES, "character 3: a term is missing behind -"),
        ('-""', MESSAGES, "character 1: a term is missing behind -"),
    ],
)
def test_what_can_mean_nothing_is_refused_with_where_and_what_is_near(text: str, over: Subject, said: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse(text, over)
    assert said in str(refused.value)
    assert str(refused.value).startswith(f"the filter cannot be read at character {refused.value.place + 1}: ")


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("id:3F2A", {"id": "3f2a91c0"}),
        ("-id:91c0", {"id": "3f2a91c0"}),
        ("duration_ms>1s -duration_ms>2s", {"duration_ms": 1_500.0}),
        ("duration_ms>1499", {"duration_ms": 1_500.0}),
        ('failure.message~"mail server"', {"failure": {"message": "the mail server is down"}}),
        ("files:src/a.py", {"files": ["src/a.py", "src/b.py"]}),
    ],
)
def test_ids_milliseconds_and_lists_are_compared_as_people_mean_it(text: str, facts: dict[str, Any]) -> None:
    assert parse(text, EVENTS if "id:" not in text else MESSAGES).matches(facts)


def test_every_field_is_a_fact_and_every_fact_a_field() -> None:
    message = QueueMessage("a" * 32, b"x", "text", 1.0, 1.0, 1.0)
    facts = MessageFacts(FoundMessage("jobs", "ready", message), 2.0)
    assert {*facts} - {"text"} == {field.name for field in MESSAGES.fields}
    story = RequestStory(
        id="b", trace="b", kind="request", worker="shop", text="GET /", outcome="200", at=1.0, duration=0.1
    )
    assert {*request_facts(story, 2.0)} - {"text"} == {field.name for field in REQUESTS.fields}
    row = EventRow(1, 1.0, "notice", "info", "hello", {"worker": "", "text": "hello"})
    assert {*event_facts(row, 2.0)} < {field.name for field in EVENTS.fields}


def test_a_body_that_is_nested_too_deep_is_listed_as_bytes() -> None:
    message = QueueMessage("a" * 32, b"[" * 5_000 + b"]" * 5_000, "json", 1.0, 1.0, 1.0)
    found = FoundMessage("jobs", "ready", message)
    assert message_row(found).size == 10_000
    assert b'"body": "5b5b5b' in json_line(found)
    assert not parse("body.0:1", MESSAGES).matches(MessageFacts(found, 2.0))


def test_a_text_is_looked_for_in_a_body_as_json_writes_it() -> None:
    assert parse(r'body~"\"type\":\"welcome"', MESSAGES).matches(MESSAGE)


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
WORDS = st.sampled_from(
    ["state", "attempts", "body", "body.a", "body.a.0", "body.²", "id", "older", "dead", "in flight", "1h", "3", "-",
     '"', "\\", " ", ":", "=", "~", "!=", "<", ">=", "x", "\n"]
)  # fmt: skip
TEXTS = st.text(max_size=20) | st.lists(WORDS, max_size=12).map("".join)


@given(TEXTS, st.sampled_from(list(SUBJECTS.values())), NESTED, NESTED)
def test_any_text_is_a_filter_or_refused_and_any_filter_can_be_asked(
    text: str, over: Subject, body: object, error: object
) -> None:
    try:
        wanted = parse(text, over)
    except FilterError as refused:
        place = refused.place
    else:
        place = 0
        assert isinstance(wanted.matches({**MESSAGE, "body": body, "error": error, "text": text}), bool)
        assert parse(str(wanted), over) == wanted
    assert 0 <= place <= len(text)


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "error", "body.a"]), st.sampled_from([":", "~", "!="]), st.text(min_size=1))
    )
)
def test_what_is_written_back_is_read_the_same(terms: list[tuple[str, str, str]]) -> None:
    wanted = Filter(tuple(Term(name, comparison if name else "", value) for name, comparison, value in terms))
    assert parse(str(wanted), MESSAGES) == wanted


@pytest.mark.parametrize(
    ("text", "number"), [("3", 3), ("90s", 90), ("5min", 300), ("1.5h", 5_400), ("2d", 172_800), ("10kB", 10_000)]
)
def test_quantities(text: str, number: float) -> None:
    assert quantity(text) == number


def test_quotes_may_stand_in_a_value() -> None:
    assert parse(r'error="say \"no\""', MESSAGES).terms[0].value == 'say "no"'


def test_a_filter_says_which_queue_alone_is_meant() -> None:
    assert parse("state:dead queue:Orders", MESSAGES).only("queue") == "orders"
    assert parse("-queue:orders", MESSAGES).only("queue") is None
