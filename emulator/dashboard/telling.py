"""The story of a message as text, for a terminal and for the report of a test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path

from emulator.base.words import clean, clean_lines, count, cut, duration, shown_path
from emulator.dashboard.story import AttemptStory, Life, LocalScope, MessageStory, Trouble, time_of_day
from emulator.log.style import Style

_PLAIN = Style(enabled=False)
_MOST_LINES = 20
"""How many parts of a delivery are shown."""

_MOST_VARIABLES = 8
"""How many local variables of the frame that raised are shown."""

_WIDTH = 240
_VARIABLE_WIDTH = 100


def tell(story: MessageStory, style: Style = _PLAIN) -> str:
    """The story, newest last, without a line end at its end. Files are named relative to the working directory."""
    return "\n".join(_told(story, style))


def _told(story: MessageStory, style: Style) -> Iterator[str]:
    newest = story.sent_at or 0.0
    zone = UTC if story.zone else None
    for life in story.lives:
        newest = max(newest, life.ended or 0.0, *(attempt.at for attempt in life.attempts))
    at = partial(time_of_day, now=newest, zone=zone)
    yield f"{style.bold(clean(story.id))}  {clean(story.queue)}  {colored(story.state, style)}"
    yield f"  {_shown(story.because)}"
    if story.next:
        yield f"  Next: {_shown(story.next)}"
    yield ""
    yield f"  {story.content_type}, {count(story.size, 'byte')}: {cut(clean(story.text), _WIDTH)}"
    yield ""
    if not story.is_whole:
        yield style.dim("  Not all of what happened to it is recorded.")
    for life in story.lives:
        yield from _life(life, at, style)


def _life(life: Life, at: partial[str], style: Style) -> Iterator[str]:
    began = "" if life.began is None else at(life.began)
    whence = "" if life.origin is None else f", {_shown(life.origin.text)}"
    if life.origin is not None and life.origin.location:
        whence += f" ({style.cyan(_shown(life.origin.location))})"
    if life.origin is not None and life.origin.id and life.origin.kind != "worker":
        whence += style.dim(f" ({life.origin.id})")
    if life.origin is not None and life.origin.session:
        whence += style.dim(f" (at {_shown(life.origin.session)})")
    yield f"  {began:<8}  entered {clean(life.queue)}{whence}"
    for attempt, following in zip_longest(life.attempts, life.attempts[1:]):
        trouble, later = attempt.trouble, None if following is None else following.trouble
        comes_again = trouble is not None and later is not None and trouble.location == later.location
        yield from _attempt(attempt, at, style, shows_source=not comes_again)
    if life.end and life.end not in ("acked", "dead"):
        whither = f" to {_shown(life.to)}" if life.to else ""
        yield f"  {'' if life.ended is None else at(life.ended):<8}  {life.end}{whither}"


def _attempt(attempt: AttemptStory, at: partial[str], style: Style, *, shows_source: bool) -> Iterator[str]:
    of = f" of {attempt.of}" if attempt.of else ""
    whose = f", worker {clean(attempt.worker)}" if attempt.worker else ""
    beside = f", with {count(len(attempt.batch) - 1, 'other')}" if len(attempt.batch) > 1 else ""
    took = "" if attempt.duration is None else f" ({duration(attempt.duration)})"
    result = colored(attempt.result, style)
    yield f"  {at(attempt.at):<8}  attempt {attempt.number}{of}{whose}{beside}: {result}, {attempt.decision}{took}"
    for part in attempt.parts[:_MOST_LINES]:
        if part.kind != "error":
            word = {"line": "printed", "binding": "used", "fetch": "fetched", "sent": "sent"}[part.kind]
            yield f"            {style.dim(word):<8}  {cut(clean(part.text), _WIDTH)}"
    if len(attempt.parts) > _MOST_LINES:
        yield f"            and {len(attempt.parts) - _MOST_LINES:,} more"
    if attempt.trouble is not None:
        yield from _trouble(attempt.trouble, style, shows_source=shows_source)
    if attempt.delay is not None:
        yield f"            again after {attempt.delay} s, from {attempt.delay_from}"


def _trouble(trouble: Trouble, style: Style, *, shows_source: bool) -> Iterator[str]:
    place = f" ({style.cyan(_shown(trouble.location))})" if trouble.location else ""
    yield f"            {style.red(cut(clean(trouble.error), _WIDTH))}{place}"
    for line in trouble.source if shows_source else ():
        mark = style.red(">") if line.is_it else " "
        yield f"            {mark} {style.dim(f'{line.number:>4}')}  {clean_lines(line.text)}".rstrip()
    if shows_source and trouble.scopes:
        yield from _variables(trouble.scopes[0], style)


def _variables(scope: LocalScope, style: Style) -> Iterator[str]:
    """The variables of the frame that raised."""
    for name, text in islice(scope.variables.items(), _MOST_VARIABLES):
        yield f"              {style.dim(f'{clean(name)} =')} {cut(clean(text), _VARIABLE_WIDTH)}"
    more = max(len(scope.variables) - _MOST_VARIABLES, 0) + scope.more
    if more:
        yield style.dim(f"              and {count(more, 'more variable')}")


def colored(state: str, style: Style) -> str:
    """The state of a message, or what became of one, in its colour."""
    if state == "acked":
        return style.green(state)
    return style.red(state) if state in ("dead", "dropped", "expired") else style.yellow(state)


def _shown(text: str) -> str:
    """A text with the paths in it relative to the working directory, and nothing that a terminal would obey."""
    return clean(text.replace(f"{Path.cwd()}/", "")) if str(Path.cwd()) != "/" else clean(shown_path(text))
