"""Limits changes that a worker makes to `logging`, which the whole process shares, to that version of the worker.

While a worker's code is loaded, it sees the root logger as if there were no other workers, so that
`logging.basicConfig` works in every worker, and again after a reload. The handlers that it adds get only the records of
its own invocations, and are removed when it is loaded again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from emulator_runtime.hosting import current


class _Configuration:
    """What one worker has added: handlers, by logger, and the level of the root logger."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.added: list[tuple[logging.Logger, logging.Handler]] = []
        self.root_level = logging.WARNING

    @property
    def has_root_handlers(self) -> bool:
        return any(logger is logging.root for logger, _ in self.added)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` comes from the worker, and would exist if there were no other workers."""
        return _running_worker() == self.worker and (
            record.levelno >= self.root_level or _has_own_level(logging.getLogger(record.name))
        )


class _Unconfigured(logging.Handler):
    """Does what Python does without handlers, for the emulator and for workers that have not configured logging. Python
    itself stops doing so once another worker has added a handler to the root logger.

    It is installed while there are workers: if the root logger had no handlers, `logging.warning()` in a handler would
    configure logging for all of them.
    """

    def filter(self, _record: logging.LogRecord) -> bool:
        worker = _running_worker()
        if worker is None:
            return all(each is self or _is_added(each) for each in logging.root.handlers)
        return not any(each.worker == worker and each.has_root_handlers for each in _configurations.values())

    def emit(self, record: logging.LogRecord) -> None:
        last_resort = logging.lastResort
        if last_resort is not None and record.levelno >= last_resort.level:
            last_resort.handle(record)


_configurations: dict[object, _Configuration] = {}
_unconfigured = _Unconfigured()
_level_without_workers = logging.WARNING


@contextmanager
def own_logging(owner: object, worker: str) -> Iterator[None]:
    """Load code of `worker` in this context. `owner` identifies the worker: what was added for it before is removed."""
    global _level_without_workers  # noqa: PLW0603 - it goes with `logging.root`, which is as global
    if not _configurations:
        _level_without_workers = logging.root.level
    _detach_all()
    configuration = _configurations[owner] = _Configuration(worker)
    # Those of a test runner, for example. `basicConfig` would do nothing, and `dictConfig` would remove them.
    others, logging.root.handlers = logging.root.handlers, []
    before = set(_handlers())
    enabled = [logger for logger in _loggers() if not logger.disabled]
    logging.root.setLevel(_level_without_workers)
    try:
        yield
    finally:
        configuration.added = [each for each in _handlers() if each not in before]
        configuration.root_level = logging.root.level
        for (
            logger
        ) in enabled:  # `dictConfig` turns off the loggers that it finds, and these do not belong to the worker
            logger.disabled = False
        logging.root.handlers = [*others, *logging.root.handlers]
        for _, handler in configuration.added:
            handler.addFilter(configuration.filter)
        _attach_all()


def forget_logging(owner: object) -> None:
    """Remove what was added for `owner`."""
    _detach_all()
    _configurations.pop(owner, None)
    _attach_all()


def _detach_all() -> None:
    logging.root.removeHandler(_unconfigured)
    for configuration in _configurations.values():
        for logger, handler in configuration.added:
            logger.removeHandler(handler)


def _attach_all() -> None:
    for configuration in _configurations.values():
        for logger, handler in configuration.added:
            logger.addHandler(handler)
    if _configurations:
        logging.root.addHandler(_unconfigured)
    logging.root.setLevel(min((each.root_level for each in _configurations.values()), default=_level_without_workers))


def _is_added(handler: logging.Handler) -> bool:
    return any((logging.root, handler) in each.added for each in _configurations.values())


def _handlers() -> list[tuple[logging.Logger, logging.Handler]]:
    return [(logger, handler) for logger in (logging.root, *_loggers()) for handler in logger.handlers]


def _loggers() -> list[logging.Logger]:
    return [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]


def _has_own_level(logger: logging.Logger) -> bool:
    """Whether a level was set for the logger itself, or for one above it except the root."""
    while logger is not logging.root and logger.parent is not None:
        if logger.level != logging.NOTSET:
            return True
        logger = logger.parent
    return False


def _running_worker() -> str | None:
    invocation = current.get(None)
    return None if invocation is None else invocation.scope.name
