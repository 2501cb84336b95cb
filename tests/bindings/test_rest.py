"""What calls of the REST API share: pages of a list, notices and times."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from starlette.datastructures import QueryParams

from emulator.base.bus import Bus, Notice
from emulator.bindings.rest import MAX_PER_PAGE, PER_PAGE, ApiError, ApiErrorCode, Call, iso


def call(query: str = "", bus: Bus | None = None) -> Call[Any]:
    return Call(SimpleNamespace(bus=bus), {}, QueryParams(query))


def test_a_list_has_pages_that_count_from_1() -> None:
    items, page = call("page=2&per_page=3").page(list(range(8)))
    assert items == [3, 4, 5]
    assert (page.page, page.per_page, page.total_count) == (2, 3, 8)


def test_the_first_page_is_the_default_and_a_page_after_the_last_is_empty() -> None:
    items, page = call().page(list(range(PER_PAGE + 1)))
    assert items == list(range(PER_PAGE))
    assert (page.page, page.per_page) == (1, PER_PAGE)
    assert call("page=9").page([1])[0] == []


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "page=-1", "page=1.0", "page=%D9%A1", f"per_page={MAX_PER_PAGE + 1}"]
)
def test_a_page_that_is_not_a_number_in_range_is_refused(query: str) -> None:
    with pytest.raises(ApiError, match="it must be a whole number, 1 to") as caught:
        call(query).page([1])
    assert (caught.value.status, caught.value.code) == (400, ApiErrorCode.INVALID_BODY)


def test_a_change_by_a_client_is_a_notice() -> None:
    bus = Bus()
    notices: list[Notice] = []
    bus.subscribe(Notice, notices.append)
    call(bus=bus).report("queue jobs created")
    assert notices == [Notice("info", "REST API: queue jobs created")]


def test_a_time_is_written_in_utc_with_microseconds() -> None:
    assert iso(1_800_000_000.25) == "2027-01-15T08:00:00.250000Z"
