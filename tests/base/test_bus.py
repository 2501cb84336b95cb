"""The bus: who hears of an event, in which order, and for how long."""

from __future__ import annotations

from emulator.base.bus import Bus, Notice


class Other:
    """An event of another type."""


class Loud(Notice):
    """An event of a derived type."""


def test_an_event_reaches_the_subscribers_of_its_type_in_the_order_of_subscription() -> None:
    bus = Bus()
    heard: list[object] = []
    bus.subscribe(Notice, lambda event: heard.append(("first", event.text)))
    bus.subscribe(Other, lambda _event: heard.append(("other", "")))
    bus.subscribe(Notice, lambda event: heard.append(("second", event.text)))
    bus.publish(Notice("info", "hello"))
    assert heard == [("first", "hello"), ("second", "hello")]


def test_a_subscriber_hears_of_exactly_the_type_that_it_asked_for() -> None:
    bus = Bus()
    heard: list[object] = []
    bus.subscribe(Notice, heard.append)
    bus.publish(Loud("info", "hello"))
    assert heard == []


def test_a_subscriber_that_has_left_hears_nothing_more() -> None:
    bus = Bus()
    heard: list[object] = []
    leave = bus.subscribe(Notice, lambda event: heard.append(event.text))
    bus.publish(Notice("info", "one"))
    leave()
    bus.publish(Notice("info", "two"))
    assert heard == ["one"]


def test_an_event_type_is_wanted_while_anybody_is_subscribed_to_it() -> None:
    bus = Bus()
    assert not bus.wants(Notice)
    leave_first = bus.subscribe(Notice, lambda _event: None)
    leave_second = bus.subscribe(Notice, lambda _event: None)
    leave_first()
    assert bus.wants(Notice)
    leave_second()
    assert not bus.wants(Notice)
