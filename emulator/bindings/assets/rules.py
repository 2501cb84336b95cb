"""The rules in `_redirects` and `_headers`: read, with what is wrong with them, and applied."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

MAX_STATIC_REDIRECTS: Final = 2000
MAX_DYNAMIC_REDIRECTS: Final = 100
MAX_HEADER_RULES: Final = 100
MAX_LINE: Final = 2000
STATUSES: Final = frozenset({200, 301, 302, 303, 307, 308})

_PLACEHOLDER: Final = re.compile(r":([A-Za-z]\w*)")
_ABSOLUTE: Final = re.compile(r"(?:\w+:)?//")


class Redirect(NamedTuple):
    """A line of `_redirects`. `to` is a path, or with status 200 the path whose asset answers instead."""

    line: int
    source: str
    to: str
    status: int


class HeaderRule(NamedTuple):
    """A pattern of `_headers`, with what it sets and what it takes away."""

    line: int
    source: str
    set: Sequence[tuple[str, str]]
    unset: Sequence[str]


class RuleProblem(NamedTuple):
    """A line that has no effect, and why."""

    line: int
    text: str


def read_redirects(text: str) -> tuple[list[Redirect], list[RuleProblem]]:
    """The valid lines of a file."""
    rules: list[Redirect] = []
    problems: list[RuleProblem] = []
    seen: set[str] = set()
    static = dynamic = 0
    for number, line in _lines(text):
        if line.startswith("#"):
            continue
        parts = line.split("#")[0].split() if " #" in line else line.split()
        problem = _redirect_problem(line, parts, seen)
        if not problem:
            is_dynamic = "*" in parts[0] or _PLACEHOLDER.search(_path_of(parts[0])) is not None
            static, dynamic = static + (not is_dynamic), dynamic + is_dynamic
            if dynamic > MAX_DYNAMIC_REDIRECTS:
                problem = f"there are more than {MAX_DYNAMIC_REDIRECTS} rules with splats or placeholders"
            elif static > MAX_STATIC_REDIRECTS:
                problem = f"there are more than {MAX_STATIC_REDIRECTS:,} rules"
        if problem:
            problems.append(RuleProblem(number, problem))
            continue
        seen.add(parts[0])
        rules.append(Redirect(number, parts[0], parts[1], int(parts[2]) if len(parts) > 2 else 302))
    return rules, problems


def _redirect_problem(line: str, parts: Sequence[str], seen: set[str]) -> str:
    if len(line) > MAX_LINE:
        return f"it is longer than {MAX_LINE:,} characters"
    if len(parts) not in {2, 3}:
        return "it must be: SOURCE DESTINATION [STATUS]"
    source, to, *status = parts
    if not source.startswith(("/", "https://")):
        return f"{source} must begin with / or https://"
    if status and (not status[0].isdigit() or int(status[0]) not in STATUSES):
        return f"the status must be one of {', '.join(map(str, sorted(STATUSES)))}, not {status[0]}"
    if status == ["200"] and not to.startswith("/"):
        return "a rule with status 200 leads to a path"
    if not to.startswith("/") and not _ABSOLUTE.match(to):
        return f"{to} must be a path or a URL"
    if source in seen:
        return f"there is a rule for {source} already"
    return ""


def find_redirect(rules: Iterable[Redirect], host: str, path: str) -> tuple[str, int] | None:
    """Where a path leads by the first rule for it, and the status. Rules without splats and placeholders come first."""
    for rule in rules:
        if rule.source in {path, f"https://{host}{path}"}:
            return _target(rule.to, {}), rule.status
    for rule in rules:
        match = _match(rule.source, host, path)
        if match is not None:
            return _target(rule.to, match), rule.status
    return None


def read_headers(text: str) -> tuple[list[HeaderRule], list[RuleProblem]]:
    """The valid rules of a file."""
    rules: list[HeaderRule] = []
    problems: list[RuleProblem] = []
    for number, line in _lines(text):
        if line.startswith("#"):
            continue
        if len(line) > MAX_LINE:
            problems.append(RuleProblem(number, f"it is longer than {MAX_LINE:,} characters"))
        elif line.startswith(("/", "https://")):
            if len(rules) == MAX_HEADER_RULES:
                problems.append(RuleProblem(number, f"there are more than {MAX_HEADER_RULES} rules"))
                break
            rules.append(HeaderRule(number, line, [], []))
        elif not rules:
            problems.append(RuleProblem(number, "it comes before the first path"))
        elif problem := _add_header(rules, line):
            problems.append(RuleProblem(number, problem))
    return [rule for rule in rules if rule.set or rule.unset], problems


def _add_header(rules: list[HeaderRule], line: str) -> str:
    rule = rules[-1]
    if line.startswith("! "):
        rules[-1] = rule._replace(unset=[*rule.unset, line[2:].strip().lower()])
        return ""
    name, colon, value = line.partition(":")
    name, value = name.strip().lower(), value.strip()
    if not colon or not name or " " in name:
        return "it must be: NAME: VALUE"
    if not value:
        return f"{name} has no value"
    rules[-1] = rule._replace(set=[*rule.set, (name, value)])
    return ""


def add_headers(rules: Iterable[HeaderRule], host: str, path: str, headers: list[tuple[str, str]]) -> None:
    """Change the headers of an answer as all rules for its path say."""
    given: set[str] = set()
    for rule in rules:
        match = _match(rule.source, host, path)
        if match is None:
            continue
        for name in rule.unset:
            headers[:] = [each for each in headers if each[0] != name]
        for name, value in rule.set:
            filled = _filled(value, match)
            if name not in given:
                headers[:] = [each for each in headers if each[0] != name]
                given.add(name)
                headers.append((name, filled))
            else:
                index = next(number for number, each in enumerate(headers) if each[0] == name)
                headers[index] = (name, f"{headers[index][1]}, {filled}")


def answers_first(rules: bool | Sequence[str], path: str) -> Literal["code", "assets alone", "assets"]:
    """Who answers a path, by `run_worker_first`: what is excluded with `!` never comes to the code."""
    if isinstance(rules, bool):
        return "code" if rules else "assets"
    if any(_match(rule[1:], "", path) is not None for rule in rules if rule.startswith("!")):
        return "assets alone"
    return "code" if any(_match(rule, "", path) is not None for rule in rules) else "assets"


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if stripped := line.strip():
            yield number, stripped


def _path_of(source: str) -> str:
    return urlsplit(source).path if source.startswith("https://") else source


_patterns: Final[dict[str, re.Pattern[str]]] = {}


def _match(source: str, host: str, path: str) -> Mapping[str, str] | None:
    """What the splat and the placeholders of a pattern stand for; None if it does not match."""
    pattern = _patterns.get(source)
    if pattern is None:
        pattern = _patterns[source] = _compiled(source)
    found = pattern.fullmatch(f"https://{host}{path}" if source.startswith("https://") else path)
    return None if found is None else found.groupdict()


def _compiled(source: str) -> re.Pattern[str]:
    scheme = "https://" if source.startswith("https://") else ""
    host, slash, path = source[len(scheme) :].partition("/") if scheme else ("", "", source)
    parts = [re.escape(scheme), _pieces(host, r"[^/.]+"), slash, _pieces(path, r"[^/]+")]
    try:
        return re.compile("".join(parts))
    except re.error:  # a name that stands twice
        return re.compile(re.escape(source))


def _pieces(text: str, placeholder: str) -> str:
    done: list[str] = []
    for piece in re.split(r"(\*|:[A-Za-z]\w*)", text):
        if piece == "*":
            done.append("(?P<splat>.*)")
        elif _PLACEHOLDER.fullmatch(piece):
            done.append(f"(?P<{piece[1:]}>{placeholder})")
        else:
            done.append(re.escape(piece))
    return "".join(done)


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f":{name}", value)
    return text


def _target(to: str, values: Mapping[str, str]) -> str:
    filled = _filled(to, values).strip()
    if _ABSOLUTE.match(to):
        return filled
    end = re.search(r"[?#]", filled)
    path = filled if end is None else filled[: end.start()]
    return re.sub(r"[/\\]+", "/", path) + filled[len(path) :]
