"""What `emulator check` says of many small configurations, beside what wrangler says of them.

Where they differ, a row of a table in the documentation says so, and why.
"""

from __future__ import annotations

import json
from pathlib import Path

from emulator.base.errors import ConfigError
from emulator.config.document import REFUSED
from tests.config.project import load
from tests.config.wrangler import verdicts_of_wrangler
from tests.support.docs import table
from tests.support.node_tools import needs_node

PAGE = Path(__file__).parents[2] / "docs/configuration.md"


def consumer(**settings: object) -> str:
    return json.dumps({"queues": {"consumers": [{"queue": "a", **settings}]}})[1:-1]


def producer(**settings: object) -> str:
    return json.dumps({"queues": {"producers": [{"binding": "A", "queue": "a", **settings}]}})[1:-1]


SAME = (
    '"vars": {"A": 1}',
    '"colour": 1',
    '"name": "Shop"',
    '"name": "shop_1"',
    '"name": "-shop"',
    '"name": 1',
    '"compatibility_date": "2026-13-01"',
    '"compatibility_date": 20260101',
    '"compatibility_flags": [1]',
    '"compatibility_flags": "nodejs_compat"',
    '"triggers": {"crons": ["*/5 * * * *"]}',
    '"triggers": {"crons": "* * * * *"}',
    '"limits": {"cpu_ms": 50}',
    '"limits": {"cpu_ms": "x"}',
    '"build": {"command": 1}',
    '"minify": 1',
    '"define": {"A": 1}',
    '"dev": {"port": "x"}',
    '"dev": {"colour": 1}',
    '"env": {"x": {"colour": 1}}',
    consumer(),
    consumer(colour=1),
    consumer(max_batch_size="1"),
    consumer(dead_letter_queue=1),
    consumer(type="http_pull"),
    producer(),
    producer(delivery_delay=5),
    '"queues": {"producers": [{"binding": "A", "queue": "a"}, {"binding": "A", "queue": "b"}]}',
    '"vars": {"A": 1}, "queues": {"producers": [{"binding": "A", "queue": "a"}]}',
    '"services": [{"binding": "A"}]',
    '"placement": {"mode": "smart"}',
    '"placement": {"mode": "off"}',
    '"placement": {"mode": "smart", "hint": "wnam"}',
    '"placement": {"mode": "off", "hint": "wnam"}',
    '"placement": {"mode": "off", "hint": ""}',
    '"placement": {"mode": "fast"}',
    '"placement": {"hint": 3}',
    '"placement": {"hint": "wnam", "region": "aws:us-east-1"}',
    '"placement": {"region": "aws:us-east-1"}',
    '"placement": {"mode": "targeted", "host": "db.example.com:5432"}',
    '"placement": {"mode": "smart", "host": "db.example.com:5432"}',
    '"placement": {"mode": "targeted"}',
    '"placement": {"region": ""}',
    '"placement": {"region": "x", "hostname": "y"}',
    '"placement": {}',
    '"observability": {"enabled": true}',
    '"observability": {"enabled": true, "head_sampling_rate": 0}',
    '"observability": {"enabled": true, "head_sampling_rate": 1}',
    '"observability": {"enabled": true, "head_sampling_rate": 0.25}',
    '"observability": {"enabled": true, "head_sampling_rate": 2}',
    '"observability": {"enabled": true, "head_sampling_rate": -0.1}',
    '"observability": {"enabled": true, "head_sampling_rate": "1"}',
    '"observability": {"enabled": "x"}',
    '"observability": {"head_sampling_rate": 1}',
    '"observability": {}',
    '"observability": {"logs": {"enabled": true}}',
    '"observability": {"logs": {"enabled": true, "head_sampling_rate": 3}}',
    '"observability": {"logs": {"enabled": true, "invocation_logs": 1}}',
    '"observability": {"traces": {"enabled": true, "head_sampling_rate": 3}}',
    '"observability": {"logs": {}}',
    '"observability": {"issues": {"enabled": true}}',
    '"observability": {"enabled": true, "issues": []}',
    '"route": "example.com/*"',
    '"route": "https://*.example.com/api/*"',
    '"route": ""',
    '"route": {"pattern": "example.com/*"}',
    '"route": {"pattern": "example.com/*", "zone_name": "example.com"}',
    '"route": {"pattern": "example.com/*", "zone_name": "example.com", "zone_id": "x"}',
    '"route": {"pattern": "example.com", "custom_domain": true}',
    '"route": {"pattern": "example.com", "custom_domain": true, "enabled": true}',
    '"route": {"pattern": "example.com", "zone_id": "x", "enabled": true}',
    '"route": {"pattern": "example.com/*", "zone_id": 1}',
    '"route": {"pattern": 1, "zone_id": "x"}',
    '"route": {"zone_name": "example.com"}',
    '"route": {"pattern": "a.example/*", "zone_name": "a.example", "colour": 1}',
    '"routes": [1]',
    '"routes": ["a.example/*", {"pattern": "b.example/*", "zone_id": "x"}]',
)

DIFFERENT = {
    "a number out of range": (
        consumer(max_batch_size=101),
        consumer(max_batch_size=0),
        consumer(max_batch_timeout=61),
        consumer(max_retries=101),
        consumer(max_concurrency=251),
        consumer(retry_delay=86_401),
        '"limits": {"cpu_ms": 0}',
        '"limits": {"cpu_ms": 300001}',
    ),
    "a queue that is its own dead letter queue, or has two consumers": (
        consumer(dead_letter_queue="a"),
        '"queues": {"consumers": [{"queue": "a"}, {"queue": "a"}]}',
    ),
    "a name that is too long or has wrong characters": (
        f'"name": "{"a" * 64}"',
        producer(queue="A_b"),
        producer(queue="a" * 64),
        producer(binding="my-queue"),
    ),
    "a producer without a `queue`": ('"queues": {"producers": [{"binding": "A"}]}',),
    "a cron that cannot be read": (
        '"triggers": {"crons": ["x"]}',
        '"triggers": {"crons": ["* * * * 0"]}',
        '"triggers": {"crons": ["* * * * * *"]}',
    ),
    "`compatibility_date` without leading zeros": ('"compatibility_date": "2026-1-1"',),
    "`compatibility_date` in the future": ('"compatibility_date": "2099-01-01"',),
    "compatibility flags that are unknown, experimental, repeated or contradict each other": (
        '"compatibility_flags": ["invented"]',
        '"compatibility_flags": ["experimental"]',
        '"compatibility_flags": ["nodejs_als", "nodejs_als"]',
        '"compatibility_flags": ["nodejs_als", "no_nodejs_als"]',
    ),
    "a compatibility flag that the date implies": ('"compatibility_flags": ["url_standard"]',),
    "six crons or more": (f'"triggers": {{"crons": {json.dumps(["* * * * *"] * 6)}}}',),
    "more than 250 crons": (f'"triggers": {{"crons": {json.dumps(["* * * * *"] * 251)}}}',),
    "too many variables, or one that is too large": (
        json.dumps({"vars": {f"V{number}": 1 for number in range(129)}})[1:-1],
        json.dumps({"vars": {"V": "x" * 5121}})[1:-1],
    ),
    "a variable that is not a JavaScript identifier": ('"vars": {"my-var": 1}',),
    "a route pattern that production does not take": (
        '"route": "example.com/*/x"',
        '"route": "example.com/?a=*"',
        '"route": "a.*.example.com/*"',
        '"route": "a b/*"',
    ),
    "a custom domain with `*` or a path": (
        '"route": {"pattern": "*.example.com", "custom_domain": true}',
        '"routes": [{"pattern": "example.com/*", "custom_domain": true}]',
    ),
    "a key that nobody knows in `limits`": ('"limits": {"colour": 1}',),
    "a mistake in an environment that is not chosen": ('"env": {"x": {"name": "Bad Name"}}',),
    "a secret that is required, and not set here": ('"secrets": {"required": ["A"]}',),
    "a `delivery_delay` that is not a number": (producer(delivery_delay="x"),),
    "the elements of keys that are not emulated": (
        '"tail_consumers": [{"colour": 1}]',
        '"migrations": [{"colour": []}]',
    ),
}


def ours(directory: Path, text: str) -> str:
    """What we say: `error`, `refuses` (a warning that wrangler does), `warning`, `note` or `nothing`."""
    try:
        config = load(directory, text)
    except ConfigError:
        return "error"
    if any(REFUSED in warning.message for warning in config.warnings):
        return "refused"
    if any(not warning.is_local for warning in config.warnings):
        return "warning"
    return "note" if config.notes else "nothing"


def configuration(fragment: str) -> str:
    keys = {"name": '"demo"', "main": '"src/entry.js"', "compatibility_date": '"2026-01-31"'}
    given = ", ".join(f'"{key}": {value}' for key, value in keys.items() if not fragment.startswith(f'"{key}"'))
    return f"{{{given}, {fragment}}}"


@needs_node
def test_we_say_what_wrangler_says_or_the_documentation_says_why_not(tmp_path: Path, newest_node: str) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/entry.js").touch()
    fragments = [*SAME, *(fragment for row in DIFFERENT.values() for fragment in row)]
    texts = list(map(configuration, fragments))
    theirs = dict(zip(fragments, verdicts_of_wrangler(newest_node, tmp_path, texts), strict=True))
    said = {fragment: ours(tmp_path, text) for fragment, text in zip(fragments, texts, strict=True)}
    same = {"error": "refuses", "refused": "refuses", "warning": "warns", "nothing": "takes"}
    assert {fragment: same.get(said[fragment]) for fragment in SAME} == {
        fragment: theirs[fragment] for fragment in SAME
    }
    found = {}
    for row, examples in DIFFERENT.items():
        found[row] = sorted({(theirs[example], said[example]) for example in examples})
    words = {"refused": "warning"}
    documented = {row[0]: [(row[1], row[2])] for row in table(PAGE, "what", "wrangler")}
    assert {row: [(a, words.get(b, b)) for a, b in pairs] for row, pairs in found.items()} == documented
