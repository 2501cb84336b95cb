"""What we say that wrangler refuses, held against wrangler itself."""

from __future__ import annotations

from pathlib import Path

from emulator.config.document import REFUSED
from tests.config.project import load
from tests.config.wrangler import vars_in_wrangler
from tests.support.node_tools import needs_node

FLAG = '"compatibility_flags": ["python_workers"]'
FORMS = {
    "": True,
    FLAG: False,
    '"compatibility_flags": ["nodejs_compat"]': True,
    f'{FLAG}, "queues": {{"consumers": [{{"queue": "a"}}]}}': False,
    f'{FLAG}, "queues": {{"consumers": [{{"queue": "a", "type": "worker", "max_concurrency": 1}}]}}': False,
    f'{FLAG}, "queues": {{"consumers": [{{"queue": "a", "type": "http_pull"}}]}}': True,
    f'{FLAG}, "queues": {{"consumers": [{{"queue": "a", "max_concurrency": null}}]}}': True,
    f'{FLAG}, "secrets": {{"required": ["A", "B"]}}, "vars": {{"C": 1}}': False,
    f'{FLAG}, "secrets": {{"required": ["A"]}}, "vars": {{"A": 1}}': True,
    **{f'{FLAG}, "{key}": "x"': False for key in ("$schema", "account_id", "route")},
    **{f'{FLAG}, "{key}": "x"': True for key in ("keep_vars", "logpush", "node_compat", "observability", "placement")},
    **{
        f'{FLAG}, "{key}": "x"': True
        for key in ("preview_urls", "python_modules", "routes", "send_metrics", "tail_consumers", "workers_dev")
    },
    **{f'{FLAG}, "{key}": "x"': True for key in ("streaming_tail_consumers", "upload_source_maps", "legacy_env")},
    **{f'{FLAG}, "{key}": 1': True for key in ("$schema", "account_id", "route")},
    f'{FLAG}, "route": "a.example/*", "routes": ["a.example/*"]': True,
    f'{FLAG}, "observability": {{"enabled": true}}, "placement": {{"mode": "smart"}}, "workers_dev": true': False,
    f'{FLAG}, "python_modules": {{"exclude": ["**/*.pyc"]}}, "routes": ["a.example/*"]': False,
}


@needs_node
def test_wrangler_refuses_what_we_say_it_does_and_nothing_else(tmp_path: Path, newest_node: str) -> None:
    base = '"name": "demo", "main": "src/entry.py", "compatibility_date": "2026-01-31"'
    texts = [f"{{{base}{form and ', '}{form}}}" for form in FORMS]
    answers = vars_in_wrangler(newest_node, tmp_path, texts)
    assert {form: answer is None for form, answer in zip(FORMS, answers, strict=True)} == FORMS
    said = {
        form: any(warning.message.startswith(REFUSED) for warning in load(tmp_path, text).warnings)
        for form, text in zip(FORMS, texts, strict=True)
    }
    assert said == FORMS
