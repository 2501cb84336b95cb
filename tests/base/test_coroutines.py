"""Running coroutines that do not suspend."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from types import coroutine

import pytest

from emulator.base.coroutines import run_now


async def answer(question: int) -> int:
    return question * 2


async def raise_one() -> None:
    raise KeyError("no")


def test_a_coroutine_is_run_to_its_end() -> None:
    assert run_now(answer(21)) == 42


def test_what_it_raises_is_raised() -> None:
    with pytest.raises(KeyError):
        run_now(raise_one())


def test_a_coroutine_that_waits_is_an_error_and_is_closed() -> None:
    ended: list[bool] = []

    @coroutine
    def future() -> Generator[object, None, None]:
        yield object()

    async def wait() -> None:
        try:
            await future()
        finally:
            ended.append(True)

    with pytest.raises(RuntimeError, match="suspended"):
        run_now(wait())
    assert ended == [True]


def test_a_coroutine_that_lets_others_run_goes_on() -> None:
    async def give_way() -> str:
        for _ in range(3):
            await asyncio.sleep(0)
        return "done"

    assert run_now(give_way()) == "done"
