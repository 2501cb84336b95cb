"""The event loop of virtual time."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from emulator.testing.loop import EPOCH, StuckError, VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    made = VirtualLoop()
    yield made
    made.finish()
    assert made.is_closed()


def test_a_sleep_takes_virtual_time_only(loop: VirtualLoop) -> None:
    begun = time.monotonic()
    loop.complete(asyncio.sleep(3600))
    assert loop.time() == EPOCH + 3600
    assert time.monotonic() - begun < 5


def test_time_stands_still_while_there_is_something_to_do(loop: VirtualLoop) -> None:
    async def busy() -> None:
        for _ in range(100):
            await asyncio.sleep(0)

    loop.complete(busy())
    assert loop.time() == EPOCH


def test_advancing_runs_timers_in_order_each_at_its_own_time(loop: VirtualLoop) -> None:
    seen: list[float] = []
    for delay in (5, 0.1, 3, 7):
        loop.call_later(delay, lambda: seen.append(round(loop.time() - EPOCH, 3)))
    loop.advance_to(EPOCH + 5)
    assert seen == [0.1, 3, 5]
    assert loop.time() == EPOCH + 5
    assert loop.next_timer() == EPOCH + 7


def test_what_is_not_due_is_left_where_it_is(loop: VirtualLoop) -> None:
    task = loop.create_task(asyncio.sleep(10, "done"))
    loop.advance_to(EPOCH + 9.999)
    assert not task.done()
    loop.advance_to(EPOCH + 10)
    assert task.result() == "done"


def test_a_wait_that_can_never_end_is_an_error(loop: VirtualLoop) -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StuckError):
        loop.complete(forever())
    assert loop.complete(asyncio.sleep(0, "still works")) == "still works"


def test_an_exception_comes_out(loop: VirtualLoop) -> None:
    async def fail() -> None:
        await asyncio.sleep(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        loop.complete(fail())


def test_a_timeout_follows_virtual_time(loop: VirtualLoop) -> None:
    async def slow() -> None:
        async with asyncio.timeout(30):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        loop.complete(slow())
    assert loop.time() == EPOCH + 30


def test_time_waits_for_a_thread(loop: VirtualLoop) -> None:
    released = threading.Event()

    async def main() -> str:
        timer = asyncio.create_task(asyncio.sleep(5))
        waiting = asyncio.to_thread(released.wait, 10)
        threading.Timer(0.05, released.set).start()
        await waiting
        return "before the timer" if not timer.done() else "after the timer"

    assert loop.complete(main()) == "before the timer"
    assert loop.time() == EPOCH


def test_a_real_connection_works(loop: VirtualLoop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(connection.recv(100).upper())

        thread = threading.Thread(target=answer)
        thread.start()

        async def main() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello")
            data = await reader.read()
            writer.close()
            await writer.wait_closed()
            return data

        assert loop.complete(main()) == b"HELLO"
        thread.join()
