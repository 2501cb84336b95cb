"""An exception as the user should see it: the user's own frames, innermost last, without the emulator's.

The same `Failure` is shown in the terminal, on the error page and in plain-text answers, and kept with a dead letter.
Its texts come from worker code and may be anything: here they are made well-formed and cut to a limit, so that they can
be written down wherever they go, once for each message of a batch.
"""

from __future__ import annotations

import linecache
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final

from emulator.base.errors import WorkerLoadError
from emulator.base.secrets import Secrets
from emulator_runtime import hosting
from emulator_runtime.hosting import well_formed

MAX_ERROR_BYTES: Final = 4_000
"""How long an error in one line (`Failure.summary`) may be, in UTF-8."""

MAX_TRACEBACK_BYTES: Final = 16_000
"""How long a traceback (`Failure.text`) may be, in UTF-8."""

MAX_FRAMES_WITH_VARIABLES: Final = 10
"""Of how many of the worker's frames in an exception, the innermost ones, the local variables are kept."""

_MAX_LINKS: Final = 5
_MAX_FRAMES_BEHIND: Final = 3
"""Of how many exceptions, the one that was raised included, there are frames, and of each of the others how many."""

_MAX_TYPE_BYTES: Final = 200
_MAX_CODE_BYTES: Final = 1_000

_OWN_DIRECTORIES: Final = (f"{Path(__file__).parent.parent}/", f"{Path(hosting.__file__).parent}/")
"""Where the emulator's own code is: the package, and the runtime beside it."""
_OWN_PACKAGES: Final = ("emulator.", "emulator_runtime.")
_TEMPLATES: Final = f"{_OWN_DIRECTORIES[0]}templates/"
"""Worker code that an installed package contains."""

_set: Final = object.__setattr__

_NEAR: Final = 10
"""How many calls are looked through for one of the worker's own."""

_THIRD_PARTY: Final = re.compile(r"/(python_modules|site-packages|node_modules|\.venv[^/]*)/")
_OWN_ERROR: Final = re.compile(r"^emulator(?:_runtime)?\.[\w.]+\.(?=[A-Z]\w*(:|$))", re.MULTILINE)
_SUFFIX: Final = re.compile(r"@[A-Za-z0-9_-]+#[0-9]+(?![\w-])")


def plain_name(text: str) -> str:
    """`text` with module names as the user wrote them: `utils`, where `sys.modules` has `utils@sign-up#3`."""
    return _SUFFIX.sub("", text) if "#" in text else text


def limited(text: str, max_bytes: int) -> str:
    """`text`, well-formed, in at most `max_bytes` of UTF-8 (100 or more). The middle of a longer text is replaced with
    a note of how much is missing."""
    text = well_formed(text)
    if len(text) * 4 <= max_bytes:
        return text
    encoded = text.encode()
    if len(encoded) <= max_bytes:
        return text
    room = max_bytes - len(_left_out(len(encoded)))
    tail = room // 4
    end = encoded[-tail:].decode(errors="ignore")
    start = encoded[: room - tail].decode(errors="ignore")
    return start + _left_out(len(encoded) - len(start.encode()) - len(end.encode())) + end


def _left_out(size: int) -> str:
    return f" [... {size:,} bytes left out ...] "


@dataclass(frozen=True, slots=True)
class Frame:
    """One level of a traceback. `line` counts from 1; `code` is that line, stripped. `is_user` distinguishes the
    worker's code from third-party and standard library code. `column` and `end_column` say which part of the line is
    wrong, indentation included: characters from 1, the end exclusive; 0 if that is not known."""

    file: str
    line: int
    function: str
    code: str
    is_user: bool
    source: Sequence[str] = field(default=(), repr=False, compare=False)
    """All lines of the file as it was when the exception was raised; not a copy."""
    column: int = 0
    end_column: int = 0
    variables: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The local variables when the exception was raised, name -> short text, in the order of the code."""
    more_variables: int = field(default=0, repr=False, compare=False)
    """How many there were besides them."""
    error: str = field(default="", repr=False, compare=False)
    """In one line, the exception that was raised here, where that is another one than the failure itself."""

    def __post_init__(self) -> None:
        _set(self, "file", well_formed(self.file))
        _set(self, "error", limited(self.error, MAX_ERROR_BYTES))
        _set(self, "function", limited(self.function, _MAX_TYPE_BYTES))
        _set(self, "code", limited(self.code, _MAX_CODE_BYTES))

    def marked(self) -> tuple[str, str, str]:
        """`code` in three parts, of which the middle one is wrong; it is empty if that is not known."""
        whole = self.source[self.line - 1] if 0 < self.line <= len(self.source) else ""
        if not self.column or whole.strip() != self.code:
            return self.code, "", ""
        indent = len(whole) - len(whole.lstrip())
        start, end = self.column - 1 - indent, self.end_column - 1 - indent
        padded = self.code.ljust(end)  # what is missing at the end of a line is marked behind it
        return padded[:start], padded[start:end], padded[end:]

    def context(self, around: int = 3) -> list[tuple[int, str]]:
        """The source lines `line - around` to `line + around` that exist, each with its number."""
        lines = self.source
        first = max(self.line - around, 1)
        last = min(self.line + around, len(lines))
        return [(number, limited(lines[number - 1].rstrip("\n"), _MAX_CODE_BYTES)) for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in worker code.

    `type` is the exception's name, with its module unless the worker defines it, and empty if `message` says
    everything. `frames` go from the outermost call to the innermost; of a group of exceptions, on into its first one,
    which the message names. `behind` are further frames of the worker, of exceptions that led to it or are in the
    group: of each the innermost first, with the name of its exception. `text` is the trimmed traceback as Python prints
    it, causes included. If `verbatim` is set, `text` contains the code and everything else there is to say, and is
    shown instead of the frames. A text that is too long is cut; see `MAX_ERROR_BYTES` and `MAX_TRACEBACK_BYTES`.
    """

    type: str
    message: str
    frames: tuple[Frame, ...]
    text: str
    verbatim: bool = False
    behind: tuple[Frame, ...] = ()

    def __post_init__(self) -> None:
        kind = limited(self.type, _MAX_TYPE_BYTES)
        _set(self, "type", kind)
        _set(self, "message", limited(self.message, MAX_ERROR_BYTES - len(f"{kind}: ".encode())))
        _set(self, "text", limited(self.text, MAX_TRACEBACK_BYTES))

    @classmethod
    def from_exception(
        cls, error: BaseException, root: Path | None = None, locals_without: Secrets | None = None
    ) -> Failure:
        """Describe `error`. Code below `root`, a worker's directory, counts as the user's. With `locals_without`,
        the innermost frames have their local variables, in which these secrets are hidden."""
        if isinstance(error, WorkerLoadError):
            return cls("", str(error), (), str(error))
        prefix = f"{root}/" if root else None
        for link in _chain(error):
            _show_sources(link.__traceback__)
        described = traceback.TracebackException.from_exception(error)
        frames: list[Frame] = []
        behind: list[Frame] = []
        inside: BaseException | None = error
        seen: set[FrameType] = set()
        for link, link_described in islice(_links(error, described), _MAX_LINKS):
            found = _frames(link, link_described, prefix, locals_without, seen)
            if link is inside:
                frames += found
                inside = link.exceptions[0] if isinstance(link, BaseExceptionGroup) else None
            else:
                own = [replace(frame, error=_summary(link)) for frame in reversed(found) if frame.is_user]
                behind += own[:_MAX_FRAMES_BEHIND]
        _trim(described)
        message = _whole_message(error)
        if isinstance(error, SyntaxError):
            message = error.msg
            if error.filename:
                line = error.lineno or 0
                lines = linecache.getlines(error.filename)
                code = lines[line - 1] if 0 < line <= len(lines) else error.text or ""
                is_user = _is_user(error.filename, prefix)
                frames.append(
                    Frame(error.filename, line, "<module>", code.strip(), is_user, lines, *_columns(error, code))
                )
        text = "".join(described.format()).rstrip("\n")
        for link in _chain(error):
            text = with_short_message(text, _message(link))
        text = plain_name(_OWN_ERROR.sub("", text))
        return cls(_type_name(error), plain_name(message), tuple(frames), text, behind=tuple(behind))

    def without(self, secrets: Secrets) -> Failure:
        """The same with these secrets hidden in what it says. Lines of code are as they are in the file."""
        behind = tuple(replace(frame, error=secrets.hide(frame.error)) for frame in self.behind)
        return replace(self, message=secrets.hide(self.message), text=secrets.hide(self.text), behind=behind)

    @property
    def summary(self) -> str:
        """`TypeError: message`, as in the last line of a traceback."""
        return _in_one_line(self.type, self.message)

    @property
    def location(self) -> str:
        """`file:line` of the user's innermost frame, else of the innermost frame; empty if there are no frames."""
        for frame in reversed(self.frames):
            if frame.is_user:
                return f"{frame.file}:{frame.line}"
        return f"{self.frames[-1].file}:{self.frames[-1].line}" if self.frames else ""


def with_short_message(text: str, message: str) -> str:
    """The traceback `text`, with the `message` in it cut to its limit; otherwise a message that is too long would leave
    no room for the frames."""
    short = limited(message, MAX_ERROR_BYTES)
    return text if short == message else text.replace(message, short)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, what led to it and what is in it, each once."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            members = link.exceptions if isinstance(link, BaseExceptionGroup) else ()
            waiting += [link.__cause__ or link.__context__, *reversed(members)]


def _links(
    error: BaseException, described: traceback.TracebackException
) -> Iterator[tuple[BaseException, traceback.TracebackException]]:
    """An exception, those in it if it is a group, and what led to it, each with its description."""
    yield error, described
    if isinstance(error, BaseExceptionGroup):
        for member, member_described in zip(error.exceptions, described.exceptions or (), strict=False):
            yield from _links(member, member_described)
    if error.__cause__ is not None and described.__cause__ is not None:
        yield from _links(error.__cause__, described.__cause__)
    elif error.__context__ is not None and described.__context__ is not None and not error.__suppress_context__:
        yield from _links(error.__context__, described.__context__)


def _frames(
    error: BaseException,
    described: traceback.TracebackException,
    prefix: str | None,
    secrets: Secrets | None,
    seen: set[FrameType],
) -> list[Frame]:
    """The frames of one exception without the emulator's, and without those that other exceptions had and are `seen`
    already. Of the innermost ones of the worker, there are the local variables, if `secrets` that they are to be shown
    without are given."""
    ran = [
        (summary, frame)
        for summary, frame in zip(described.stack, _ran(error.__traceback__), strict=False)
        if not is_own(summary.filename) and frame not in seen
    ]
    seen.update(frame for _, frame in ran)
    frames = [_frame(summary, prefix) for summary, _ in ran]
    if secrets is None:
        return frames
    from emulator.base.variables import Variables  # start-up does not need it

    variables = Variables(secrets)
    own = [place for place, frame in enumerate(frames) if frame.is_user]
    for place in own[-MAX_FRAMES_WITH_VARIABLES:]:
        shown, more = variables.of(ran[place][1])
        frames[place] = replace(frames[place], variables=shown, more_variables=more)
    return frames


def _ran(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


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


def _in_one_line(kind: str, message: str) -> str:
    return f"{kind}: {message}" if kind and message else kind or message


def _summary(error: BaseException) -> str:
    return _in_one_line(_type_name(error), plain_name(_whole_message(error)))


def _whole_message(error: BaseException) -> str:
    """The message of an exception; that of a group does not say what went wrong, so there is its first one, too."""
    message = _message(error)
    for _ in range(_MAX_LINKS):
        if not isinstance(error, BaseExceptionGroup):
            break
        error = error.exceptions[0]
        message = f"{message}: {_in_one_line(_type_name(error), _message(error))}"
    return message


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


def running_line(prefix: str) -> str:
    """The innermost line of the worker's own code that runs now, below its directory `prefix`, which ends with a slash;
    as `file:line`. Empty if none of the last calls is its own."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - there is no other way
    for _ in range(_NEAR):
        if frame is None:
            break
        file = frame.f_code.co_filename
        if _is_user(file, prefix):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _is_user(file: str, prefix: str | None) -> bool:
    return prefix is not None and file.startswith(prefix) and not _THIRD_PARTY.search(file, len(prefix) - 1)


def _columns(error: SyntaxError, code: str) -> tuple[int, int]:
    """The `column` and `end_column` of a syntax error, which Python may end on a later line, or not know."""
    start, end = error.offset or 0, error.end_offset or 0
    indent = len(code) - len(code.lstrip())
    if start <= indent:
        return 0, 0
    if (error.end_lineno or error.lineno) != error.lineno:
        end = len(code.rstrip()) + 1
    return start, max(end, start + 1)


def _frame(summary: traceback.FrameSummary, prefix: str | None) -> Frame:
    lines = linecache.getlines(summary.filename)
    is_user = _is_user(summary.filename, prefix)
    return Frame(summary.filename, summary.lineno or 0, summary.name, (summary.line or "").strip(), is_user, lines)
