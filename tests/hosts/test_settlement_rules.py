"""The rules by which a batch is settled, each run against a worker in Python and the same one in JavaScript.

A message's body says what the handler does: `own` is done to the message, `batch`, of the first message, at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.testing import Emulator
from tests.support.node_tools import needs_node

PYTHON = """
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        pass

    async def queue(self, batch, env, ctx):
        def act(steps, target):
            for step in steps:
                what, _, delay = step.partition(" ")
                if what == "ack":
                    target.ack()
                elif what == "retry":
                    target.retry(delaySeconds=int(delay)) if delay else target.retry()
                elif what == "ackAll":
                    batch.ackAll()
                elif what == "retryAll":
                    batch.retryAll(delaySeconds=int(delay)) if delay else batch.retryAll()
                elif what == "reject":
                    ctx.waitUntil(reject())
                elif what == "throw":
                    raise ValueError("thrown")

        async def reject():
            raise ValueError("rejected")

        first = batch.messages[0]
        for message in batch.messages:
            act(message.body.own, message)
        act(first.body.batch, first)
"""

JAVASCRIPT = """
export default {
  async fetch() {},
  async queue(batch, env, ctx) {
    function act(steps, target) {
      for (const step of steps) {
        const [what, delay] = step.split(" ");
        const options = delay === undefined ? undefined : { delaySeconds: Number(delay) };
        if (what === "ack") target.ack();
        else if (what === "retry") target.retry(options);
        else if (what === "ackAll") batch.ackAll();
        else if (what === "retryAll") batch.retryAll(options);
        else if (what === "reject") ctx.waitUntil(Promise.reject(new Error("rejected")));
        else if (what === "throw") throw new Error("thrown");
      }
    }
    for (const message of batch.messages) act(message.body.own, message);
    act(batch.messages[0].body.batch, batch.messages[0]);
  },
};
"""


@pytest.fixture(params=["python", pytest.param("javascript", marks=needs_node)])
def main(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "python":
        path = tmp_path / "entry.py"
        path.write_text(PYTHON)
    else:
        request.getfixturevalue("javascript")
        path = tmp_path / "index.js"
        path.write_text(JAVASCRIPT)
    return path


class Settling:
    """A worker that does as its messages say, and where they are afterwards."""

    def __init__(self, main: Path, **consumer: Any) -> None:
        settings = {"queue": "jobs", "max_batch_timeout": 0, "dead_letter_queue": "dlq", **consumer}
        self.emulator = Emulator(main=main, queues={"consumers": [settings]})

    def __enter__(self) -> Settling:
        self.emulator.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.emulator.close()

    def deliver(self, *own: list[str], batch: tuple[str, ...] = ()) -> tuple[str, str]:
        """Deliver one message for each of `own`, what is done to it, and do the `batch` steps at the end. Returns the
        outcome, and what became of each: `a`cked, `r`etried (with the delay where it has one), `d`ead."""
        self.emulator.queue("jobs").send_batch(
            [{"number": number, "own": steps, "batch": list(batch)} for number, steps in enumerate(own)]
        )
        [delivery] = self.emulator.advance(seconds=0)[:1]
        became = dict.fromkeys((message.id for message in delivery.acked), "a")
        became |= {message.id: f"r{delivery.retry_delays[message.id] or ''}" for message in delivery.retried}
        became |= dict.fromkeys((message.id for message in delivery.dead_lettered), "d")
        return delivery.outcome, " ".join(became[message.id] for message in delivery.messages)


@pytest.fixture
def settling(main: Path) -> Iterator[Settling]:
    with Settling(main, max_retries=3) as made:
        yield made


@pytest.mark.parametrize(
    ("own", "batch", "expected"),
    [
        # What the handler does not speak of is acked when it returns, and retried when it throws.
        ([[], []], (), ("ok", "a a")),
        ([[], []], ("throw",), ("exception", "r r")),
        # An ack holds even if the handler then throws; a retry does too.
        ([["ack"], []], ("throw",), ("exception", "a r")),
        ([["retry 60"], ["ack"]], (), ("ok", "r60 a")),
        # The first call on a message counts.
        ([["ack", "retry"]], (), ("ok", "a")),
        ([["retry 60", "ack"]], (), ("ok", "r60")),
        # ackAll and retryAll are for those that have no call of their own, and the first of the two counts.
        ([["retry 60"], []], ("ackAll",), ("ok", "r60 a")),
        ([["ack"], []], ("retryAll 60",), ("ok", "a r60")),
        ([[], []], ("ackAll", "retryAll"), ("ok", "a a")),
        ([[], []], ("retryAll 60", "ackAll"), ("ok", "r60 r60")),
        # They hold even if the handler then throws.
        ([[], []], ("ackAll", "throw"), ("exception", "a a")),
        ([["ack"], []], ("retryAll 60", "throw"), ("exception", "a r60")),
        # A delay of 0 is a delay.
        ([["retry 0"], []], ("retryAll 60",), ("ok", "r r60")),
        # Work of waitUntil that rejects fails the batch.
        ([["ack"], []], ("reject",), ("exception", "a r")),
    ],
)
def test_a_batch_is_settled_by_what_the_handler_did(
    settling: Settling, own: list[list[str]], batch: tuple[str, ...], expected: tuple[str, str]
) -> None:
    assert settling.deliver(*own, batch=batch) == expected


def test_the_retry_delay_of_the_consumer_is_the_last_resort(main: Path) -> None:
    with Settling(main, retry_delay=30) as settling:
        assert settling.deliver(["retry"], ["retry 5"], ["retry 0"], []) == ("ok", "r30 r5 r a")
        assert settling.deliver([], batch=("throw",)) == ("exception", "r30")


def test_a_message_that_fails_too_often_is_dead(main: Path) -> None:
    with Settling(main, max_retries=0) as settling:
        assert settling.deliver(["retry"], ["ack"], [], batch=("throw",)) == ("exception", "d a d")
        letters = settling.emulator.queue("dlq").messages
        assert [letter.body["number"] for letter in letters] == [0, 2]
        assert [letter.attempts for letter in letters] == [0, 0]
        assert "thrown" in letters[1].last_error


def test_asking_for_a_retry_is_no_failure_of_the_consumer(main: Path) -> None:
    with Settling(main, max_retries=0) as settling:
        assert settling.deliver(["retry"]) == ("ok", "d")
        [letter] = settling.emulator.queue("dlq").messages
        assert letter.last_error == "the handler called retry()"
