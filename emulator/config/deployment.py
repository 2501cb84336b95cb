"""Checks the values of keys that have no effect here: what wrangler and production would refuse of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from emulator.config import checks
from emulator.config.checks import Check
from emulator.config.document import Findings, KeyPath
from emulator.config.section import must_be

_RATE: Final = Check(
    "a number from 0 to 1",
    lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1,
)
_OBSERVABILITY: Final[Mapping[str, Check]] = {
    "enabled": checks.BOOLEAN,
    "head_sampling_rate": _RATE,
    "redact_query_string": checks.BOOLEAN,
    "invocation_logs": checks.BOOLEAN,
    "persist": checks.BOOLEAN,
}
_SIGNALS: Final = ("logs", "traces", "issues")
_ROUTE: Final[Mapping[str, Check]] = {
    "pattern": checks.STRING,
    "zone_id": checks.STRING,
    "zone_name": checks.STRING,
    "custom_domain": checks.BOOLEAN,
    "enabled": checks.BOOLEAN,
    "previews_enabled": checks.BOOLEAN,
}
_MODE: Final = checks.one_of("off", "smart")
_TARGETS: Final = ("region", "host", "hostname")
_PATTERN: Final = re.compile(r"(https?://)?\*?[^*/?#\s]*(/[^*?#\s]*\*?)?", re.IGNORECASE)


def check_deployment(findings: Findings, path: KeyPath, keys: Mapping[str, Any]) -> None:
    """Warn of what is refused of `observability`, `placement`, `route` and `routes` in the section at `path`. Values of
    another type than they must have are passed over."""
    for key, check in (("observability", _observability), ("placement", _placement)):
        if isinstance(keys.get(key), dict):
            for inner, why in check(keys[key]):
                findings.refused((*path, key, *inner), why)
    if isinstance(keys.get("route"), str | dict):
        _check_route(findings, (*path, "route"), keys["route"])
    routes = keys.get("routes")
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        _check_route(findings, (*path, "routes", index), route)


def _observability(value: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    parts: dict[KeyPath, Mapping[str, Any]] = {(): value}
    for signal in _SIGNALS:
        given = value.get(signal, {})
        if isinstance(given, dict):
            parts[(signal,)] = given
        else:
            yield (signal,), must_be(checks.OBJECT, given)
    for path, part in parts.items():
        for key, check in _OBSERVABILITY.items():
            if key in part and not check.accepts(part[key]):
                yield (*path, key), must_be(check, part[key])
    if all("enabled" not in part for part in parts.values()):
        yield (), "`enabled` is missing, here and in `logs`, `traces` and `issues`"


def _placement(value: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    targets = [key for key in _TARGETS if key in value]
    mode = value.get("mode")
    if len(targets) > 1 or (targets and "hint" in value):
        yield (), "it can have one of `hint`, `region`, `host` and `hostname`"
    elif targets:
        if mode not in (None, "targeted"):
            yield ("mode",), must_be(checks.one_of("targeted"), mode)
        if not checks.TEXT.accepts(value[targets[0]]):
            yield (targets[0],), must_be(checks.TEXT, value[targets[0]])
    elif mode is None:
        yield (), "`mode` is missing"
    elif not _MODE.accepts(mode):
        yield ("mode",), must_be(_MODE, mode)
    elif "hint" in value and not checks.STRING.accepts(value["hint"]):
        yield ("hint",), must_be(checks.STRING, value["hint"])
    elif value.get("hint") and mode != "smart":
        yield ("hint",), 'it is for `"mode": "smart"` only'


def _check_route(findings: Findings, path: KeyPath, route: object) -> None:
    if route == "":
        findings.warn(path, "is empty, and has no effect")
        return
    if isinstance(route, str):
        route = {"pattern": route, "zone_name": ""}
    if not isinstance(route, dict):
        findings.refused(path, f"a route must be a string or an object, not {checks.found(route)}")
        return
    if problem := _shape_problem(route):
        findings.refused(path, problem)
        return
    pattern = route["pattern"]
    if route.get("custom_domain"):
        if "*" in pattern or "/" in pattern:
            findings.refused(path, f"{checks.found(pattern)}: a custom domain is a host, with no `*` and no path")
    elif not _PATTERN.fullmatch(pattern):
        text = f"{checks.found(pattern)}: `*` can only begin the host and end the path, and there can be no query"
        findings.refused_by_production(path, text)


def _shape_problem(route: Mapping[str, Any]) -> str:
    """Why wrangler refuses the keys of a route; empty if it does not."""
    wrong = [key for key in route if key not in _ROUTE or not _ROUTE[key].accepts(route[key])]
    if wrong:
        known = _ROUTE.get(wrong[0])
        return f"`{wrong[0]}` {must_be(known, route[wrong[0]])}" if known else f"a route has no `{wrong[0]}`"
    if "pattern" not in route:
        return "a route needs a `pattern`"
    if "zone_id" in route and "zone_name" in route:
        return "a route has one of `zone_id` and `zone_name`"
    if route.keys() & {"enabled", "previews_enabled"} and "custom_domain" not in route:
        return "`enabled` and `previews_enabled` are for a `custom_domain`"
    if not route.keys() & {"zone_id", "zone_name", "custom_domain"}:
        return "a route that is an object needs `zone_id`, `zone_name` or `custom_domain`"
    return ""
