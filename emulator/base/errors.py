"""Errors that the user can fix.

    EmulatorError
    ├── ConfigError       the configuration is invalid; carries every problem of the file at once
    ├── WorkerLoadError   the worker's code failed to load, or has no entrypoint
    └── ServerError       the server cannot start (a port is in use, a host cannot be bound)

An `EmulatorError` is shown as its text alone, with no traceback, and the command exits with status 2. Any other
exception is a bug of the emulator, or comes from the user's own code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

Code: TypeAlias = Literal[
    "contradictory-flags",
    "default-flag",
    "experimental-flag",
    "fails-to-load",
    "future-date",
    "ignored",
    "invalid-value",
    "missing-handler",
    "missing-key",
    "name-taken",
    "no-such-environment",
    "not-emulated",
    "not-inherited",
    "over-limit",
    "refused-by-production",
    "refused-by-wrangler",
    "repeated-flag",
    "repeated-key",
    "syntax",
    "unknown-flag",
    "unknown-key",
    "unreadable",
]
"""The kinds of problems, for programs. `docs/configuration.md` says what each means."""


class EmulatorError(Exception):
    """Something that the user can fix.

    `message` says what is wrong, `where` names the place (`wrangler.jsonc:12:9`, a file, an option), and `hint` says
    how to fix it; the last two may be empty. `str()` joins them into one text for the user.
    """

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  {self.hint}" if self.hint else text


class Problem(msgspec.Struct, frozen=True):
    """One thing in a configuration file that is wrong or questionable.

    `file` is the path as the user wrote it. `line` and `column` count from 1; 0 means the file as a whole. `key` is the
    key path, such as `queues.consumers[0].max_batch_size`; empty for the file as a whole. `is_local` says that it is
    one here, and not in production.
    """

    file: str
    line: int
    column: int
    key: str
    message: str
    hint: str = ""
    is_local: bool = False
    code: Code = "invalid-value"

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def __str__(self) -> str:
        text = f"{self.where}: {self.key}: {self.message}" if self.key else f"{self.where}: {self.message}"
        return f"{text}\n  {self.hint}" if self.hint else text


class ConfigError(EmulatorError):
    """A configuration that cannot be used. `problems` lists everything that is wrong with it, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class WorkerLoadError(EmulatorError):
    """The worker's code failed to load: it raised an exception while it was imported, or has no entrypoint."""


class ServerError(EmulatorError):
    """The server cannot start."""
