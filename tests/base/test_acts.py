"""What is done on behalf of what."""

from __future__ import annotations

from random import Random

import pytest

from emulator.base.acts import Acts, RemoteAct, read_traceparent

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.mark.parametrize(("flags", "is_sampled"), [("01", True), ("00", False), ("03", True), ("02", False)])
def test_a_traceparent_names_a_trace_and_an_act(flags: str, is_sampled: bool) -> None:
    assert read_traceparent(f"00-{TRACE}-{PARENT}-{flags}") == RemoteAct(TRACE, PARENT, is_sampled)


def test_of_a_later_version_what_is_known_is_read() -> None:
    assert read_traceparent(f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be") == RemoteAct(TRACE, PARENT, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
    ],
)
def test_what_is_no_traceparent_is_ignored(text: str) -> None:
    assert read_traceparent(text) is None
    act = Acts(lambda: 1.0).begin(traceparent=text)
    assert act.cause == ""
    assert act.trace != TRACE


def test_an_act_is_part_of_what_caused_it() -> None:
    acts = Acts(lambda: 100.0, random=Random(1))
    request = acts.begin(traceparent=f"00-{TRACE}-{PARENT}-01")
    send = acts.begin(request, seconds_ago=2.5)
    assert (request.trace, request.cause, request.began) == (TRACE, PARENT, 100.0)
    assert (send.trace, send.cause, send.began) == (TRACE, request.id, 97.5)
    assert len({request.id, send.id, PARENT}) == 3
    assert read_traceparent(send.traceparent) == RemoteAct(TRACE, send.id, True)


def test_a_part_has_the_same_id_whenever_it_is_asked_for() -> None:
    act = Acts(lambda: 1.0).begin()
    assert act.part("a") == act.part("a")
    assert act.part("a").id != act.part("b").id
    assert act.part("a").cause == act.id


def test_what_a_request_says_can_be_ignored() -> None:
    assert Acts(lambda: 1.0, follows=False).begin(traceparent=f"00-{TRACE}-{PARENT}-01").cause == ""


def test_a_trace_is_sampled_as_a_whole() -> None:
    asked: list[RemoteAct | None] = []

    def sample(_trace: str, cause: RemoteAct | None) -> bool:
        asked.append(cause)
        return False

    acts = Acts(lambda: 1.0, sample)
    root = acts.begin(traceparent=f"00-{TRACE}-{PARENT}-00")
    assert not root.is_sampled
    assert not acts.begin(root).is_sampled
    assert not root.part("a").is_sampled
    assert root.traceparent.endswith("-00")
    assert asked == [RemoteAct(TRACE, PARENT, False)]
