"""Turns a parsed configuration file into typed settings: which keys exist, what their values may be, and which keys
environments inherit.

Each function returns what is valid and reports what is not, so that one pass finds all problems of a file. `loading`
reads the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from emulator.config import checks, wrangler_keys
from emulator.config.bundling import BUNDLING_KEYS, inherited, read_bundling
from emulator.config.checks import Check, found
from emulator.config.document import Findings, KeyPath, format_path
from emulator.config.origin import origin_of
from emulator.config.section import Key, Section, did_you_mean, must_be, read_object

if TYPE_CHECKING:
    from emulator.config.kind import ConfigKind

SECTION_KEYS: Final[Mapping[str, Check]] = {
    "name": checks.WORKER_NAME,
    "main": checks.TEXT,
    "compatibility_date": checks.DATE,
    "compatibility_flags": checks.ARRAY,
    "triggers": checks.OBJECT,
    "limits": checks.OBJECT,
    "build": checks.OBJECT,
    **dict.fromkeys(wrangler_keys.ROUTES, checks.ANYTHING),
    **BUNDLING_KEYS,
}
"""The keys of the top level and of environments that do not belong to a binding kind."""

TOP_LEVEL_KEYS: Final[Mapping[str, Check]] = {**SECTION_KEYS, "dev": checks.OBJECT, "env": checks.OBJECT}
TRIGGERS_KEYS: Final[Mapping[str, Check]] = {"crons": checks.ARRAY}
BUILD_KEYS: Final[Mapping[str, Check]] = {
    "command": checks.STRING,
    "cwd": checks.TEXT,
    "watch_dir": checks.TEXT_OR_TEXTS,
}
LIMITS_KEYS: Final[Mapping[str, Check]] = {"cpu_ms": checks.CPU_TIME}
_CHECKED_FOR_DEPLOYMENT: Final = frozenset({"observability", "placement", *wrangler_keys.ROUTES})
MAX_CRONS: Final = 250
FREE_CRONS: Final = 5
"""How many crons production takes of all workers of an account, and how many on the free plan."""

DEV_KEYS: Final[Mapping[str, Check]] = {
    "port": checks.PORT_NUMBER,
    "ip": checks.TEXT,
    "inspector_port": checks.PORT_NUMBER,
    "host": checks.TEXT,
    "local_protocol": checks.one_of("http", "https"),
    "upstream_protocol": checks.one_of("http", "https"),
}


class WorkerSection(Section):
    """A section, with the settings that do not belong to a binding kind. A setting that is missing or invalid is None
    or empty. `name_path`, `main_path`, `date_path` and `triggers_path` are the key paths of `name`, `main`,
    `compatibility_date` and `triggers`; `flags` are the compatibility flags, each with its key path."""

    def __init__(
        self,
        findings: Findings,
        path: KeyPath = (),
        keys: Mapping[str, Any] | None = None,
        *,
        inherited_only: bool = False,
    ) -> None:
        super().__init__(findings, path, keys, inherited_only=inherited_only)
        self.name: str | None = self.keys.get("name")
        self.name_path: KeyPath = (*path, "name")
        self.main: str | None = self.keys.get("main")
        self.main_path: KeyPath = (*path, "main")
        self.compatibility_date: str | None = self.keys.get("compatibility_date")
        self.flags: Sequence[tuple[KeyPath, str]] = ()
        self.date_path: KeyPath = (*path, "compatibility_date")
        self.crons: tuple[str, ...] | None = None
        self.triggers_path: KeyPath = (*path, "triggers")
        self.cpu_ms: int | None = None
        routes = self.keys.get("routes")
        self.routes: Sequence[object] = routes if isinstance(routes, list) and routes else [self.keys.get("route")]
        self.bundling: dict[str, Any] = {}
        self.build: Mapping[str, Any] | None = None


class FileSettings(NamedTuple):
    """The settings of a whole file for one environment."""

    section: WorkerSection
    dev_port: int | None
    dev_ip: str | None
    dev_inspector_port: int | None
    dev_protocol: str
    origin: str
    account_id: str


def read_settings(findings: Findings, environment: str | None, kinds: Sequence[ConfigKind]) -> FileSettings | None:
    """Read the whole document for `environment`, or for the top level if that is None.

    Problems in other environments are warnings, because they do not prevent this one from running. Reports an error and
    returns None if the environment does not exist.
    """
    return _Reader(findings, kinds).read(environment)


class _Reader:
    """Reads one document, with the keys of some binding kinds."""

    def __init__(self, findings: Findings, kinds: Sequence[ConfigKind]) -> None:
        self.findings = findings
        self.kinds = kinds
        self.kind_keys: dict[str, Key] = {name: key for kind in kinds for name, key in kind.keys.items()}
        self.top_level_only = wrangler_keys.TOP_LEVEL_ONLY | {
            name for name, key in self.kind_keys.items() if key.top_level_only
        }

    def read(self, environment: str | None) -> FileSettings | None:
        top = self.keys((), self.findings.document.data, TOP_LEVEL_KEYS)
        section = self.section(self.findings, (), top, inherited_only=environment is not None)
        environments = cast("Mapping[str, object]", top.get("env", {}))
        chosen: WorkerSection | None = None
        for name, value in environments.items():
            path: KeyPath = ("env", name)
            if name == environment:
                chosen = self.environment(self.findings, path, value)
                self.warn_not_inherited(path, section, chosen)
            else:
                aside = Findings(self.findings.document)
                self.environment(aside, path, value)
                self.findings.warnings += aside.errors
        if environment is not None and chosen is None:
            _no_such_environment(self.findings, environment, list(environments))
            return None
        dev = _dev(self.findings, top)
        merged = section if environment is None or chosen is None else self.inherit(section, chosen, environment)
        protocol = dev.get("local_protocol", "http")
        origin = origin_of(dev, merged.routes)
        account = str((chosen.keys.get("account_id") if chosen else None) or top.get("account_id") or "")
        return FileSettings(
            merged, dev.get("port"), dev.get("ip"), dev.get("inspector_port"), protocol, origin, account
        )

    def environment(self, findings: Findings, path: KeyPath, value: object) -> WorkerSection:
        if not checks.OBJECT.accepts(value):
            findings.error(path, must_be(checks.OBJECT, value))
            return WorkerSection(findings)
        misplaced = self.top_level_only & cast("Mapping[str, object]", value).keys()
        for key in sorted(misplaced):
            findings.warn((*path, key), "has an effect only at the top level, not here")
        given = {key: item for key, item in cast("Mapping[str, Any]", value).items() if key not in misplaced}
        return self.section(findings, path, self.keys(path, given, SECTION_KEYS, findings))

    def inherit(self, top: WorkerSection, chosen: WorkerSection, environment: str) -> WorkerSection:
        """An environment with the keys that it inherits from the top level: all except vars, queues and most
        bindings."""
        if chosen.name is None:
            chosen.name_path = top.name_path
            chosen.name = f"{top.name}-{environment}" if top.name else None
        if "main" not in chosen.keys:
            chosen.main, chosen.main_path = top.main, top.main_path
        if "compatibility_date" not in chosen.keys:
            chosen.compatibility_date, chosen.date_path = top.compatibility_date, top.date_path
        if "compatibility_flags" not in chosen.keys:
            chosen.flags = top.flags
        if "triggers" not in chosen.keys:
            chosen.crons, chosen.triggers_path = top.crons, top.triggers_path
        if "limits" not in chosen.keys:
            chosen.cpu_ms = top.cpu_ms
        if "build" not in chosen.keys:
            chosen.build = top.build
        if not chosen.keys.keys() & wrangler_keys.ROUTES.keys():
            chosen.routes = top.routes
        chosen.bundling = inherited(top.bundling) | chosen.bundling
        chosen.inherit(top, [name for name, key in self.kind_keys.items() if key.inherited])
        return chosen

    def warn_not_inherited(self, path: KeyPath, top: WorkerSection, chosen: WorkerSection) -> None:
        missing = [f"`{key}`" for key in top.keys if not self.is_inherited(key) and key not in chosen.keys]
        if missing:
            keys = f"{', '.join(missing[:-1])} and {missing[-1]}" if len(missing) > 1 else missing[0]
            self.findings.warn(
                path,
                f"{keys} {'are' if len(missing) > 1 else 'is'} set at the top level but not here, and an environment "
                "does not inherit bindings, vars and queues",
                f"Repeat in {format_path(path)} what this environment needs.",
                code="not-inherited",
            )

    def is_inherited(self, key: str) -> bool:
        """Whether an environment inherits the value of `key` from the top level."""
        return self.kind_keys[key].inherited if key in self.kind_keys else key not in wrangler_keys.NOT_INHERITED

    def keys(
        self, path: KeyPath, value: object, known: Mapping[str, Check], findings: Findings | None = None
    ) -> dict[str, Any]:
        """The keys of the top level or of an environment that have valid values: those in `known`, those of the binding
        kinds, and those whose absence a worker would notice."""
        accepted = dict(known)
        accepted.update((name, key.check) for name, key in self.kind_keys.items())
        accepted.update(dict.fromkeys(wrangler_keys.NOT_EMULATED, checks.ANYTHING))
        quiet = wrangler_keys.DEPLOYMENT
        findings = findings or self.findings
        if isinstance(value, dict):
            _warn_of_refused(findings, path, value)
        return read_object(findings, path, value, accepted, quiet=quiet, suggested=quiet)

    def section(
        self, findings: Findings, path: KeyPath, keys: Mapping[str, Any], *, inherited_only: bool = False
    ) -> WorkerSection:
        """Read the settings that the top level and environments have in common. `inherited_only` skips the keys that
        are neither emulated nor inherited, because an environment was selected."""
        section = WorkerSection(findings, path, keys, inherited_only=inherited_only)
        if "compatibility_flags" in keys:
            section.flags = tuple(_strings(findings, (*path, "compatibility_flags"), keys["compatibility_flags"]))
        if "triggers" in keys:
            section.crons = tuple(_crons(findings, (*path, "triggers"), keys["triggers"]))
        if "limits" in keys:
            limits_path = (*path, "limits")
            limits = read_object(findings, limits_path, keys["limits"], LIMITS_KEYS, quiet=("subrequests",))
            section.cpu_ms = limits.get("cpu_ms")
            if "subrequests" in keys["limits"]:
                findings.not_here((*limits_path, "subrequests"), "is not emulated yet: subrequests are not counted")
        if "build" in keys:
            section.build = read_object(findings, (*path, "build"), keys["build"], BUILD_KEYS)
        section.bundling = read_bundling(findings, path, keys)
        for kind in self.kinds:
            kind.read(section)
        for key in keys:
            if key in wrangler_keys.NOT_EMULATED and keys[key] and not (inherited_only and not self.is_inherited(key)):
                findings.not_here((*path, key), "is not emulated yet and has no effect here")
        return section


def _warn_of_refused(findings: Findings, path: KeyPath, value: Mapping[str, object]) -> None:
    for key, check in {**wrangler_keys.DEPLOYMENT, **wrangler_keys.ROUTES}.items():
        if key in value and not check.accepts(value[key]):
            findings.refused((*path, key), must_be(check, value[key]))
    if "route" in value and "routes" in value:
        findings.refused((*path, "route"), "there is `routes`, too")
    if value.keys() & _CHECKED_FOR_DEPLOYMENT:
        from emulator.config.deployment import check_deployment  # most configurations have none of them

        check_deployment(findings, path, value)


def _no_such_environment(findings: Findings, environment: str, existing: list[str]) -> None:
    if existing:
        findings.error(
            ("env",),
            f"there is no environment {found(environment)}; the environments are: {', '.join(existing)}",
            did_you_mean(environment, existing),
            at_key=True,
            code="no-such-environment",
        )
    else:
        text = f"there is no environment {found(environment)}: the file has no `env`"
        findings.error((), text, code="no-such-environment")


def _items(value: object) -> Iterator[tuple[int, Any]]:
    return enumerate(cast("list[Any]", value))


def _strings(findings: Findings, path: KeyPath, value: object) -> Iterator[tuple[KeyPath, str]]:
    for index, item in _items(value):
        if checks.TEXT.accepts(item):
            yield (*path, index), item
        else:
            findings.error((*path, index), must_be(checks.TEXT, item))


def _crons(findings: Findings, path: KeyPath, value: object) -> Iterator[str]:
    crons = read_object(findings, path, value, TRIGGERS_KEYS).get("crons", [])
    if crons:
        from emulator.config.cron import cron_problem
    if len(crons) > MAX_CRONS:
        text = f"has {len(crons)} crons, and production takes at most {MAX_CRONS} of all workers of an account"
        findings.warn((*path, "crons"), text, code="over-limit")
    elif len(crons) > FREE_CRONS:
        text = f"has {len(crons)} crons, and the free plan takes at most {FREE_CRONS} of all workers of an account"
        findings.note((*path, "crons"), text, code="over-limit")
    for index, item in _items(crons):
        inner = (*path, "crons", index)
        if not checks.STRING.accepts(item):
            findings.error(inner, must_be(checks.STRING, item))
        elif problem := cron_problem(item):
            findings.error(inner, problem)
        else:
            yield item


def _dev(findings: Findings, top: Mapping[str, Any]) -> dict[str, Any]:
    if "dev" not in top:
        return {}
    return read_object(findings, ("dev",), top["dev"], DEV_KEYS, quiet=wrangler_keys.DEV_DEPLOYMENT)
