"""`python -m bench`: measure the emulator beside uvicorn, workerd, wrangler dev and vitest-pool-workers, and print
medians, ratios and targets.

The sides take turns within a run, so that whatever else the machine does meets them all.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench import load, table
from bench.control import OWN_MEASURES, OwnMeasure
from bench.measures import FULL, QUICK, SERVER_MEASURES, Effort, send_rate
from bench.rows import JAVASCRIPT_ROWS, MEASURES, OWN_ROWS, ROWS, SUITE_ROWS
from bench.sides import (
    BEFORE,
    EMULATOR,
    EMULATOR_JAVASCRIPT,
    UVICORN,
    BenchError,
    Server,
    Side,
    emulator_side,
    install,
    node_sides,
    running,
    sides_against,
    uvicorn_side,
)
from bench.suites import SUITE_MEASURES, VITEST, SuiteMeasure, vitest_title


class Benchmark:
    """The runs of a benchmark, and what they have measured so far: values by row and side, and what failed."""

    def __init__(self, sides: Sequence[Side], measures: Sequence[str], effort: Effort, *, with_node: bool) -> None:
        self.samples: dict[str, dict[str, list[float]]] = {}
        self.failures: list[str] = []
        self._sides = sides
        self._measures = measures
        self._effort = effort
        self._with_node = with_node

    def run(self, label: str) -> None:
        """Measure every side once."""
        for side in self._sides:
            try:
                self._run_side(side, label)
            except BenchError as error:
                self._fail(f"{side.title}: {error}")
        for name, measure in OWN_MEASURES.items():
            if name in self._measures:
                self._run_own(name, measure, label)
        for name, suite_measure in SUITE_MEASURES.items():
            if name in self._measures:
                self._run_suites(name, suite_measure, label)

    def _run_side(self, side: Side, label: str) -> None:
        measures = [name for name in SERVER_MEASURES if name in self._measures and name not in side.lacks]
        server_measures = [name for name in measures if name not in side.apart]
        starts = self._effort.starts if "start" in self._measures else min(1, len(server_measures))
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            for number in range(1, starts + 1):
                _progress(f"{label}  {side.name}  start {number}")
                with running(side, Path(scratch)) as server:
                    if "start" in self._measures:
                        self._note("start", side.name, server.start_seconds)
                    if number < starts:
                        continue
                    for name in server_measures:
                        self._measure(name, server, label)
            for name in (name for name in measures if name in side.apart):
                with running(side.for_measure(name), Path(scratch)) as server:
                    self._measure(name, server, label)
            if side.keeping is not None and "kept" in self._measures:
                _progress(f"{label}  {side.name}  kept")
                with running(replace(side, command=side.keeping), Path(scratch)) as server:
                    try:
                        self._note("kept", side.name, send_rate(server, self._effort))
                    except (BenchError, OSError) as error:
                        self._fail(f"{side.title}, kept: {error}")

    def _measure(self, name: str, server: Server, label: str) -> None:
        side = server.side
        _progress(f"{label}  {side.name}  {name}")
        try:
            self._note(name, side.name, SERVER_MEASURES[name](server, self._effort))
        except (BenchError, OSError) as error:
            self._fail(f"{side.title}, {name}: {error}")

    def _run_own(self, name: str, measure: OwnMeasure, label: str) -> None:
        _progress(f"{label}  emulator  {name}")
        try:
            for row, value in measure(self._effort).items():
                self._note(row, EMULATOR, value)
        except (BenchError, OSError) as error:
            self._fail(f"{name}: {error}")

    def _run_suites(self, name: str, measure: SuiteMeasure, label: str) -> None:
        _progress(f"{label}  testing kit  {name}")
        try:
            for row, values in measure(self._effort, self._with_node).items():
                for side, value in values.items():
                    self._note(row, side, value)
        except (BenchError, OSError) as error:
            self._fail(f"testing kit, {name}: {error}")

    def _note(self, row: str, side: str, value: float) -> None:
        self.samples.setdefault(row, {}).setdefault(side, []).append(value)

    def _fail(self, sentence: str) -> None:
        _progress(sentence)
        if sentence not in self.failures:
            self.failures.append(sentence)


def _without(titles: Mapping[str, str], *sides: str) -> dict[str, str]:
    return {name: title for name, title in titles.items() if name not in sides}


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Compare with Cloudflare's own emulators.")
    parser.add_argument(
        "--runs", type=int, default=3, metavar="N", help="how often everything is measured (default: 3)"
    )
    parser.add_argument("--only", nargs="+", choices=MEASURES, metavar="NAME", help=f"of {', '.join(MEASURES)}")
    parser.add_argument("--without-node", action="store_true", help="leave out what npm has to install")
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="compare with the emulator of another checkout instead, in turns"
    )
    parser.add_argument("--quick", action="store_true", help="shorter loads and fewer repetitions, for a rough idea")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark. The exit status is 0 when everything was measured, whatever the numbers, and 1 when not."""
    arguments = _arguments(argv)
    if arguments.against is not None:
        return _compare(arguments)
    sides: tuple[Side, ...] = (emulator_side(), uvicorn_side())
    with_node = False
    if not arguments.without_node:
        _progress("npm ci, unless it is done")
        try:
            install()
            sides += node_sides()
            with_node = True
        except BenchError as error:
            _progress(str(error))
    benchmark = _measured(sides, arguments.only or MEASURES, arguments, with_node=with_node)
    servers = {side.name: side.title for side in sides}
    runners = {EMULATOR: servers[EMULATOR]}
    if with_node:
        runners[VITEST] = vitest_title()
    file = table.save(benchmark.samples, servers | runners, load.generator(), benchmark.failures)
    own = {EMULATOR: servers[EMULATOR]}
    tables = (
        table.render(benchmark.samples, ROWS, _without(servers, EMULATOR_JAVASCRIPT)),
        table.render(benchmark.samples, JAVASCRIPT_ROWS, _without(servers, EMULATOR, UVICORN)) if with_node else "",
        table.render(benchmark.samples, OWN_ROWS, own),
        table.render(benchmark.samples, SUITE_ROWS, runners),
    )
    return _print(tables, benchmark, file, arguments.runs)


def _compare(arguments: argparse.Namespace) -> int:
    try:
        sides = sides_against(arguments.against)
    except BenchError as error:
        _progress(str(error))
        return 1
    measures = [name for name in SERVER_MEASURES if name in (arguments.only or MEASURES)]
    if "start" in (arguments.only or MEASURES):
        measures.append("start")
    benchmark = _measured(sides, measures, arguments, with_node=False)
    file = table.save(
        benchmark.samples, {side.name: side.title for side in sides}, load.generator(), benchmark.failures
    )
    names = [side.name for side in sides if not side.name.endswith(BEFORE)]
    return _print((table.compare(benchmark.samples, ROWS, names),), benchmark, file, arguments.runs)


def _measured(
    sides: Sequence[Side], measures: Sequence[str], arguments: argparse.Namespace, *, with_node: bool
) -> Benchmark:
    benchmark = Benchmark(sides, measures, QUICK if arguments.quick else FULL, with_node=with_node)
    try:
        for number in range(1, arguments.runs + 1):
            benchmark.run(f"run {number}/{arguments.runs}")
    except KeyboardInterrupt:
        _progress("stopped; what follows is what was measured until then")
    return benchmark


def _print(tables: Sequence[str], benchmark: Benchmark, file: Path, runs: int) -> int:
    print("\n\n".join(text for text in tables if text))
    print(f"\nMedians of {runs} runs. Load: {load.generator()}. All values: {file}")
    for failure in benchmark.failures:
        print(f"Not measured: {failure}")
    return 1 if benchmark.failures else 0


if __name__ == "__main__":
    sys.exit(main())
