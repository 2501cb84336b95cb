"""Every error that a setting can have, with its exact place."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.base.errors import ConfigError
from emulator.bindings.queue.config import consumers_of
from tests.config.project import assert_errors, wrap, write
from tests.support.configs import load_config

QUEUE_NAME = "a queue name: 1 to 63 lowercase letters, digits and hyphens, with no hyphen at either end"
WORKER_NAME = "a name of 1 to 63 lowercase letters, digits, hyphens and underscores that does not begin with a hyphen"
CONSUMER = "queues.consumers[0]"


def consumer(settings: str) -> str:
    return wrap(f'"queues": {{"consumers": [{{"queue": "orders", {settings}}}]}}')


@pytest.mark.parametrize(
    ("key", "allowed", "bad"),
    [
        ("max_batch_size", "a whole number from 1 to 100", ["0", "101", '"10"', "1.5", "true", "null"]),
        ("max_batch_timeout", "a whole number from 0 to 60", ["-1", "61", "[]"]),
        ("max_retries", "a whole number from 0 to 100", ["-1", "101"]),
        ("max_concurrency", "a whole number from 1 to 250, or null", ["0", "251"]),
        ("retry_delay", "a whole number from 0 to 86,400", ["-1", "86401"]),
        ("dead_letter_queue", QUEUE_NAME, ['"Dead"', "null", "{}"]),
        ("type", '"worker" or "http_pull"', ['"pull"', "1"]),
    ],
)
def test_a_consumer_setting_out_of_range_is_an_error(tmp_path: Path, key: str, allowed: str, bad: list[str]) -> None:
    found = {"{}": "an object", "[]": "an array"}
    for value in bad:
        expected = f"{CONSUMER}.{key}: must be {allowed}, not {found.get(value, value)}"
        assert_errors(tmp_path, consumer(f'"{key}": ▶{value}'), [expected])


@pytest.mark.parametrize(
    "settings",
    [
        '"max_batch_size": 1, "max_batch_timeout": 0, "max_retries": 0, "max_concurrency": 1, "retry_delay": 0',
        '"max_batch_size": 100, "max_batch_timeout": 60, "max_retries": 100, "max_concurrency": 250',
        '"retry_delay": 86400, "max_concurrency": null, "dead_letter_queue": "orders-dead"',
        '"type": "http_pull", "visibility_timeout_ms": 43200000',
    ],
)
def test_both_ends_of_every_range_are_allowed(tmp_path: Path, settings: str) -> None:
    assert consumers_of(load_config(write(tmp_path, consumer(settings))))[0].queue == "orders"


ONE_ERROR = {
    "name": (
        '{"name": ▶"My_Worker", "main": "src/entry.py"}',
        f'name: must be {WORKER_NAME}, not "My_Worker"',
    ),
    "main missing": (
        '// first\n▶{"name": "demo"}',
        'main: is missing\nName the worker\'s module, such as "src/entry.py".',
    ),
    "main empty": ('{"name": "demo", "main": ▶""}', 'main: must be a non-empty string, not ""'),
    "main is a directory": (
        '{"name": "demo", "main": ▶"src"}',
        'main: "src" is a directory; it must be a Python or JavaScript file',
    ),
    "a service without a worker": (
        '{"name": "demo", "main": "src/entry.py", "services": [▶{"binding": "AUTH"}]}',
        f"services[0].service: is missing; it must be {WORKER_NAME}",
    ),
    "main with another ending": (
        '{"name": "demo", "main": ▶"src/entry.rs"}',
        'main: must be a Python file ending in .py, or a JavaScript or TypeScript file, not "src/entry.rs"',
    ),
    "compatibility_date": (
        '{"name": "demo", "main": "src/entry.py", "compatibility_date": ▶"2026-02-30"}',
        'compatibility_date: must be a date in quotes, such as "2026-01-31", not "2026-02-30"',
    ),
    "compatibility_date in another form": (
        '{"name": "demo", "main": "src/entry.py", "compatibility_date": ▶"20260131"}',
        'compatibility_date: must be a date in quotes, such as "2026-01-31", not "20260131"',
    ),
    "compatibility_flags": (
        wrap('"compatibility_flags": ▶"python_workers"'),
        'compatibility_flags: must be an array, not "python_workers"',
    ),
    "one of the flags": (
        wrap('"compatibility_flags": ["python_workers", ▶7]'),
        "compatibility_flags[1]: must be a non-empty string, not 7",
    ),
    "vars": (wrap('"vars": ▶["A"]'), "vars: must be an object, not an array"),
    "queues": (wrap('"queues": ▶null'), "queues: must be an object, not null"),
    "producers": (wrap('"queues": {"producers": ▶{}}'), "queues.producers: must be an array, not an object"),
    "producer": (wrap('"queues": {"producers": [▶"A"]}'), 'queues.producers[0]: must be an object, not "A"'),
    "binding": (
        wrap('"queues": {"producers": [{"binding": ▶"MY-QUEUE", "queue": "orders"}]}'),
        'queues.producers[0].binding: must be a JavaScript identifier, such as MY_QUEUE, not "MY-QUEUE"',
    ),
    "queue name": (
        wrap(f'"queues": {{"producers": [{{"binding": "A", "queue": ▶"{"q" * 64}"}}]}}'),
        f'queues.producers[0].queue: must be {QUEUE_NAME}, not "{"q" * 59}...',
    ),
    "consumer without a queue": (
        wrap('"queues": {"consumers": [▶{"max_retries": 1}]}'),
        f"queues.consumers[0].queue: is missing; it must be {QUEUE_NAME}",
    ),
    "own dead letter queue": (
        consumer('"dead_letter_queue": ▶"orders"'),
        f'{CONSUMER}.dead_letter_queue: "orders" cannot be its own dead letter queue',
    ),
    "two consumers of one queue": (
        wrap('"queues": {"consumers": [\n{"queue": "orders"},\n{"queue": ▶"orders"}]}'),
        f'queues.consumers[1].queue: "orders" already has a consumer, {CONSUMER} on line 6; a queue has one at most',
    ),
    "visibility_timeout_ms of a push consumer": (
        consumer('▶"visibility_timeout_ms": 1000'),
        f'{CONSUMER}.visibility_timeout_ms: is for consumers with `"type": "http_pull"` only',
    ),
    "visibility_timeout_ms": (
        consumer('"type": "http_pull", "visibility_timeout_ms": ▶43200001'),
        f"{CONSUMER}.visibility_timeout_ms: must be a whole number from 0 to 43,200,000, not 43200001",
    ),
    "two producers of one name": (
        wrap('"queues": {"producers": [{"binding": "A", "queue": "a"}, {"binding": ▶"A", "queue": "b"}]}'),
        'queues.producers[1].binding: "A" is already the name of queues.producers[0].binding on line 5',
    ),
    "a var and a producer of one name": (
        wrap('"vars": {"A": 1},\n"queues": {"producers": [{"binding": ▶"A", "queue": "a"}]}'),
        'queues.producers[0].binding: "A" is already the name of vars.A on line 5',
    ),
    "a var and a binding that is not emulated": (
        wrap('"vars": {"A": 1},\n"kv_namespaces": [{"binding": ▶"A"}]'),
        'kv_namespaces[0].binding: "A" is already the name of vars.A on line 5',
    ),
    "limits.cpu_ms": (
        wrap('"limits": {"cpu_ms": ▶0}'),
        "limits.cpu_ms: must be a whole number from 1 to 300,000, not 0",
    ),
    "dev.port": (wrap('"dev": {"port": ▶65536}'), "dev.port: must be a whole number from 0 to 65,535, not 65536"),
    "dev.ip": (wrap('"dev": {"ip": ▶1}'), "dev.ip: must be a non-empty string, not 1"),
    "triggers": (wrap('"triggers": ▶["* * * * *"]'), "triggers: must be an object, not an array"),
    "cron": (wrap('"triggers": {"crons": [▶5]}'), "triggers.crons[0]: must be a string, not 5"),
    "cron with six fields": (
        wrap('"triggers": {"crons": ["* * * * *", ▶"0 * * * * *"]}'),
        "triggers.crons[1]: must have 5 fields (minute, hour, day of the month, month, day of the week), not 6",
    ),
    "env": (wrap('"env": ▶[]'), "env: must be an object, not an array"),
}


@pytest.mark.parametrize("name", ONE_ERROR)
def test_an_error_names_its_place_what_was_found_and_what_is_allowed(tmp_path: Path, name: str) -> None:
    text, expected = ONE_ERROR[name]
    assert_errors(tmp_path, text, [expected])


def test_all_problems_of_a_file_come_at_once_in_file_order(tmp_path: Path) -> None:
    text = """{
  "triggers": {"crons": [▶"never", ▶"61 * * * *"]},
  "name": ▶7,
  "queues": {
    "consumers": [
      {"queue": "a", "max_batch_size": ▶500, "max_retries": ▶"3"},
      ▶{},
      ▶[]
    ]
  },
  "main": ▶"src/missing.py"
}"""
    assert_errors(
        tmp_path,
        text,
        [
            "triggers.crons[0]: must have 5 fields (minute, hour, day of the month, month, day of the week), not 1",
            'triggers.crons[1]: "61" is not allowed here: minute 0 to 59',
            f"name: must be {WORKER_NAME}, not 7",
            "queues.consumers[0].max_batch_size: must be a whole number from 1 to 100, not 500",
            'queues.consumers[0].max_retries: must be a whole number from 0 to 100, not "3"',
            f"queues.consumers[1].queue: is missing; it must be {QUEUE_NAME}",
            "queues.consumers[2]: must be an object, not an array",
            f'main: "src/missing.py": there is no such file\nLooked for {tmp_path}/src/missing.py.',
        ],
    )


def test_the_text_of_an_error_is_what_a_person_reads(tmp_path: Path) -> None:
    path = write(tmp_path, wrap('"limits": {"cpu_ms": 0},\n  "dev": {"port": -1}'))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == (
        f"{path}:5:24: limits.cpu_ms: must be a whole number from 1 to 300,000, not 0\n"
        f"{path}:6:19: dev.port: must be a whole number from 0 to 65,535, not -1"
    )


def test_errors_in_toml_have_their_places(tmp_path: Path) -> None:
    text = """\
name = "demo"
main = "src/entry.py"
compatibility_date = ▶2026-01-31

[vars]
WHEN = ▶2026-01-31T10:00:00
NESTED = { list = [1, ▶10:30:00, ▶inf] }

[[queues.producers]]
binding = "A"
queue = "a"

[[queues.producers]]
binding = ▶"A"
queue = "a"

▶[[queues.consumers]]
max_retries = 3
"""
    in_quotes = "\nPut it in quotes."
    assert_errors(
        tmp_path,
        text,
        [
            'compatibility_date: must be a date in quotes, such as "2026-01-31", not the date 2026-01-31',
            f"vars.WHEN: a var must be JSON, which has no dates or times, not the date 2026-01-31 10:00:00{in_quotes}",
            f"vars.NESTED.list[1]: a var must be JSON, which has no dates or times, not the time 10:30:00{in_quotes}",
            "vars.NESTED.list[2]: a var must be JSON, which does not have the number Infinity",
            'queues.producers[1].binding: "A" is already the name of queues.producers[0].binding on line 10',
            f"queues.consumers[0].queue: is missing; it must be {QUEUE_NAME}",
        ],
        name="wrangler.toml",
    )
