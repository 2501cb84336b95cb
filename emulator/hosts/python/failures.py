"""What worker code raised, as a `Failure`."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from emulator.base.failure import Failure
from emulator.config.model import WorkerConfig


class DescribedError(TypeError):
    """An error that is not where it was raised: `failure` says where it is to be mended."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def is_the_workers(error: BaseException) -> bool:
    """Whether what came out of worker code is its failure, as nearly everything is, `sys.exit()` included, and not
    something that only goes through it: an interrupt, or the cancellation of the task that it runs in."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or bool(not task.cancelling())
    return not isinstance(error, (KeyboardInterrupt, GeneratorExit))


def failure_of(error: BaseException, config: WorkerConfig) -> Failure:
    """The failure that an invocation ended with."""
    return error.failure if isinstance(error, DescribedError) else Failure.from_exception(error, config.directory)


def load_failure(error: BaseException, config: WorkerConfig) -> Failure:
    """The failure that the worker's code ended with while it was imported."""
    failure = failure_of(error, config)
    if isinstance(error, SystemExit):
        failure = replace(failure, message=f"{error.code}: the module called sys.exit() while it was imported")
    return failure
