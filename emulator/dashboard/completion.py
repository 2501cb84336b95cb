"""What may come next in a filter that is being written: fields, and values that have occurred lately."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.dashboard.events import event_facts, event_row
from emulator.dashboard.fields import EVENTS, MESSAGES
from emulator.dashboard.filters import Facts, Field, Filter, Subject, Term, look_up
from emulator.dashboard.rows import FoundMessage, MessageFacts, request_facts, state_of
from emulator.queues.events import BatchDelivered, MessagesSent
from emulator.queues.message import QueueMessage

if TYPE_CHECKING:
    from emulator.dashboard.stories import Stories
    from emulator.session.session import Session

MOST_CANDIDATES: Final = 20
_MOST_EVENTS: Final = 1_000
_MOST_FACTS: Final = 200
"""How many events and requests are looked at, and of how many messages, requests or events the values are."""
_MOST_LEVELS: Final = 3
"""How deep is looked into bodies for names."""
_LONGEST_VALUE: Final = 80
_LARGEST_BODY: Final = 16_000
"""How many bytes a body may have that is looked into."""

_NAME: Final = re.compile(r"[\w\-]+")
_BEGUN: Final = re.compile(r"""(-?)(?:([A-Za-z_][\w.\-]*)(!=|<=|>=|[:=~<>]))?(.*)""", re.DOTALL)
_TERMS: Final = re.compile(r"""\s+|(?:"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[^\s"])+""", re.DOTALL)
"""Terms and what is between them; in the last one a quote may be missing."""


class Candidate(msgspec.Struct, frozen=True):
    """What a term may become: its `text`, which ends with a space if it is complete, and what the field is `about`, in
    a few words; empty for values."""

    text: str
    about: str = ""


class Completion(msgspec.Struct, frozen=True):
    """How a filter may go on. Each of the `candidates` takes the place of `begun`, with which the filter ends."""

    begun: str
    candidates: Sequence[Candidate]


def complete(text: str, over: Subject, session: Session, stories: Stories) -> Completion:
    """How the filter over messages, requests or events may go on that begins with `text`."""
    begun = next(reversed(_TERMS.findall(text)), "").lstrip()
    found = _BEGUN.fullmatch(begun)
    assert found is not None
    sign, name, comparison, typed = found.groups(default="")
    facts = list(islice(_facts(over, session, stories), _MOST_FACTS))
    if comparison:
        texts = _values(name, comparison, over, facts, session)
        wanted = re.sub(r"\\(.)", r"\1", typed[1:]) if typed.startswith('"') else typed
        terms = [f"{Term(name, comparison, each, bool(sign))} " for each in _beginning_with(wanted, texts)]
        candidates = [Candidate(each) for each in terms if each.strip() != begun]
    else:
        fields = {each.name: each for each in _fields(over, facts)}
        names = _beginning_with(typed, fields)
        candidates = [Candidate(f"{sign}{each}{fields[each].comparison}", fields[each].about) for each in names]
    return Completion(begun, candidates[:MOST_CANDIDATES])


def _beginning_with(typed: str, texts: Iterable[str]) -> list[str]:
    """Those that begin with what was typed, and then those that contain it."""
    wanted = typed.casefold()
    found = [each for each in texts if wanted in each.casefold()]
    return sorted(found, key=lambda each: not each.casefold().startswith(wanted))


def _fields(over: Subject, facts: Iterable[Facts]) -> Iterator[Field]:
    """All fields, and what has occurred lately below those that are open, the most frequent first."""
    yield from over.fields
    below = Counter(name for each in facts for field in over.fields if field.is_open for name in _below(each, field))
    yield from (Field(name, "", comparison="=") for name, _ in below.most_common(_MOST_FACTS))


def _below(facts: Facts, field: Field) -> Iterator[str]:
    value = facts.get(field.name)
    return _names(field.name, value, _MOST_LEVELS) if isinstance(value, Mapping) else iter(())


def _names(above: str, value: Mapping[Any, Any], levels: int) -> Iterator[str]:
    """The names in a value that a filter can ask for and that have a text or a number."""
    for key, each in islice(value.items(), _MOST_FACTS):
        if not isinstance(key, str) or not _NAME.fullmatch(key):
            continue
        if isinstance(each, (str, int, float)):
            yield f"{above}.{key}"
        elif isinstance(each, Mapping) and levels > 1:
            yield from _names(f"{above}.{key}", each, levels - 1)


def _values(name: str, comparison: str, over: Subject, facts: Iterable[Facts], session: Session) -> Iterable[str]:
    """What a field may be compared with: all that it can be, or what has occurred lately, the most frequent first."""
    field = over.field(name)
    if field is None:
        return ()
    if field.values or field.examples:
        return field.values or field.examples
    there: Sequence[str] = ()
    if name == "queue":
        there = list(session.queues.states)
    elif name == "worker":
        there = [config.name for config in session.configs]
    seen = Counter(chain(there, *(_written(look_up(each, name)) for each in facts)))
    if name == "error" and comparison == "~":  # the type of an error says more than one of its texts
        seen = Counter(each.partition(":")[0] for each in seen.elements())
    return [value for value, _ in seen.most_common(_MOST_FACTS)]


def _written(value: Any) -> Iterator[str]:
    """A value as a filter has it; nothing for one that no filter is about."""
    for each in value if isinstance(value, (list, tuple)) else (value,):
        text = str(each).lower() if isinstance(each, bool) else str(each) if isinstance(each, (str, int, float)) else ""
        if text and text.isprintable() and len(text) <= _LONGEST_VALUE:
            yield text


def _facts(over: Subject, session: Session, stories: Stories) -> Iterator[Facts]:
    """The facts of the newest messages, requests or events."""
    now = session.clock.now()
    newest = islice(stories.recorder.newest(), _MOST_EVENTS)
    if over is EVENTS:
        return (event_facts(event_row(each), now) for each in newest)
    if over is MESSAGES:
        messages = chain.from_iterable(_messages(each.event) for each in newest)
        return (MessageFacts(FoundMessage(queue, state_of(each, now), each), now) for queue, each in messages)
    return (request_facts(story, now) for _, story in stories.requests(Filter(), _MOST_FACTS))


def _messages(event: Any) -> Iterator[tuple[str, QueueMessage]]:
    """Some of the messages of an event, with their queue: of one batch there may be very many, and large ones."""
    groups: Sequence[Sequence[QueueMessage]] = ()
    if isinstance(event, MessagesSent):
        groups = (event.messages,)
    elif isinstance(event, BatchDelivered):
        groups = [messages for _, messages in event.settlement.by_result()]
    for messages in groups:
        yield from ((event.queue, each) for each in messages[-10:] if len(each.body) <= _LARGEST_BODY)
