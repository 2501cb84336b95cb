from __future__ import annotations

import pytest

from emulator.wire.byte_range import byte_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=2-4", range(2, 5)),
        (" Bytes = 2 - 4 ", range(2, 5)),
        ("bytes=7-", range(7, 10)),
        ("bytes=8-99", range(8, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=-99", range(10)),
        ("bytes=10-", range(10, 10)),
        ("bytes=10-20", range(10, 10)),
        ("bytes=99-", range(99, 99)),
        ("bytes=-0", range(10, 10)),
        ("bytes=4-2", None),
        ("bytes=0-1,3-4", None),
        ("lines=1-2", None),
        ("bytes=", None),
        ("", None),
    ],
)
def test_what_a_header_asks_for_of_ten_bytes(header: str, expected: range | None) -> None:
    assert byte_range(header, 10) == expected


def test_of_nothing_there_is_nothing() -> None:
    assert not byte_range("bytes=0-", 0)
    assert not byte_range("bytes=-1", 0)
