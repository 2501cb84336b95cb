"""`python -m tests.trials`: the long trials. Exits with 1 when one of them fails."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.node_tools import ESBUILD, WORKERD
from tests.trials import kill, large, shared, soak, stores


def main() -> int:
    """Run the trials that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.trials", description=__doc__)
    parser.add_argument("--rounds", type=int, default=150, help="kills for each language (default 150)")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to soak (default 10)")
    parser.add_argument("--seed", type=int, default=1, help="what the random moments follow from (default 1)")
    parser.add_argument("--shared-minutes", type=float, default=2.0, help="how long to share a queue (default 2)")
    parser.add_argument("--large", type=float, default=5.0, help="GB of a large object (default 5; 0: none)")
    options = parser.parse_args()
    has_javascript = WORKERD.exists()
    if has_javascript:
        os.environ.update(EMULATOR_WORKERD=str(WORKERD), EMULATOR_ESBUILD=str(ESBUILD))
    else:
        print("workerd is not installed (make test installs it where node is): Python workers only")
    reports: list[kill.Report | soak.Report | shared.Report | stores.StoresReport | large.LargeReport] = []
    languages: tuple[kill.Language, ...] = ("python", "javascript") if has_javascript else ("python",)
    for language in languages:
        with _directory() as directory:
            print(f"kill -9, {language}: {options.rounds} rounds ...", flush=True)
            reports.append(kill.run(directory, language, options.rounds, options.seed))
            print(f"  {reports[-1]}", flush=True)
    with _directory() as directory:
        print(f"kill -9, KV and R2: {options.rounds} rounds ...", flush=True)
        reports.append(stores.run(directory, options.rounds, options.seed))
        print(f"  {reports[-1]}", flush=True)
    if options.large:
        with _directory() as directory:
            print(f"an R2 object of {options.large:g} GB ...", flush=True)
            reports.append(large.run(directory, int(options.large * 1e9)))
            print(f"  {reports[-1]}", flush=True)
    if options.minutes:
        with _directory() as directory:
            print(f"soak: {options.minutes:g} minutes ...", flush=True)
            reports.append(soak.run(directory, options.minutes * 60, with_javascript=has_javascript))
            print(f"  {reports[-1]}", flush=True)
    if options.shared_minutes:
        print(f"a queue in a NATS server: {options.shared_minutes:g} minutes ...", flush=True)
        reports.append(shared.run(options.shared_minutes * 60, options.seed))
        print(f"  {reports[-1]}", flush=True)
    return 0 if all(report.is_good for report in reports) else 1


@contextmanager
def _directory() -> Iterator[Path]:
    """A new directory for a trial, with a runtime directory of its own in it."""
    with tempfile.TemporaryDirectory(prefix="emulator-trial-") as name:
        directory = Path(name)
        (directory / "run").mkdir()
        os.environ.update(XDG_RUNTIME_DIR=str(directory / "run"))
        yield directory


if __name__ == "__main__":
    sys.exit(main())
