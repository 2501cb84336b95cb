"""What `queue` decides about a batch that is handed to it directly."""

from __future__ import annotations

from emulator.testing import Emulator, message


def test_a_shipped_order_is_acked(emulator: Emulator) -> None:
    result = emulator.dispatch_queue("orders", [message({"id": "c1"}, id="one")])
    assert result.outcome == "ok"
    assert result.explicit_acks == ["one"]


def test_an_order_that_is_out_of_stock_is_retried(emulator: Emulator) -> None:
    result = emulator.dispatch_queue("orders", [message({"id": "c2", "for": "out of stock"}, id="one")])
    assert result.explicit_acks == []
    assert [(retry.id, retry.delay_seconds) for retry in result.retry_messages] == [("one", None)]


def test_an_order_for_later_is_retried_with_a_delay_that_grows(emulator: Emulator) -> None:
    result = emulator.dispatch_queue("orders", [message({"id": "c3", "for": "later"}, id="one", attempts=3)])
    assert [(retry.id, retry.delay_seconds) for retry in result.retry_messages] == [("one", 180)]


def test_one_retry_does_not_keep_the_others_from_being_acked(emulator: Emulator) -> None:
    orders = [message({"id": "c4"}, id="one"), message({"id": "c5", "for": "out of stock"}, id="two")]
    result = emulator.dispatch_queue("orders", orders)
    assert result.explicit_acks == ["one"]
    assert [retry.id for retry in result.retry_messages] == ["two"]


def test_an_exception_is_the_outcome_and_what_was_acked_before_stays_acked(emulator: Emulator) -> None:
    orders = [message({"id": "c6"}, id="one"), message({"id": "c7", "for": "nobody"}, id="two")]
    result = emulator.dispatch_queue("orders", orders)
    assert result.outcome == "exception"
    assert result.explicit_acks == ["one"]


def test_on_a_holiday_the_whole_batch_is_retried_in_an_hour(emulator: Emulator) -> None:
    result = emulator.dispatch_queue("orders", [{"id": "c8", "whole": "holiday"}, {"id": "c9"}])
    assert result.retry_batch.retry
    assert result.retry_batch.delay_seconds == 3600


def test_what_is_picked_up_is_acked_as_a_whole(emulator: Emulator) -> None:
    result = emulator.dispatch_queue("orders", [{"id": "c10", "whole": "pickup"}, {"id": "c11"}])
    assert result.ack_all
    assert result.explicit_acks == []
