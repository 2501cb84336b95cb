"""Keys that are not emulated, keys that nobody knows, and other doubts, each with its exact place."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.bindings.not_emulated.kind import NOT_EMULATED
from emulator.bindings.registry import KINDS
from emulator.config import reading, wrangler_keys
from tests.config.project import assert_warnings, load, wrap, write

UNKNOWN = "is not a key that wrangler knows"


def test_a_configuration_that_is_fully_emulated_has_no_warnings(tmp_path: Path) -> None:
    assert load(tmp_path, wrap('"vars": {"A": 1}')).warnings == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (wrap('▶"compatability_flags": []'), f"compatability_flags: {UNKNOWN}\nDid you mean `compatibility_flags`?"),
        (wrap('▶"kv_namespace": []'), f"kv_namespace: {UNKNOWN}\nDid you mean `kv_namespaces`?"),
        (wrap('▶"zzz": 1'), f"zzz: {UNKNOWN}"),
        (wrap('"queues": {▶"producer": []}'), f"queues.producer: {UNKNOWN}\nDid you mean `producers`?"),
        (
            wrap('"queues": {"producers": [{"binding": "A", "queue": "a", ▶"delay": 1}]}'),
            f"queues.producers[0].delay: {UNKNOWN}",
        ),
        (
            wrap('"queues": {"consumers": [{"queue": "a", ▶"batch_size": 1}]}'),
            f"queues.consumers[0].batch_size: {UNKNOWN}\nDid you mean `max_batch_size`?",
        ),
        (wrap('"triggers": {▶"cron": []}'), f"triggers.cron: {UNKNOWN}\nDid you mean `crons`?"),
        (wrap('"limits": {▶"cpu": 1}'), f"limits.cpu: {UNKNOWN}\nDid you mean `cpu_ms`?"),
        (wrap('"dev": {▶"prot": 1}'), f"dev.prot: {UNKNOWN}\nDid you mean `port`?"),
    ],
)
def test_a_key_that_nobody_knows_is_a_warning_with_the_nearest_name(tmp_path: Path, text: str, expected: str) -> None:
    assert_warnings(tmp_path, text, [expected])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"build": {▶"comand": "make"}', "build.comand: is not a key that wrangler knows\nDid you mean `command`?"),
        ('▶"site": {"bucket": "public"}', "site: is not emulated yet and has no effect here"),
        (
            '"limits": {▶"subrequests": 5}',
            "limits.subrequests: is not emulated yet: subrequests are not counted",
        ),
        (
            '"queues": {"producers": [{"binding": "A", "queue": "a", ▶"delivery_delay": 60}]}',
            (
                "queues.producers[0].delivery_delay: is deprecated, and has no effect in production either\n"
                "The delay is a setting of the queue: wrangler queues update NAME --delivery-delay-secs SECONDS"
            ),
        ),
        (
            '"queues": {"consumers": [{"queue": "a", "max_batch_timeout": 1, ▶"max_concurrency": null}]}',
            "queues.consumers[0].max_concurrency: wrangler refuses this: must be a number, not null",
        ),
        ('"vars": {▶"my-var": 1}', "vars.my-var: is not a JavaScript identifier, so it cannot be written as env.NAME"),
        ('"vars": {"A": 1, ▶"A": 2}', "vars.A: appears more than once in this object; the last one is used"),
    ],
)
def test_a_setting_that_does_not_do_what_it_says_is_a_warning(tmp_path: Path, text: str, expected: str) -> None:
    assert_warnings(tmp_path, wrap(text), [expected])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"vectorize": [{"binding": "NEAR", "index_name": "x"}, {"binding": "MORE"}]', ["NEAR", "MORE"]),
        ('"durable_objects": {"bindings": [{"name": "ROOM", "class_name": "Room"}]}', ["ROOM"]),
        ('"ai": {"binding": "AI"}', ["AI"]),
        ('"unsafe": {"bindings": [{"name": "X", "type": "y"}]}', ["X"]),
        ('"text_blobs": {"TEXT": "a.txt", "MORE": "b.txt"}', ["TEXT", "MORE"]),
    ],
)
def test_bindings_that_are_not_emulated_are_one_warning_a_key(tmp_path: Path, text: str, names: list[str]) -> None:
    key = text.split('"')[1]
    uses = ", ".join(f"env.{name}" for name in names)
    config = assert_warnings(tmp_path, wrap(f"▶{text}"), [f"{key}: is not emulated yet: using {uses} raises an error"])
    assert NOT_EMULATED.bindings(config) == dict.fromkeys(names, key)


@pytest.mark.parametrize("key", sorted(NOT_EMULATED.keys))
def test_no_value_of_a_key_that_is_not_read_breaks_the_reading(tmp_path: Path, key: str) -> None:
    for value in ("null", "[]", "{}", "1", '"x"', "[1]", '[{"binding": 1}]', '{"bindings": 1}', '{"bindings": [2]}'):
        load(tmp_path, wrap(f'"{key}": {value}'))


def test_a_pull_consumer_is_a_warning_as_is_what_has_no_effect_on_it(tmp_path: Path) -> None:
    text = wrap('"queues": {"consumers": [{"queue": "a", ▶"type": "http_pull", ▶"max_concurrency": 2}]}')
    expected = [
        (
            "queues.consumers[0].type: wrangler refuses this: a configuration has no pull consumers\n"
            "In production, add it with `wrangler queues consumer http add a`."
        ),
        "queues.consumers[0].max_concurrency: has no effect on an http_pull consumer",
    ]
    assert_warnings(tmp_path, text, expected)


DEPLOYMENT_VALUES = {
    "{}": ("previews", "python_modules", "cache"),
    '{"enabled": true}': ("observability",),
    '{"mode": "smart"}': ("placement",),
    "[]": ("routes", "streaming_tail_consumers", "tail_consumers"),
    '"x"': ("$schema", "account_id", "compliance_region", "route", "usage_model"),
    "false": ("node_compat",),
}


@pytest.mark.parametrize("key", sorted(wrangler_keys.DEPLOYMENT))
def test_keys_that_concern_deployment_only_need_no_word(tmp_path: Path, key: str) -> None:
    value = next((value for value, keys in DEPLOYMENT_VALUES.items() if key in keys), "true")
    assert_warnings(tmp_path, wrap(f'"{key}": {value}'), [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('▶"workers_dev": 1', "workers_dev: wrangler refuses this: must be true or false, not 1"),
        ('▶"routes": "x"', 'routes: wrangler refuses this: must be an array, not "x"'),
        ('▶"route": "a", "routes": ["b"]', "route: wrangler refuses this: there is `routes`, too"),
        (
            '"env": {"a": {}}, ▶"observability": []',
            "observability: wrangler refuses this: must be an object, not an array",
        ),
        (
            '▶"node_compat": true',
            "node_compat: wrangler refuses this: must be left out: the flag nodejs_compat took its place, not true",
        ),
    ],
)
def test_what_wrangler_refuses_of_deployment_is_a_warning(tmp_path: Path, text: str, expected: str) -> None:
    assert_warnings(tmp_path, wrap(text), [expected])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '"observability": {"enabled": true, "logs": {▶"head_sampling_rate": 2}}',
            "observability.logs.head_sampling_rate: wrangler refuses this: must be a number from 0 to 1, not 2",
        ),
        (
            '▶"observability": {"head_sampling_rate": 1}',
            "observability: wrangler refuses this: `enabled` is missing, here and in `logs`, `traces` and `issues`",
        ),
        ('▶"placement": {}', "placement: wrangler refuses this: `mode` is missing"),
        (
            '"placement": {▶"mode": "fast"}',
            'placement.mode: wrangler refuses this: must be "off" or "smart", not "fast"',
        ),
        (
            '"routes": ["a.example/*", ▶"a.example/*.jpg"]',
            (
                'routes[1]: production refuses this: "a.example/*.jpg": `*` can only begin the host and end the '
                "path, and there can be no query"
            ),
        ),
        (
            '"routes": [▶{"pattern": "a.example/*"}]',
            (
                "routes[0]: wrangler refuses this: a route that is an object needs `zone_id`, `zone_name` or "
                "`custom_domain`"
            ),
        ),
        (
            '"env": {"a": {▶"route": {"pattern": "a.example/", "custom_domain": true}}}',
            'env.a.route: wrangler refuses this: "a.example/": a custom domain is a host, with no `*` and no path',
        ),
        ('▶"route": ""', "route: is empty, and has no effect"),
    ],
)
def test_what_is_refused_of_a_deployment_is_named_at_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert_warnings(tmp_path, wrap(text), [expected], environment="a" if '"env"' in text else None)


@pytest.mark.parametrize(("number", "free"), [(5, True), (6, False)])
def test_more_crons_than_the_free_plan_takes_are_noted(tmp_path: Path, number: int, free: bool) -> None:
    crons = ", ".join(['"* * * * *"'] * number)
    config = load(tmp_path, wrap(f'"triggers": {{"crons": [{crons}]}}'))
    assert config.warnings == ()
    notes = ["has 6 crons, and the free plan takes at most 5 of all workers of an account"]
    assert [note.message for note in config.notes] == ([] if free else notes)


NO_FLAG = (
    "wrangler refuses this: a Python worker needs the compatibility flag python_workers\n"
    'Add it: "compatibility_flags": ["python_workers"].'
)


@pytest.mark.parametrize(
    ("flags", "environment", "expected"),
    [
        ('▶"main": "src/entry.py"', None, f"main: {NO_FLAG}"),
        ('"main": "src/entry.py", ▶"compatibility_flags": []', None, f"compatibility_flags: {NO_FLAG}"),
        (
            '"main": "src/entry.py", ▶"compatibility_flags": [], "env": {"a": {}}',
            "a",
            f"compatibility_flags: {NO_FLAG}",
        ),
        (
            '"main": "src/entry.py", "compatibility_flags": [], "env": {"a": {▶"compatibility_flags": ["nodejs_als"]}}',
            "a",
            f"env.a.compatibility_flags: {NO_FLAG}",
        ),
        ('"main": "src/entry.py", "env": {"a": {"compatibility_flags": ["python_workers"]}}', "a", None),
        ('"main": "src/index.js"', None, None),
    ],
)
def test_a_python_worker_without_its_flag_is_a_warning(
    tmp_path: Path, flags: str, environment: str | None, expected: str | None
) -> None:
    write(tmp_path, "", **{"src/index.js": ""})
    text = f'{{"name": "demo", "compatibility_date": "2026-01-31", {flags}}}'
    assert_warnings(tmp_path, text, [expected] if expected else [], environment=environment)


def test_python_modules_beside_main_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "src/python_modules").mkdir(parents=True)
    text = wrap("").replace('"main"', '▶"main"').replace("],", "]")
    expected = (
        "main: wrangler refuses this: there must be no python_modules beside main, and it is not read\n"
        f"Move {tmp_path}/src/python_modules beside the configuration."
    )
    assert_warnings(tmp_path, text, [expected])


def test_python_modules_beside_the_configuration_needs_no_word(tmp_path: Path) -> None:
    (tmp_path / "python_modules").mkdir()
    (tmp_path / "entry.py").touch()
    assert_warnings(tmp_path, wrap("").replace("src/entry.py", "entry.py").replace("],", "]"), [])


def test_an_empty_list_of_bindings_needs_no_word(tmp_path: Path) -> None:
    assert_warnings(tmp_path, wrap('"kv_namespaces": [], "ai": null, "migrations": []'), [])


def test_a_missing_compatibility_date_is_a_warning(tmp_path: Path) -> None:
    text = '▶{"name": "demo", "main": "src/entry.py", "compatibility_flags": ["python_workers"]}'
    assert_warnings(
        tmp_path,
        text,
        ["compatibility_date: is missing: the newest behaviour is assumed, and wrangler deploys nothing without it"],
    )


def test_every_key_has_one_place_in_the_tables() -> None:
    tables = [
        set(reading.TOP_LEVEL_KEYS),
        set(wrangler_keys.NOT_EMULATED),
        set(wrangler_keys.DEPLOYMENT),
        *(set(kind.keys) for kind in KINDS),
    ]
    known = set().union(*tables)
    assert sum(map(len, tables)) == len(known)
    assert known >= wrangler_keys.TOP_LEVEL_ONLY | wrangler_keys.NOT_INHERITED
    assert not wrangler_keys.NOT_INHERITED & wrangler_keys.TOP_LEVEL_ONLY


def test_a_key_that_counts_at_the_top_level_only_holds_in_environments_too() -> None:
    assert all(key.inherited for kind in KINDS for key in kind.keys.values() if key.top_level_only)


@pytest.mark.parametrize(
    ("directory", "environment", "name"),
    [
        ("my-app", None, "my-app"),
        ("My App 2", None, "my-app-2"),
        ("über", None, "ber"),
        ("--", None, "worker"),
        ("x" * 70, None, "x" * 63),
        ("my-app", "staging", "my-app-staging"),
    ],
)
def test_a_worker_without_a_name_is_called_as_its_directory(
    tmp_path: Path, directory: str, environment: str | None, name: str
) -> None:
    text = (
        '{"main": "src/entry.py", "compatibility_date": "2026-01-31", "compatibility_flags": ["python_workers"],'
        ' "env": {"staging": {}}}'
    )
    config = load(tmp_path / directory, text, environment=environment)
    assert config.name == name
    (warning,) = config.warnings
    assert warning.message == (
        f"is missing: the worker is called {name}, as its directory; wrangler does not deploy it without one"
    )
