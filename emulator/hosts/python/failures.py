"""Converts exceptions of worker code into a `Failure`."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

from emulator.base.failure import Failure
from emulator.base.secrets import Secrets
from emulator.config.model import WorkerConfig
from emulator.hosts.python.prompts import DebuggerQuit


class DescribedError(TypeError):
    """An error whose place is not where it was raised: `failure` says where to fix it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def is_the_workers(error: BaseException) -> bool:
    """Whether an exception from worker code is a failure of that code. Nearly all are, including `sys.exit()`, except
    those that only pass through it: an interrupt, and the cancellation of its task."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or bool(not task.cancelling())
    return not isinstance(error, (KeyboardInterrupt, GeneratorExit))


def failure_of(error: BaseException, config: WorkerConfig, locals_without: Secrets | None = None) -> Failure:
    """The failure of an invocation that ended with this exception; see `Failure.from_exception`."""
    if isinstance(error, DescribedError):
        return error.failure
    if isinstance(error, DebuggerQuit):
        return Failure("", str(error), (), str(error))
    failure = Failure.from_exception(error, config.directory, locals_without)
    if isinstance(error, AttributeError) and error.obj is None and _is_of_env_or_ctx(error.name, config):
        return _with_hint(failure, "env and ctx are None in the methods of a class: use self.env and self.ctx")
    if isinstance(error, ModuleNotFoundError) and error.name and "." not in error.name:
        from emulator.base.installing import install_command, package_of

        if error.name not in sys.stdlib_module_names:
            return _with_hint(
                failure, f"if it is a package, install it with `{install_command(package_of(error.name))}`"
            )
    return failure


def _with_hint(failure: Failure, hint: str) -> Failure:
    return replace(failure, message=f"{failure.message} ({hint})", text=f"{failure.text} ({hint})")


def _is_of_env_or_ctx(attribute: str | None, config: WorkerConfig) -> bool:
    return attribute in ("waitUntil", "passThroughOnException") or any(
        binding.name == attribute for binding in config.bindings
    )


def load_failure(error: BaseException, config: WorkerConfig) -> Failure:
    """The failure of worker code that raised this exception while it was imported."""
    failure = failure_of(error, config)
    if isinstance(error, SystemExit):
        failure = replace(failure, message=f"{error.code}: the module called sys.exit() while it was imported")
    return failure
