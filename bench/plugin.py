"""What the emulator's pytest plugin adds to a test run that does not use it.

`python -m bench.plugin PAIRS`, in the directory of a suite, prints milliseconds. It is a program of its own because it
forks: the start of Python and the imports of pytest vary by more than the plugin takes, so that all runs are children
of one process in which both are done. What is left is what each run does by itself, the plugin's import included.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Sequence

import pytest

_OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")


def measure(pairs: int) -> float:
    """Milliseconds of processor time that a run takes longer with the plugin: the median of the differences of `pairs`
    of runs, one with it and one without."""
    without = (*_OPTIONS, "-p", "no:emulator")
    # The first run of all imports what pytest imports while it runs, for all that follow.
    if pytest.main([*without]):
        raise SystemExit(1)
    return statistics.median(_processor_ms(_OPTIONS) - _processor_ms(without) for _ in range(pairs))


def _processor_ms(options: Sequence[str]) -> float:
    child = os.fork()
    if child == 0:
        os._exit(pytest.main([*options]))
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(1)
    return (used.ru_utime + used.ru_stime) * 1e3


if __name__ == "__main__":
    # What pytest prints goes where nobody looks; the number goes where it is asked for.
    output = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.write(output, f"{measure(int(sys.argv[1])):.3f}\n".encode())
