"""Why a message was retried is kept with it, also where the handler caught the error: in both languages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from emulator.testing import Emulator, Message
from tests.support.node_tools import needs_node

Run = Callable[..., dict[str, Message]]


@pytest.fixture
def dead(tmp_path: Path) -> Iterator[Run]:
    """Runs a worker's module until every message that it was sent is dead or done. Returns the dead letters by body."""
    opened: list[Emulator] = []

    def run(source: str, *bodies: str, suffix: str = ".py") -> dict[str, Message]:
        main = tmp_path / f"worker{suffix}"
        main.write_text(dedent(source))
        consumer = {"queue": "jobs", "max_retries": 1, "dead_letter_queue": "dlq"}
        emulator = Emulator(main=main, queues={"consumers": [consumer]})
        opened.append(emulator)
        emulator.__enter__()
        emulator.queue("jobs").send_batch(bodies)
        emulator.run_until_idle()
        letters = emulator.queue("dlq").messages
        for letter in letters:
            assert letter.dead_letter is not None
            assert len({attempt.error for attempt in letter.dead_letter.attempts}) == 1, "every attempt has its reason"
        return {message.body: message for message in letters}

    yield run
    for emulator in opened:
        emulator.close()


def test_a_python_handler_that_catches_and_retries_leaves_the_exception_and_its_traceback(dead: Run) -> None:
    letters = dead(
        """
        def deliver(body):
            if body != "fine":
                raise ConnectionError(f"no route to {body}")

        def on_queue(batch):
            for message in batch.messages:
                try:
                    deliver(message.body)
                    message.ack()
                except ConnectionError:
                    message.retry()
        """,
        *("here", "fine", "there"),
    )
    assert {body: letter.last_error for body, letter in letters.items()} == {
        "here": "ConnectionError: no route to here",
        "there": "ConnectionError: no route to there",
    }
    letter = letters["here"]
    assert letter.dead_letter is not None
    assert [(each.outcome, each.error) for each in letter.dead_letter.attempts] == [
        ("retry", "ConnectionError: no route to here")
    ] * 2
    lines = letter.last_traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert [line.strip() for line in lines if line.startswith("    ")] == [
        "deliver(message.body)",
        'raise ConnectionError(f"no route to {body}")',
    ]
    assert "emulator_runtime" not in letter.last_traceback


def test_a_python_handler_is_asked_where_it_caught_the_error_not_only_in_its_own_code(dead: Run) -> None:
    letters = dead(
        """
        import asyncio

        async def settle(message):
            try:
                await asyncio.sleep(1)
                raise ValueError(message.body)
            except ValueError:
                await asyncio.sleep(1)
                give_up(message)

        def give_up(message):
            message.retry(delaySeconds=5)

        async def on_queue(batch):
            await asyncio.gather(*(settle(message) for message in batch.messages))
        """,
        *("one", "two"),
    )
    assert {body: letter.last_error for body, letter in letters.items()} == {
        "one": "ValueError: one",
        "two": "ValueError: two",
    }


def test_a_python_handler_that_retries_the_batch_leaves_the_exception_with_all_that_have_no_call(dead: Run) -> None:
    letters = dead(
        """
        def on_queue(batch):
            try:
                1 / 0
            except ZeroDivisionError:
                batch.messages[0].retry()
            try:
                raise ConnectionError("down")
            except ConnectionError:
                batch.retryAll()
        """,
        *("one", "two"),
    )
    assert {body: letter.last_error for body, letter in letters.items()} == {
        "one": "ZeroDivisionError: division by zero",
        "two": "ConnectionError: down",
    }


def test_a_retry_outside_of_an_except_has_no_reason_and_not_that_of_another_message(dead: Run) -> None:
    letters = dead(
        """
        def on_queue(batch):
            try:
                raise ValueError("handled")
            except ValueError:
                pass
            batch.messages[0].retry()
            raise ConnectionError("of the second message")
        """,
        *("one", "two"),
    )
    assert {body: letter.last_error for body, letter in letters.items()} == {
        "one": "the handler called retry()",
        "two": "ConnectionError: of the second message",
    }


def test_an_exception_that_was_kept_does_not_keep_the_batch_alive(tmp_path: Path) -> None:
    main = tmp_path / "worker.py"
    main.write_text(
        dedent("""
            import gc, weakref
            from workers import Response

            class Held:
                pass

            held = []

            def on_fetch(request):
                return Response(str([each() is None for each in held]))

            def on_queue(batch):
                mine = Held()
                held.append(weakref.ref(mine))
                try:
                    raise ValueError("no")
                except ValueError:
                    batch.messages[0].retry()
        """)
    )
    import gc

    with Emulator(main=main, queues={"consumers": [{"queue": "jobs", "max_retries": 0}]}) as emulator:
        gc.collect()
        gc.disable()
        try:
            emulator.queue("jobs").send(1)
            emulator.run_until_idle()
            assert emulator.get("/").text == "[True]"
        finally:
            gc.enable()


@needs_node
@pytest.mark.usefixtures("javascript")
def test_a_javascript_handler_that_logs_the_error_right_before_the_retry_leaves_it(dead: Run) -> None:
    letters = dead(
        """
        async function deliver(body) {
          await scheduler.wait(1);
          if (body !== "fine") throw new RangeError(`no route to ${body}`);
        }
        export default {
          async queue(batch) {
            await Promise.all(batch.messages.map(async (message) => {
              try {
                await deliver(message.body);
                message.ack();
              } catch (error) {
                if (message.body === "silent") return message.retry();
                if (message.body === "text") console.error("mail failed:", error.message);
                else console.log("will retry", error);
                message.retry();
              }
            }));
          },
        };
        """,
        *("here", "silent", "fine", "there", "text"),
        suffix=".js",
    )
    assert {body: letter.last_error for body, letter in letters.items()} == {
        "here": "RangeError: no route to here",
        "silent": "the handler called retry()",
        "there": "RangeError: no route to there",
        "text": "mail failed: no route to text",
    }
    assert "worker.js:4" in letters["here"].last_traceback


@needs_node
@pytest.mark.usefixtures("javascript")
def test_what_a_javascript_handler_logged_earlier_is_not_taken_for_the_reason(dead: Run) -> None:
    letters = dead(
        """
        export default {
          async queue(batch) {
            console.error(new Error("of nobody"));
            await null;
            batch.messages[0].retry();
            console.error(new Error("of the second"));
            batch.messages[1].retry();
            batch.messages[2].retry();
            console.error(new Error("of the rest"));
            batch.retryAll();
          },
        };
        """,
        *("one", "two", "three", "four"),
        suffix=".js",
    )
    assert {body: letter.last_error for body, letter in letters.items()} == {
        "one": "the handler called retry()",
        "two": "Error: of the second",
        "three": "the handler called retry()",
        "four": "Error: of the rest",
    }


@needs_node
@pytest.mark.usefixtures("javascript")
def test_the_first_line_that_a_javascript_worker_ever_logs_is_a_reason_too(dead: Run) -> None:
    letters = dead(
        """
        export default {
          queue(batch) {
            console.error(new Error("the first"));
            batch.messages[0].retry();
          },
        };
        """,
        "one",
        suffix=".js",
    )
    assert letters["one"].last_error == "Error: the first"
