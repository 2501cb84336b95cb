"""What tells the invocations of a process apart."""

from __future__ import annotations

from emulator.base.acts import Acts, acting
from emulator.bindings.wiring import Answered, OtherWorker, Reference, WireRequest, WireResponse, Wiring
from emulator.hosts.triggers import ScheduledTrigger
from emulator.hosts.workerd.lanes import LANES, Lanes, act_of_request, has_twins, only_act_of, twin

ACTS = Acts(lambda: 1.0)


def trigger(number: int = 0) -> ScheduledTrigger:
    return ScheduledTrigger(f"{number} * * * *", 0)


def test_an_invocation_has_a_lane_and_the_act_that_it_began_in() -> None:
    known: dict[str, Lanes] = {}
    lanes = Lanes("ab", known)
    first, second = trigger(1), trigger(2)
    acts = [ACTS.begin(), ACTS.begin()]
    for each, act in zip((first, second), acts, strict=True):
        token = acting.set(act)
        lanes.enter(each)
        acting.reset(token)
    numbers = [lanes.number_of(each) for each in (first, second)]
    assert numbers == [1, 2]
    assert [act_of_request(known, b"ab/%d" % number) for number in numbers] == acts
    assert lanes.trigger_of(2) is second


def test_what_ended_is_known_until_its_lane_is_taken_again() -> None:
    lanes = Lanes("ab", {})
    first = trigger(0)
    token = acting.set(ACTS.begin())
    lanes.enter(first)
    acting.reset(token)
    lanes.leave(first)
    assert (lanes.number_of(first), lanes.trigger_of(1)) == (0, first)
    others = [trigger(number) for number in range(1, LANES + 1)]
    for each in others:
        lanes.enter(each)
    assert lanes.trigger_of(1) is others[-1]
    assert lanes.act_of(1) is None


def test_more_than_there_are_lanes_is_not_told_apart() -> None:
    lanes = Lanes("ab", {})
    triggers = [trigger(number) for number in range(LANES + 1)]
    for each in triggers:
        lanes.enter(each)
    assert [lanes.number_of(each) for each in triggers] == [*range(1, LANES + 1), 0]
    lanes.leave(triggers[-1])
    lanes.leave(triggers[3])
    again = trigger()
    lanes.enter(again)
    assert lanes.number_of(again) == 4


def test_requests_of_a_process_that_is_gone_belong_to_nothing() -> None:
    known: dict[str, Lanes] = {}
    lanes = Lanes("ab", known)
    token = acting.set(ACTS.begin())
    lanes.enter(trigger())
    acting.reset(token)
    assert act_of_request(known, b"ab/1") is not None
    assert act_of_request(known, b"ab/2") is None
    lanes.close()
    assert act_of_request(known, b"ab/1") is None


def test_a_request_without_a_lane_is_of_the_only_invocation_of_its_worker() -> None:
    known: dict[str, Lanes] = {}
    lanes, _other = Lanes("ab", known, "shop"), Lanes("cd", known, "other")
    first, second = trigger(1), trigger(2)
    act = ACTS.begin()
    token = acting.set(act)
    lanes.enter(first)
    assert only_act_of(known, "shop") == act
    assert only_act_of(known, "other") is None
    lanes.enter(second)
    acting.reset(token)
    assert only_act_of(known, "shop") is None
    lanes.leave(second)
    assert only_act_of(known, "shop") == act


def test_only_what_is_answered_here_has_twins() -> None:
    def answer(_request: WireRequest) -> WireResponse:
        return WireResponse()

    store = Wiring("STORE", {"kvNamespace": Reference()}, {"": Answered(answer)})
    assert has_twins(store)
    assert twin(store, 3).name == "emulator lanes 3 STORE"
    assert not has_twins(Wiring("TEXT", {"text": "value"}))
    assert not has_twins(Wiring("OTHER", {"service": Reference()}, {"": OtherWorker("other")}))
    assert not has_twins(Wiring("", {}, {"": Answered(answer)}))
