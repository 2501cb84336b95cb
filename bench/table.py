"""The tables of medians that a benchmark ends with, as aligned Markdown, and the numbers behind them, as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bench.rows import OWN_ROWS, ROWS, SUITE_ROWS, Medians, Row, Target
from bench.sides import BEFORE, HERE

Samples = Mapping[str, Mapping[str, Sequence[float]]]
"""What was measured: by the name of the row and the name of the side, one value a run."""


def medians(samples: Samples, row: Row) -> dict[str, float]:
    """The median of a row for each side that has one."""
    return {side: statistics.median(values) for side, values in samples.get(row.name, {}).items() if values}


def render(samples: Samples, rows: Sequence[Row], titles: Mapping[str, str]) -> str:
    """A table, one line for each of `rows` that was measured, with a column for each side in `titles`. Empty when none
    was."""
    lines = [["", "unit", *titles.values(), "target", "reached", "met"]]
    for row in rows:
        values = medians(samples, row)
        if not values:
            continue
        cells = [row.write(values[side]) if side in values else "" for side in titles]
        met = [row.met(target, values) for target in row.targets]
        lines.append(
            [
                row.title,
                row.unit,
                *cells,
                ", ".join(_target(row, target) for target in row.targets),
                ", ".join(_reached(row, target, values) for target in row.targets),
                ", ".join({True: "yes", False: "no", None: "?"}[each] for each in met),
            ]
        )
    return _aligned(lines)


def compare(samples: Samples, rows: Sequence[Row], sides: Sequence[str]) -> str:
    """A table with a line for each of `rows` and each of `sides` that was measured here and in another checkout: both
    medians, and how many times better this one is, above 1 when it is. Empty when none was."""
    lines = [["", "unit", "side", "before", "now", "times better"]]
    for row in rows:
        values = medians(samples, row)
        for side in sides:
            before = side + BEFORE
            if side in values and before in values:
                factor = replace(row, ours=side).times_better(values, before)
                better = "?" if factor is None else f"{factor:.3f}"
                lines.append([row.title, row.unit, side, row.write(values[before]), row.write(values[side]), better])
    return _aligned(lines)


def _aligned(lines: list[list[str]]) -> str:
    if len(lines) == 1:
        return ""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )


def _target(row: Row, target: Target) -> str:
    match target.comparison:
        case "times better than":
            return f"{target.amount:g} x {target.side}"
        case "at least" | "at most":
            return f"{target.comparison} {target.amount:,g} {row.unit}"
        case "below":
            return f"below {target.side}"
        case "at most times":
            return f"at most {target.amount:g} x {target.side}"


def _reached(row: Row, target: Target, values: Medians) -> str:
    if target.comparison in {"at least", "at most"}:
        return row.write(values[row.ours]) if row.ours in values else "?"
    factor = row.times_better(values, target.side)
    if factor is None:
        return "?"
    if target.comparison == "at most times":
        factor = 1 / factor
    return f"{factor:.1f} x" if factor >= 2 else f"{factor:.2f} x"


def save(samples: Samples, titles: Mapping[str, str], load: str, failures: Sequence[str]) -> Path:
    """Write everything that was measured into `bench/results/`. Returns the file."""
    now = datetime.now(UTC)
    directory = HERE / "results"
    directory.mkdir(exist_ok=True)
    file = directory / f"{now:%Y%m%dT%H%M%SZ}.json"
    record = {
        "at": now.isoformat(timespec="seconds"),
        "machine": {"system": platform.platform(), "processors": os.cpu_count(), "python": platform.python_version()},
        "load": load,
        "sides": titles,
        "medians": {row.name: medians(samples, row) for row in (*ROWS, *OWN_ROWS, *SUITE_ROWS) if row.name in samples},
        "samples": samples,
        "failures": failures,
    }
    file.write_text(json.dumps(record, indent=2) + "\n")
    return file
