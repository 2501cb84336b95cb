"""How a batch is settled by what its handler called, in which order, and how it ended: as workerd does it, which has
run all of this. Data, for a suite that runs it on every host.
"""

from __future__ import annotations

from itertools import product
from typing import Final

CALLS: Final = {"a": "ack", "r": "retry", "A": "ackAll", "R": "retryAll"}
"""The calls, by the letters that stand for them. `ack` and `retry` are called on the first message of two."""

ENDS: Final = ("return", "throw")

Case = tuple[str, str]
"""A sequence of calls, and how the handler ended."""

SEQUENCES: Final = ["".join(letters) for length in range(4) for letters in product(CALLS, repeat=length)]

_GROUPS: Final = """
a a | r r | -
a a | a r | a aa ar aaa aar ara arr
r a | r r | r ra rr raa rar rra rrr
a a | a a | A aA Aa Ar AA AR aaA arA aAa aAr aAA aAR Aaa Aar AaA AaR Ara Arr ArA ArR AAa AAr AAA AAR ARa ARr ARA ARR
r r | r r | R rR Ra Rr RA RR raR rrR rRa rRr rRA rRR Raa Rar RaA RaR Rra Rrr RrA RrR RAa RAr RAA RAR RRa RRr RRA RRR
a r | a r | aR aaR arR aRa aRr aRA aRR
r a | r a | rA raA rrA rAa rAr rAA rAR
"""
"""What becomes of the first message and of the second (`a`cked or `r`etried) when the handler returns, the same when it
throws, and for which sequences."""


def _cases() -> dict[Case, str]:
    cases: dict[Case, str] = {}
    for group in _GROUPS.strip().splitlines():
        returned, thrown, sequences = (each.strip() for each in group.split("|"))
        for sequence in sequences.replace("-", "").split() or [""]:
            cases[sequence, "return"] = returned
            cases[sequence, "throw"] = thrown
    return cases


CASES: Final = _cases()
"""What becomes of the two messages in every case."""

WARNED: Final = {
    "aa": [],
    "ar": ["retry"],
    "aA": [],
    "aR": [],
    "ra": ["ack"],
    "rr": [],
    "rA": [],
    "rR": [],
    "Aa": [],
    "Ar": ["retry"],
    "AA": [],
    "AR": ["retryAll"],
    "Ra": ["ack"],
    "Rr": [],
    "RA": ["ackAll"],
    "RR": [],
}
"""The calls that are ignored with a warning, in every sequence of two."""

RETRY_DELAY: Final = 30
"""The `retry_delay` of the consumer, in seconds, where the delays below hold."""

Step = tuple[str, object]
"""A call, and its `delaySeconds`; None: without options."""

DELAYS: Final[list[tuple[list[Step], str]]] = [
    ([("retry", None)], "r30 a"),
    ([("retry", 5)], "r5 a"),
    ([("retry", 0)], "r0 a"),
    ([("retry", 5), ("retry", 9)], "r9 a"),
    ([("retry", 9), ("retry", 5)], "r5 a"),
    ([("retry", 5), ("retry", None)], "r30 a"),
    ([("retry", None), ("retry", 5)], "r5 a"),
    ([("retry", 5), ("ack", None)], "r5 a"),
    ([("retry", 5), ("ackAll", None), ("retry", 9)], "r5 a"),
    ([("retryAll", None)], "r30 r30"),
    ([("retryAll", 7)], "r7 r7"),
    ([("retryAll", 0)], "r0 r0"),
    ([("retryAll", 7), ("retryAll", 8)], "r8 r8"),
    ([("retryAll", 7), ("retryAll", None)], "r7 r7"),
    ([("retryAll", None), ("retryAll", 7)], "r7 r7"),
    ([("retryAll", 7), ("ackAll", None), ("ack", None)], "r7 r7"),
    ([("retry", 5), ("retryAll", 7)], "r5 r7"),
    ([("retryAll", 7), ("retry", 5)], "r5 r7"),
    ([("retryAll", 7), ("retry", None)], "r7 r7"),
    ([("retry", 0), ("retryAll", 7)], "r0 r7"),
    ([("retry", 5), ("retry", None), ("retryAll", 7)], "r7 r7"),
    ([("ack", None), ("retryAll", 7)], "a r7"),
    ([("retry", 1.7)], "r1 a"),
    ([("retry", "5")], "r5 a"),
    ([("retry", " 0x10 ")], "r16 a"),
    ([("retry", "soon")], "r0 a"),
    ([("retry", True)], "r1 a"),
    ([("retry", -5)], "r0 a"),
    ([("retry", 86_401)], "r86401 a"),
    ([("retryAll", "7.9")], "r7 r7"),
    ([("retryAll", 86_401)], "r86401 r86401"),
    ([("retryAll", -0.5)], "r0 r0"),
]
"""Sequences of calls with delays, after which the handler returns, and what becomes of both messages, with the delay of
those that are retried."""
