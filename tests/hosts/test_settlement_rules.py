"""The rules by which a batch is settled, each run against a worker in Python and the same one in JavaScript.

A message's body says what the handler does: `own` is done to the message, `batch`, of the first message, at the end. A
step is a word, or a word with a `delaySeconds`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from emulator.base.bus import Notice
from emulator.hosts.events import WorkerOutput
from emulator.testing import Emulator
from tests.hosts.settlement_cases import CALLS, CASES, DELAYS, ENDS, RETRY_DELAY, SEQUENCES, WARNED, Step
from tests.support.node_tools import needs_node

LOOKS = 200
IGNORED = re.compile(r"\b(ackAll|retryAll|ack|retry)\(\)")

PYTHON = """
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("ok")

    async def queue(self, batch, env, ctx):
        def act(steps, target):
            for what, *delay in steps:
                options = {"delaySeconds": delay[0]} if delay else {}
                if what == "ack":
                    target.ack()
                elif what == "retry":
                    target.retry(**options)
                elif what == "ackAll":
                    batch.ackAll()
                elif what == "retryAll":
                    batch.retryAll(**options)
                elif what == "say":
                    print("said")
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
  async fetch() {
    return new Response("ok");
  },
  async queue(batch, env, ctx) {
    function act(steps, target) {
      for (const [what, ...delay] of steps) {
        const options = delay.length ? { delaySeconds: delay[0] } : undefined;
        if (what === "ack") target.ack();
        else if (what === "retry") target.retry(options);
        else if (what === "ackAll") batch.ackAll();
        else if (what === "retryAll") batch.retryAll(options);
        else if (what === "say") console.log("said");
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
        self.said: list[tuple[str, str]] = []

    def __enter__(self) -> Settling:
        self.emulator.__enter__()
        bus = self.emulator._core.bus
        bus.subscribe(Notice, lambda event: self._note(event.level, event.text))
        bus.subscribe(WorkerOutput, lambda event: self._note(event.level, event.text))
        return self

    def __exit__(self, *_: object) -> None:
        self.emulator.close()

    def _note(self, level: str, text: str) -> None:
        self.said.append((level, text))

    def warnings(self, *batch: str) -> list[str]:
        """The warnings that the worker caused when it did the `batch` steps for a batch of two."""
        self.said.clear()
        self.deliver([], [], batch=[*batch, "say"])
        for _ in range(LOOKS):
            if ("info", "said") in self.said:
                return [text for level, text in self.said if level == "warning"]
            self.emulator.get("/")
        raise AssertionError("the worker said nothing")

    def deliver(self, *own: Sequence[Any], batch: Sequence[Any] = ()) -> tuple[str, str]:
        """Deliver one message for each of `own`, what is done to it, and do the `batch` steps at the end. Returns the
        outcome, and what became of each: `a`cked, `r`etried (with the delay), `d`ead."""
        self.emulator.queue("jobs").send_batch(
            [{"number": number, "own": _steps(steps), "batch": _steps(batch)} for number, steps in enumerate(own)]
        )
        [delivery] = self.emulator.advance(seconds=0)[:1]
        self.emulator.queue("jobs").purge()
        became = dict.fromkeys((message.id for message in delivery.acked), "a")
        became |= {message.id: f"r{delivery.retry_delays[message.id]}" for message in delivery.retried}
        became |= dict.fromkeys((message.id for message in delivery.dead_lettered), "d")
        return delivery.outcome, " ".join(became[message.id] for message in delivery.messages)


def _steps(steps: Sequence[Any]) -> list[list[Any]]:
    return [[step] if isinstance(step, str) else list(step) for step in steps]


@pytest.fixture
def settling(main: Path) -> Iterator[Settling]:
    with Settling(main, max_retries=3, retry_delay=RETRY_DELAY) as made:
        yield made


def test_every_sequence_of_up_to_three_calls_settles_a_batch_as_workerd_does(settling: Settling) -> None:
    ends = {"return": (), "throw": ("throw",)}
    different = {}
    for (sequence, end), expected in CASES.items():
        calls = [CALLS[letter] for letter in sequence]
        _, became = settling.deliver([], [], batch=[*calls, *ends[end]])
        if became.replace(f"r{RETRY_DELAY}", "r") != expected:
            different[sequence, end] = became
    assert different == {}
    assert len(CASES) == len(SEQUENCES) * len(ENDS) == 170


@pytest.mark.parametrize(("calls", "expected"), DELAYS, ids=str)
def test_whose_delay_wins(settling: Settling, calls: list[Step], expected: str) -> None:
    batch = [[what] if delay is None else [what, delay] for what, delay in calls]
    assert settling.deliver([], [], batch=batch) == ("ok", expected)


def test_a_call_that_is_ignored_is_a_warning_except_an_ack_after_ack_all(settling: Settling) -> None:
    found = {}
    for sequence in WARNED:
        warnings = settling.warnings(*(CALLS[letter] for letter in sequence))
        found[sequence] = [IGNORED.findall(text)[0] for text in warnings]
    assert found == WARNED


@pytest.mark.parametrize("delay", [2**31, -(2**31) - 1, 1e300])
def test_a_retry_delay_beyond_32_bits_is_a_type_error(settling: Settling, delay: float) -> None:
    for call in ("retry", "retryAll"):
        assert settling.deliver([], [], batch=[[call, delay]]) == ("exception", "r30 r30")
        assert settling.emulator.deliveries[-1].error.startswith("TypeError: Value out of range. Must be between")


@pytest.mark.parametrize(
    ("own", "batch", "expected"),
    [
        # Each message has its own call, and what is said of the batch is for those that have none.
        ([["ack"], [["retry", 5]], []], (), ("ok", "a r5 a")),
        ([["ack"], [["retry", 5]], []], ("throw",), ("exception", "a r5 r30")),
        ([["ack"], [["retry", 5]], []], (["retryAll", 7],), ("ok", "a r5 r7")),
        ([["ack"], [["retry", 5]], []], ("ackAll", "throw"), ("exception", "a r5 a")),
        # Work of waitUntil that rejects fails the batch.
        ([["ack"], []], ("reject",), ("exception", "a r30")),
    ],
)
def test_a_batch_is_settled_message_by_message(
    settling: Settling, own: list[list[Any]], batch: tuple[Any, ...], expected: tuple[str, str]
) -> None:
    assert settling.deliver(*own, batch=batch) == expected


def test_the_table_in_the_manual_is_the_table_of_this_suite() -> None:
    manual = (Path(__file__).parents[2] / "docs/queues.md").read_text(encoding="utf-8")
    letters = {name: letter for letter, name in CALLS.items()} | {"nothing": ""}
    written: dict[tuple[str, str], str] = {}
    for row in re.findall(r"^\| (.*) \| (\w+) / (\w+) \| (\w+) / (\w+) \|$", manual, re.MULTILINE):
        for sequence in row[0].split("; "):
            called = "".join(letters[name] for name in re.findall(r"\w+", sequence))
            written[called, "return"] = f"{row[1][0]} {row[2][0]}"
            written[called, "throw"] = f"{row[3][0]} {row[4][0]}"
    assert written == {case: became for case, became in CASES.items() if len(case[0]) <= 2}


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
