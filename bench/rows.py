"""What is measured and what is to be reached, as data: the rows of the table and their targets.

How a row is measured is in `measures.py` and, for those about the testing kit, in `suites.py`; what starts the sides is
in `sides.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from bench.sides import EMULATOR, EMULATOR_JAVASCRIPT, UVICORN, WORKERD, WRANGLER
from bench.suites import VITEST

Medians = Mapping[str, float]
"""The median of a row for each side that was measured, by the name of the side."""

Comparison = Literal["times better than", "at least", "at most", "at most times", "below"]


@dataclass(frozen=True, slots=True)
class Target:
    """One condition on the emulator's median.

    `times better than`: by the factor `amount` against `side`. `at least` and `at most`: `amount`, in the unit of the
    row. `at most times`: `amount` times the median of `side`. `below`: the median of `side`.
    """

    comparison: Comparison
    amount: float = 0.0
    side: str = EMULATOR


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table. Several rows may come from one `measure`, which is the name that `--only` takes. Its targets
    are for the side `ours`."""

    name: str
    measure: str
    title: str
    unit: str
    higher_is_better: bool
    targets: tuple[Target, ...]
    write: Callable[[float], str]
    ours: str = EMULATOR

    def times_better(self, medians: Medians, side: str) -> float | None:
        """How many times better ours is than `side`; None when one of the two has no value."""
        if self.ours not in medians or side not in medians:
            return None
        ours, theirs = medians[self.ours], medians[side]
        if self.higher_is_better:
            return ours / theirs if theirs else None
        return theirs / ours if ours else None

    def met(self, target: Target, medians: Medians) -> bool | None:
        """Whether a target is reached; None when a value that it needs is missing."""
        if self.ours not in medians:
            return None
        match target.comparison:
            case "times better than":
                factor = self.times_better(medians, target.side)
                return None if factor is None else factor >= target.amount
            case "at least":
                return medians[self.ours] >= target.amount
            case "at most":
                return medians[self.ours] <= target.amount
            case "at most times":
                return (
                    None if target.side not in medians else medians[self.ours] <= target.amount * medians[target.side]
                )
            case "below":
                return None if target.side not in medians else medians[self.ours] < medians[target.side]


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _one_place(value: float) -> str:
    return f"{value:.1f}"


def _two_places(value: float) -> str:
    return f"{value:.2f}"


ROWS: Final = (
    Row(
        "ok",
        "ok",
        "`GET` answered `ok`",
        "requests/s",
        True,
        (Target("times better than", 15, WRANGLER), Target("times better than", 0.85, UVICORN)),
        _whole,
    ),
    Row(
        "send",
        "send",
        "`GET` that sends one message",
        "requests/s",
        True,
        (Target("times better than", 10, WRANGLER),),
        _whole,
    ),
    Row(
        "kept",
        "kept",
        "`GET` that sends one message, kept on disk",
        "requests/s",
        True,
        (Target("times better than", 13, WORKERD),),
        _whole,
    ),
    Row(
        "flood",
        "flood",
        "messages, `sendBatch` of 100 to ack",
        "messages/s",
        True,
        (Target("times better than", 4, WRANGLER),),
        _whole,
    ),
    Row(
        "latency",
        "latency",
        "send to consumer, p50",
        "ms",
        False,
        (Target("at most", 1), Target("below", side=WRANGLER)),
        _two_places,
    ),
    Row(
        "start",
        "start",
        "start to first answer",
        "s",
        False,
        (Target("times better than", 4, WRANGLER), Target("at most times", 1.8, UVICORN)),
        _two_places,
    ),
    Row(
        "reload",
        "reload",
        "saved file to new answer, p50",
        "ms",
        False,
        (Target("times better than", 4, WRANGLER),),
        _whole,
    ),
    Row(
        "kv-get",
        "kv-get",
        "`GET` that reads a value from KV",
        "requests/s",
        True,
        (Target("times better than", 15, WRANGLER),),
        _whole,
    ),
    Row(
        "kv-put",
        "kv-put",
        "`GET` that writes a value to KV",
        "requests/s",
        True,
        (Target("times better than", 5, WRANGLER),),
        _whole,
    ),
    Row(
        "d1-select",
        "d1-select",
        "`GET` that selects a row from D1 by its key",
        "requests/s",
        True,
        (Target("times better than", 15, WRANGLER),),
        _whole,
    ),
    Row(
        "d1-insert",
        "d1-insert",
        "`GET` that inserts a row into D1",
        "requests/s",
        True,
        (Target("times better than", 5, WRANGLER),),
        _whole,
    ),
    Row(
        "asset",
        "asset",
        "`GET` of an asset of 10 KB",
        "requests/s",
        True,
        (Target("times better than", 15, WRANGLER), Target("times better than", 1, WORKERD)),
        _whole,
    ),
    Row(
        "r2-small",
        "r2-small",
        "`GET` that reads 1 KB from R2",
        "requests/s",
        True,
        (Target("times better than", 15, WRANGLER),),
        _whole,
    ),
    Row(
        "r2-large",
        "r2-large",
        "`GET` that reads 10 MB from R2",
        "MB/s",
        True,
        (Target("times better than", 1, WRANGLER),),
        _whole,
    ),
    Row("memory", "memory", "idle memory, PSS", "MB", False, (Target("at most", 50),), _whole),
    Row(
        "backlog-memory",
        "backlog",
        "1,000,000 waiting messages, memory each",
        "bytes",
        False,
        (Target("at most", 700),),
        _whole,
    ),
    Row(
        "backlog-time",
        "backlog",
        "time per message at 1,000,000 to that at 10,000",
        "times",
        False,
        (Target("at most", 1.25),),
        _two_places,
    ),
)
"""The rows about `emulator dev` and its queues."""

OWN_ROWS: Final = (
    Row(
        "rest",
        "rest",
        "REST: push, pull and ack of 100-message batches",
        "messages/s",
        True,
        (Target("at least", 20_000),),
        _whole,
    ),
    Row(
        "persistent-flood",
        "persistence",
        "`sendBatch` of 100 to ack with `--persist-to`, to that without",
        "times",
        True,
        (Target("at least", 0.5),),
        _two_places,
    ),
    Row(
        "persistent-send",
        "persistence",
        "`GET` that sends one message with `--persist-to`, to that without",
        "times",
        True,
        (Target("at least", 0.25),),
        _two_places,
    ),
    Row(
        "watched-overview",
        "pages",
        "`GET` that sends one message while the overview is open in Chromium, to that without",
        "times",
        True,
        (Target("at least", 0.9),),
        _two_places,
    ),
    Row(
        "watched-messages",
        "pages",
        "the same with the page of messages",
        "times",
        True,
        (Target("at least", 0.9),),
        _two_places,
    ),
    Row(
        "watched-undrawn",
        "pages",
        "the same with a client that asks as that page does, and draws nothing",
        "times",
        True,
        (Target("at least", 0.9),),
        _two_places,
    ),
    Row(
        "recorded-ok",
        "recorder",
        "`GET` with what happens recorded, to that with `--no-record`",
        "times",
        True,
        (Target("at least", 0.97),),
        _two_places,
    ),
    Row(
        "recorded-send",
        "recorder",
        "`GET` that sends one message, the same",
        "times",
        True,
        (Target("at least", 0.97),),
        _two_places,
    ),
    Row(
        "recovery",
        "journal",
        "recovery of 1,000,000 waiting messages",
        "s",
        False,
        (Target("at most", 10),),
        _one_place,
    ),
    Row(
        "journal-size",
        "journal",
        "largest size of the journal, to the messages in it",
        "times",
        False,
        (Target("at most", 3),),
        _two_places,
    ),
    Row(
        "nats-flood",
        "nats",
        "`sendBatch` of 100 to ack in a NATS server, to bare nats-py",
        "times",
        True,
        (Target("at least", 0.5),),
        _two_places,
    ),
    Row(
        "nats-send",
        "nats",
        "single `send`, 32 at once, in a NATS server, to bare nats-py",
        "times",
        True,
        (Target("at least", 0.5),),
        _two_places,
    ),
    Row(
        "nats-latency",
        "nats",
        "send to consumer in a NATS server, p50",
        "ms",
        False,
        (Target("at most", 5),),
        _two_places,
    ),
    Row(
        "nats-backlog",
        "nats",
        "time of a send with 1,000,000 waiting in a NATS server, to that with few",
        "times",
        False,
        (Target("at most", 1.3),),
        _two_places,
    ),
)
"""The rows about the control plane, the journal and queues in a NATS server."""

JAVASCRIPT_ROWS: Final = tuple(
    replace(row, ours=EMULATOR_JAVASCRIPT, targets=targets)
    for name, targets in (
        ("ok", (Target("times better than", 6, WRANGLER), Target("times better than", 0.9, WORKERD))),
        ("send", (Target("times better than", 6, WRANGLER),)),
        ("kept", (Target("times better than", 7, WORKERD),)),
        ("flood", ()),
        ("latency", (Target("below", side=WRANGLER),)),
        ("start", (Target("times better than", 3, WRANGLER), Target("at most", 0.15))),
        ("reload", (Target("times better than", 2.5, WRANGLER),)),
        ("kv-get", (Target("times better than", 4, WRANGLER), Target("times better than", 1, WORKERD))),
        ("kv-put", (Target("times better than", 2, WRANGLER), Target("times better than", 1, WORKERD))),
        ("d1-select", (Target("times better than", 4, WRANGLER), Target("times better than", 1, WORKERD))),
        ("d1-insert", (Target("times better than", 2, WRANGLER), Target("times better than", 1, WORKERD))),
        ("r2-small", (Target("times better than", 4, WRANGLER),)),
        ("r2-large", (Target("times better than", 1, WRANGLER),)),
        ("memory", (Target("times better than", 1.5, WRANGLER),)),
    )
    for row in ROWS
    if row.name == name
)
"""The rows about JavaScript workers, the same file on all sides."""

SUITE_ROWS: Final = (
    Row(
        "many",
        "many",
        "1,000 tests that send, advance and assert",
        "s",
        False,
        (Target("at most", 5),),
        _two_places,
    ),
    Row("many-each", "many", "the same, each after the first", "ms", False, (Target("at most", 5),), _one_place),
    Row(
        "plugin",
        "plugin",
        "added to a test run that does not use it",
        "ms",
        False,
        (Target("at most", 30),),
        _whole,
    ),
    Row(
        "suite",
        "suite",
        "suite of 25 tests, whole command",
        "s",
        False,
        (Target("below", side=VITEST),),
        _two_places,
    ),
    Row("suite-each", "suite", "the same, per test", "ms", False, (Target("below", side=VITEST),), _one_place),
)
"""The rows about the testing kit."""

MEASURES: Final = tuple(dict.fromkeys(row.measure for row in (*ROWS, *OWN_ROWS, *SUITE_ROWS)))
