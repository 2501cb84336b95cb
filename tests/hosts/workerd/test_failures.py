"""How errors of JavaScript are shown: with the user's files, and without the emulator's frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.hosts.workerd.configuration import MAIN_NAME
from emulator.hosts.workerd.failures import not_started, thrown
from emulator.hosts.workerd.source import SCRIPT_NAME
from emulator.hosts.workerd.unbundled import as_it_is


@pytest.mark.parametrize("prefix", ["", "file:///bundle/"], ids=["older", "newest"])
def test_a_stack_has_the_users_files_whatever_workerd_calls_modules(tmp_path: Path, prefix: str) -> None:
    main = tmp_path / "index.js"
    source = as_it_is(main, b"export default {\n  fetch() { throw new TypeError('boom'); }\n};\n")
    frames = [
        "TypeError: boom",
        f"    at Object.fetch ({prefix}index.js:2:19)",
        f"    at {prefix}index.js:1:1",
        f"    at dispatch ({prefix}{SCRIPT_NAME}:3:3)",
        f"    at Object.fetch ({prefix}{MAIN_NAME}:5:5)",
    ]
    described = {"type": "TypeError", "message": "boom", "stack": "\n".join(frames)}
    failure = thrown(described, source, tmp_path)
    assert failure.location == f"{main}:2"
    assert failure.text == f"TypeError: boom\n    at Object.fetch ({main}:2:19)\n    at {main}:1:1"


@pytest.mark.parametrize(
    "said",
    [
        'service worker: Uncaught Error: No such module "other.js".',
        "service worker: Uncaught Error: Module not found: file:///bundle/other.js",
    ],
    ids=["older", "newest"],
)
def test_a_missing_module_is_shown_where_it_is_imported(tmp_path: Path, said: str) -> None:
    main = tmp_path / "index.js"
    main.write_text('\nimport "./other.js";\nexport default {};\n')
    failure = not_started(said, as_it_is(main, main.read_bytes()), main, "wrangler.jsonc")
    assert failure.message == 'No such module "other.js"'
    assert failure.location == f"{main}:2"
    assert "only files that rules in wrangler.jsonc name can be imported" in failure.text
