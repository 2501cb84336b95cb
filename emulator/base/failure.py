"""An exception as the user should see it: the user's own frames, innermost last, without the emulator's.

The same `Failure` is shown in the terminal, on the error page and in plain-text answers, and kept with a dead letter.
"""

from __future__ import annotations

import linecache
import re
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

from emulator.base.errors import WorkerLoadError
from emulator_runtime import hosting

_OWN_DIRECTORIES: Final = (f"{Path(__file__).parent.parent}/", f"{Path(hosting.__file__).parent}/")
"""Where the emulator's own code is: the package, and the runtime beside it."""
_OWN_PACKAGES: Final = ("emulator.", "emulator_runtime.")
_TEMPLATES: Final = f"{_OWN_DIRECTORIES[0]}templates/"
"""Worker code that an installed package contains."""

_THIRD_PARTY: Final = re.compile(r"/(python_modules|site-packages|node_modules|\.venv[^/]*)/")
_OWN_ERROR: Final = re.compile(r"^emulator(?:_runtime)?\.[\w.]+\.(?=[A-Z]\w*(:|$))", re.MULTILINE)
_SUFFIX: Final = re.compile(r"@[A-Za-z0-9_-]+#[0-9]+(?![\w-])")


def plain_name(text: str) -> str:
    """`text` with module names as the user wrote them: `utils`, where `sys.modules` has `utils@sign-up#3`."""
    return _SUFFIX.sub("", text) if "#" in text else text


@dataclass(frozen=True, slots=True)
class Frame:
    """One level of a traceback. `line` counts from 1; `code` is that line, stripped. `is_user` distinguishes the
    worker's code from third-party and standard library code."""

    file: str
    line: int
    function: str
    code: str
    is_user: bool
    source: Sequence[str] = field(default=(), repr=False, compare=False)
    """All lines of the file as it was when the exception was raised; not a copy."""

    def context(self, around: int = 3) -> list[tuple[int, str]]:
        """The source lines `line - around` to `line + around` that exist, each with its number."""
        lines = self.source
        first = max(self.line - around, 1)
        return [
            (number, lines[number - 1].rstrip("\n")) for number in range(first, min(self.line + around, len(lines)) + 1)
        ]


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in worker code.

    `type` is the exception's name, with its module unless the worker defines it, and empty if `message` says
    everything. `frames` go from the outermost call to the innermost. `text` is the trimmed traceback as Python prints
    it, causes included. If `verbatim` is set, `text` contains the code and everything else there is to say, and is
    shown instead of the frames.
    """

    type: str
    message: str
    frames: tuple[Frame, ...]
    text: str
    verbatim: bool = False

    @classmethod
    def from_exception(cls, error: BaseException, root: Path | None = None) -> Failure:
        """Describe `error`. Code below `root`, a worker's directory, counts as the user's."""
        if isinstance(error, WorkerLoadError):
            return cls("", str(error), (), str(error))
        prefix = f"{root}/" if root else None
        for link in _chain(error):
            _show_sources(link.__traceback__)
        described = traceback.TracebackException.from_exception(error)
        _trim(described)
        frames = [_frame(summary, prefix) for summary in described.stack]
        message = _message(error)
        if isinstance(error, SyntaxError):
            message = error.msg
            if error.filename:
                line = error.lineno or 0
                lines = linecache.getlines(error.filename)
                code = lines[line - 1] if 0 < line <= len(lines) else error.text or ""
                is_user = _is_user(error.filename, prefix)
                frames.append(Frame(error.filename, line, "<module>", code.strip(), is_user, lines))
        text = plain_name(_OWN_ERROR.sub("", "".join(described.format())).rstrip("\n"))
        return cls(_type_name(error), plain_name(message), tuple(frames), text)

    @property
    def summary(self) -> str:
        """`TypeError: message`, as in the last line of a traceback."""
        return f"{self.type}: {self.message}" if self.type and self.message else self.type or self.message

    @property
    def location(self) -> str:
        """`file:line` of the user's innermost frame, else of the innermost frame; empty if there are no frames."""
        for frame in reversed(self.frames):
            if frame.is_user:
                return f"{frame.file}:{frame.line}"
        return f"{self.frames[-1].file}:{self.frames[-1].line}" if self.frames else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def is_own(file: str) -> bool:
    """Whether `file` belongs to the emulator or the import machinery, which users do not want to read."""
    if file.startswith("<frozen importlib"):
        return True
    return file.startswith(_OWN_DIRECTORIES) and not file.startswith(_TEMPLATES)


def _show_sources(traceback: TracebackType | None) -> None:
    """Give `linecache` the source of the code that ran. The loader of worker code knows it even if the file has been
    saved since; for any other file, the version on disk is the best there is."""
    while traceback is not None:
        frame = traceback.tb_frame
        show_source = getattr(frame.f_globals.get("__loader__"), "show_source", None)
        if show_source is not None:
            show_source()
        traceback = traceback.tb_next


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:
        return f"<its __str__ raised {type(broken).__name__}>"


def _type_name(error: BaseException) -> str:
    """The name of an exception as the user knows it: with its module, unless that is Python's, the worker's or ours."""
    module, name = type(error).__module__, type(error).__qualname__
    hidden = (
        module in ("builtins", "__main__") or "@" in module or module.startswith(("emulator.", "emulator_runtime."))
    )
    return name if hidden else f"{module}.{name}"


def _trim(described: traceback.TracebackException) -> None:
    """Remove the emulator's frames, also from causes and from the members of exception groups."""
    kept = [summary for summary in described.stack if not is_own(summary.filename)]
    described.stack = traceback.StackSummary.from_list(kept)
    for link in (described.__cause__, described.__context__, *(described.exceptions or ())):
        if link is not None:
            _trim(link)


def _is_user(file: str, prefix: str | None) -> bool:
    return prefix is not None and file.startswith(prefix) and not _THIRD_PARTY.search(file, len(prefix) - 1)


def _frame(summary: traceback.FrameSummary, prefix: str | None) -> Frame:
    lines = linecache.getlines(summary.filename)
    is_user = _is_user(summary.filename, prefix)
    return Frame(summary.filename, summary.lineno or 0, summary.name, (summary.line or "").strip(), is_user, lines)
