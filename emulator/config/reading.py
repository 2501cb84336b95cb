"""From a parsed configuration file to typed settings: which keys exist, what each may be, and who inherits what.

Each function takes what is sound and reports what is not, so that all problems of a file are found in one pass. Nothing
here reads files; that is `loading`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from datetime import date, time
from typing import Any, Final, NamedTuple, cast

from emulator.config import checks, wrangler_keys
from emulator.config.bundling import BUNDLING_KEYS, inherited, read_bundling
from emulator.config.checks import Check, found
from emulator.config.document import Findings, KeyPath, format_path
from emulator.config.model import JSON, Consumer, Producer, Service
from emulator.queues.settings import ConsumerSettings

SECTION_KEYS: Final[Mapping[str, Check]] = {
    "name": checks.WORKER_NAME,
    "main": checks.TEXT,
    "compatibility_date": checks.DATE,
    "compatibility_flags": checks.ARRAY,
    "vars": checks.OBJECT,
    "queues": checks.OBJECT,
    "services": checks.ARRAY,
    "triggers": checks.OBJECT,
    "limits": checks.OBJECT,
    **BUNDLING_KEYS,
}
TOP_LEVEL_KEYS: Final[Mapping[str, Check]] = {**SECTION_KEYS, "dev": checks.OBJECT, "env": checks.OBJECT}
QUEUES_KEYS: Final[Mapping[str, Check]] = {"producers": checks.ARRAY, "consumers": checks.ARRAY}
PRODUCER_KEYS: Final[Mapping[str, Check]] = {
    "binding": checks.BINDING,
    "queue": checks.QUEUE_NAME,
    "delivery_delay": checks.DELAY,
}
SERVICE_KEYS: Final[Mapping[str, Check]] = {
    "binding": checks.BINDING,
    "service": checks.WORKER_NAME,
    "entrypoint": checks.BINDING,
}
CONSUMER_KEYS: Final[Mapping[str, Check]] = {
    "queue": checks.QUEUE_NAME,
    "type": checks.CONSUMER_TYPE,
    "max_batch_size": checks.BATCH_SIZE,
    "max_batch_timeout": checks.BATCH_TIMEOUT,
    "max_retries": checks.RETRIES,
    "dead_letter_queue": checks.QUEUE_NAME,
    "max_concurrency": checks.CONCURRENCY,
    "retry_delay": checks.DELAY,
    "visibility_timeout_ms": checks.VISIBILITY_TIMEOUT,
}
TRIGGERS_KEYS: Final[Mapping[str, Check]] = {"crons": checks.ARRAY}
LIMITS_KEYS: Final[Mapping[str, Check]] = {"cpu_ms": checks.CPU_TIME}
DEV_KEYS: Final[Mapping[str, Check]] = {"port": checks.PORT_NUMBER, "ip": checks.TEXT}
_PUSH_ONLY_KEYS: Final = ("max_batch_timeout", "max_concurrency")
_UNREAD_KEYS: Final = frozenset(wrangler_keys.BINDINGS) | wrangler_keys.NOT_EMULATED


class Section:
    """The settings of the top level or of one environment. None, or nothing, is what was not given or was not sound.

    `given` lists the keys that are there. `name_path` and `main_path` are the key paths of these two; `bindings` maps
    the name of every binding and var to its key path.
    """

    def __init__(self, path: KeyPath = (), keys: Mapping[str, Any] | None = None) -> None:
        keys = keys or {}
        self.given = [key for key in keys if key != "env"]
        self.name: str | None = keys.get("name")
        self.name_path: KeyPath = (*path, "name")
        self.main: str | None = keys.get("main")
        self.main_path: KeyPath = (*path, "main")
        self.compatibility_date: str | None = keys.get("compatibility_date")
        self.compatibility_flags: frozenset[str] | None = None
        self.crons: tuple[str, ...] | None = None
        self.cpu_ms: int | None = None
        self.vars: dict[str, JSON] = {}
        self.producers: list[Producer] = []
        self.consumers: list[Consumer] = []
        self.services: list[Service] = []
        self.services_path: KeyPath = (*path, "services")
        self.bundling: dict[str, Any] = {}
        self.unsupported: dict[str, str] = {}
        self.bindings: dict[str, KeyPath] = {}


class Settings(NamedTuple):
    """What a whole file says for one environment."""

    section: Section
    dev_port: int | None
    dev_ip: str | None


def read_settings(findings: Findings, environment: str | None) -> Settings | None:
    """Read the whole document for `environment` (None: the top level).

    Problems of an environment that was not asked for are warnings: they do not keep this one from running. None when
    there is no such environment; that is an error like the others.
    """
    top = _keys(findings, (), findings.document.data, TOP_LEVEL_KEYS, section=True)
    section = _section(findings, (), top, unread_inherited_only=environment is not None)
    environments = cast("Mapping[str, object]", top.get("env", {}))
    chosen: Section | None = None
    for name, value in environments.items():
        path: KeyPath = ("env", name)
        if name == environment:
            chosen = _environment(findings, path, value)
            _warn_not_inherited(findings, path, section, chosen)
        else:
            aside = Findings(findings.document)
            _environment(aside, path, value)
            findings.warnings += aside.errors
    if environment is not None and chosen is None:
        _no_such_environment(findings, environment, list(environments))
        return None
    dev = _dev(findings, top)
    merged = section if environment is None or chosen is None else _inherit(section, chosen, environment)
    return Settings(merged, dev.get("port"), dev.get("ip"))


def _environment(findings: Findings, path: KeyPath, value: object) -> Section:
    if not checks.OBJECT.accepts(value):
        findings.error(path, _must_be(checks.OBJECT, value))
        return Section()
    misplaced = wrangler_keys.TOP_LEVEL_ONLY & cast("Mapping[str, object]", value).keys()
    for key in sorted(misplaced):
        findings.warn((*path, key), "counts at the top level only; here it has no effect")
    sound = _keys(findings, path, value, SECTION_KEYS, quiet=misplaced, section=True)
    return _section(findings, path, {key: sound[key] for key in sound if key not in misplaced})


def _inherit(top: Section, chosen: Section, environment: str) -> Section:
    """An environment with what it takes from the top level: everything but bindings, vars and queues."""
    if chosen.name is None:
        chosen.name_path = top.name_path
        chosen.name = f"{top.name}-{environment}" if top.name else None
    if "main" not in chosen.given:
        chosen.main, chosen.main_path = top.main, top.main_path
    if "compatibility_date" not in chosen.given:
        chosen.compatibility_date = top.compatibility_date
    if "compatibility_flags" not in chosen.given:
        chosen.compatibility_flags = top.compatibility_flags
    if "triggers" not in chosen.given:
        chosen.crons = top.crons
    if "limits" not in chosen.given:
        chosen.cpu_ms = top.cpu_ms
    chosen.bundling = inherited(top.bundling) | chosen.bundling
    unsupported = {name: key for name, key in top.unsupported.items() if key not in chosen.given}
    chosen.unsupported = unsupported | chosen.unsupported
    return chosen


def _warn_not_inherited(findings: Findings, path: KeyPath, top: Section, chosen: Section) -> None:
    missing = [f"`{key}`" for key in top.given if key in wrangler_keys.NOT_INHERITED and key not in chosen.given]
    if missing:
        keys = f"{', '.join(missing[:-1])} and {missing[-1]}" if len(missing) > 1 else missing[0]
        findings.warn(
            path,
            f"{keys} {'stand' if len(missing) > 1 else 'stands'} at the top level but not here, and an environment "
            "does not inherit bindings, vars and queues",
            f"Repeat in {format_path(path)} what this environment needs.",
        )


def _no_such_environment(findings: Findings, environment: str, existing: list[str]) -> None:
    if existing:
        findings.error(
            ("env",),
            f"there is no environment {found(environment)}; there is {', '.join(existing)}",
            _nearest(environment, existing),
            at_key=True,
        )
    else:
        findings.error((), f"there is no environment {found(environment)}: the file has no `env`")


def _keys(
    findings: Findings,
    path: KeyPath,
    value: object,
    known: Mapping[str, Check],
    *,
    required: Collection[str] = (),
    quiet: Collection[str] = (),
    section: bool = False,
) -> dict[str, Any]:
    """Check the keys of one object and return those whose values are sound.

    Keys in `quiet` need no word. In a `section` (the top level or an environment) the keys that wrangler knows and the
    emulator does not read are returned as well.
    """
    sound: dict[str, Any] = {}
    if not isinstance(value, dict):
        findings.error(path, _must_be(checks.OBJECT, value))
        return sound
    for key, item in value.items():
        inner = (*path, key)
        if key in known:
            if known[key].accepts(item):
                sound[key] = item
            else:
                findings.error(inner, _must_be(known[key], item))
        elif section and key in _UNREAD_KEYS:
            sound[key] = item
        elif key not in quiet and not (section and key in wrangler_keys.DEPLOYMENT):
            names = list(known)
            if section:
                names += [*_UNREAD_KEYS, *wrangler_keys.DEPLOYMENT]
            findings.warn(inner, "is not a key that wrangler knows", _nearest(key, names))
    for key in required:
        if key not in value:
            findings.error((*path, key), f"is missing; it must be {known[key].allowed}")
    return sound


def _nearest(name: str, names: list[str]) -> str:
    from difflib import get_close_matches  # Needed for a mistake only.

    close = get_close_matches(name, names, 1)
    return f"Did you mean `{close[0]}`?" if close else ""


def _must_be(check: Check, value: object) -> str:
    return f"must be {check.allowed}, not {found(value)}"


def _section(
    findings: Findings, path: KeyPath, keys: Mapping[str, Any], *, unread_inherited_only: bool = False
) -> Section:
    """Read what the top level and an environment have in common. `unread_inherited_only` leaves out the bindings that
    an environment does not inherit, because one was chosen."""
    section = Section(path, keys)
    if "compatibility_flags" in keys:
        flags_path = (*path, "compatibility_flags")
        section.compatibility_flags = frozenset(_strings(findings, flags_path, keys["compatibility_flags"]))
    if "triggers" in keys:
        section.crons = tuple(_crons(findings, (*path, "triggers"), keys["triggers"]))
    if "limits" in keys:
        limits_path = (*path, "limits")
        section.cpu_ms = _keys(findings, limits_path, keys["limits"], LIMITS_KEYS, quiet=("subrequests",)).get("cpu_ms")
        if "subrequests" in keys["limits"]:
            findings.warn((*limits_path, "subrequests"), "is not emulated yet: subrequests are not counted")
    section.bundling = read_bundling(findings, path, keys)
    _read_vars(findings, (*path, "vars"), keys.get("vars", {}), section)
    _read_queues(findings, (*path, "queues"), keys.get("queues", {}), section)
    for index, item in _items(keys.get("services", [])):
        _read_service(findings, (*path, "services", index), item, section)
    for key in keys:
        if key in _UNREAD_KEYS and not (unread_inherited_only and key in wrangler_keys.NOT_INHERITED):
            _read_unread(findings, (*path, key), keys[key], section)
    return section


def _items(value: object) -> Iterator[tuple[int, Any]]:
    return enumerate(cast("list[Any]", value))


def _strings(findings: Findings, path: KeyPath, value: object) -> Iterator[str]:
    for index, item in _items(value):
        if checks.TEXT.accepts(item):
            yield item
        else:
            findings.error((*path, index), _must_be(checks.TEXT, item))


def _crons(findings: Findings, path: KeyPath, value: object) -> Iterator[str]:
    crons = _keys(findings, path, value, TRIGGERS_KEYS).get("crons", [])
    if crons:
        from emulator.config.cron import cron_problem
    for index, item in _items(crons):
        inner = (*path, "crons", index)
        if not checks.STRING.accepts(item):
            findings.error(inner, _must_be(checks.STRING, item))
        elif problem := cron_problem(item):
            findings.error(inner, problem)
        else:
            yield item


def _dev(findings: Findings, top: Mapping[str, Any]) -> dict[str, Any]:
    if "dev" not in top:
        return {}
    quiet = {"local_protocol", *wrangler_keys.DEV_DEPLOYMENT}
    dev = _keys(findings, ("dev",), top["dev"], DEV_KEYS, quiet=quiet)
    if top["dev"].get("local_protocol", "http") != "http":
        findings.warn(("dev", "local_protocol"), "is not emulated yet: requests are served over HTTP")
    return dev


def _read_vars(findings: Findings, path: KeyPath, value: Mapping[str, object], section: Section) -> None:
    for name, item in value.items():
        inner = (*path, name)
        if not checks.is_identifier(name):
            findings.warn(inner, "is not a JavaScript identifier, so it cannot be written as env.NAME")
        if _is_json(findings, inner, item):
            section.vars[name] = cast("JSON", item)
        section.bindings[name] = inner


def _is_json(findings: Findings, path: KeyPath, value: object) -> bool:
    """Whether `value` can be a var. TOML has dates and infinite numbers; JSON has not."""
    if isinstance(value, dict):
        inner = [_is_json(findings, (*path, key), item) for key, item in value.items()]
        return all(inner)
    if isinstance(value, list):
        inner = [_is_json(findings, (*path, index), item) for index, item in enumerate(value)]
        return all(inner)
    if isinstance(value, date | time):
        findings.error(path, f"a var is JSON, which has no dates and times; found {found(value)}", "Put it in quotes.")
        return False
    if isinstance(value, float) and not math.isfinite(value):
        findings.error(path, f"a var is JSON, which has no such number; found {found(value)}")
        return False
    return True


def _read_queues(findings: Findings, path: KeyPath, value: object, section: Section) -> None:
    queues = _keys(findings, path, value, QUEUES_KEYS)
    for index, item in _items(queues.get("producers", [])):
        _read_producer(findings, (*path, "producers", index), item, section)
    consumed: dict[str, KeyPath] = {}
    for index, item in _items(queues.get("consumers", [])):
        _read_consumer(findings, (*path, "consumers", index), item, section, consumed)


def _read_producer(findings: Findings, path: KeyPath, value: object, section: Section) -> None:
    sound = _keys(findings, path, value, PRODUCER_KEYS, required=("binding", "queue"), quiet=("remote",))
    if isinstance(value, dict) and value.get("remote"):
        findings.warn((*path, "remote"), "is not emulated: the queue is a local one")
    if "binding" in sound:
        _claim(findings, (*path, "binding"), sound["binding"], section)
        if "queue" in sound:
            section.producers.append(Producer(**sound))


def _read_service(findings: Findings, path: KeyPath, value: object, section: Section) -> None:
    sound = _keys(
        findings, path, value, SERVICE_KEYS, required=("binding", "service"), quiet=("environment", "props", "remote")
    )
    if isinstance(value, dict) and value.get("remote"):
        findings.warn((*path, "remote"), "is not emulated: the worker is a local one")
    if isinstance(value, dict) and value.get("props"):
        findings.warn((*path, "props"), "is not emulated yet: ctx.props is empty")
    if "binding" in sound and _claim(findings, (*path, "binding"), sound["binding"], section) and "service" in sound:
        section.services.append(Service(**sound))


def _read_consumer(
    findings: Findings, path: KeyPath, value: object, section: Section, consumed: dict[str, KeyPath]
) -> None:
    sound = _keys(findings, path, value, CONSUMER_KEYS, required=("queue",))
    queue = sound.pop("queue", None)
    if queue is not None and queue == sound.get("dead_letter_queue"):
        findings.error((*path, "dead_letter_queue"), f"{found(queue)} cannot be its own dead letter queue")
    if sound.get("type") == "http_pull":
        for key in _PUSH_ONLY_KEYS:
            if sound.pop(key, None) is not None:
                findings.warn((*path, key), "has no effect on an http_pull consumer")
    elif "visibility_timeout_ms" in sound:
        findings.error(
            (*path, "visibility_timeout_ms"), 'is for consumers with `"type": "http_pull"` only', at_key=True
        )
    if queue in consumed:
        place = findings.document.place(consumed[queue])
        findings.error(
            (*path, "queue"),
            f"{found(queue)} already has a consumer, {place.key} on line {place.line}; a queue has one at most",
        )
    elif queue is not None:
        consumed[queue] = path
        place = findings.document.place((*path, "queue"))
        section.consumers.append(Consumer(queue, ConsumerSettings(**sound), place))


def _claim(findings: Findings, path: KeyPath, name: str, section: Section) -> bool:
    """Take the name of a binding. False, and an error, when another one has it."""
    if name in section.bindings:
        other = findings.document.place(section.bindings[name])
        findings.error(path, f"{found(name)} is already the name of {other.key} on line {other.line}")
        return False
    section.bindings[name] = path
    return True


def _read_unread(findings: Findings, path: KeyPath, value: object, section: Section) -> None:
    """One warning for a key that is not emulated yet, with the names of the bindings that it declares."""
    key = str(path[-1])
    if not value:
        return
    names: list[str] = []
    for inner, name in _binding_names(path, value, *wrangler_keys.BINDINGS.get(key, ("", ""))):
        if key in wrangler_keys.BINDINGS and _claim(findings, inner, name, section):
            section.unsupported[name] = key
            names.append(name)
    if names:
        uses = ", ".join(f"env.{name}" for name in names)
        findings.warn(path, f"is not emulated yet: using {uses} raises an error")
    else:
        findings.warn(path, "is not emulated yet and has no effect here")


def _binding_names(path: KeyPath, value: object, container: str, name_field: str) -> Iterator[tuple[KeyPath, str]]:
    if container:
        path, value = (*path, container), value.get(container) if isinstance(value, dict) else None
    if not name_field:
        names = value if isinstance(value, dict) else {}
        yield from (((*path, name), name) for name in names)
        return
    items = [((*path, index), item) for index, item in enumerate(value)] if isinstance(value, list) else [(path, value)]
    for inner, item in items:
        name = item.get(name_field) if isinstance(item, dict) else None
        if isinstance(name, str):
            yield (*inner, name_field), name
