"""The Node.js modules that a worker may import, and their names.

With the flag nodejs_compat, workerd has them as `node:...`. From a certain compatibility date on, production allows
imports without the prefix, and from a later one on the flag is not needed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

NodeCompat = Literal["none", "als", "v1", "v2"]
"""The Node.js modules of a worker: none, `node:async_hooks`, `node:` modules, or these under their bare names too."""

_V2_DATE: Final = "2024-09-23"
_DEFAULT_DATE: Final = "2026-08-04"
"""From when on the flag is set unless it is switched off."""

POLYFILLS: Final = "emulator-polyfills"
"""The package that has the polyfills of a bundle. What it exports depends on whether it is imported or required."""

POLYFILL_HINT: Final = (
    "wrangler adds a polyfill for it, from packages that are not installed here: "
    "run `emulator install-js`, or `npm install --save-dev wrangler` beside the worker."
)

# fmt: off
MODULES: Final = frozenset({
    "assert", "assert/strict", "async_hooks", "buffer", "child_process", "cluster", "console", "constants", "crypto",
    "dgram", "diagnostics_channel", "dns", "dns/promises", "domain", "events", "fs", "fs/promises", "http", "http2",
    "https", "inspector", "inspector/promises", "module", "net", "os", "path", "path/posix", "path/win32",
    "perf_hooks", "process", "punycode", "querystring", "readline", "readline/promises", "repl", "stream",
    "stream/consumers", "stream/promises", "stream/web", "string_decoder", "sys", "timers", "timers/promises", "tls",
    "trace_events", "tty", "url", "util", "util/types", "v8", "vm", "wasi", "worker_threads", "zlib",
})
# fmt: on
"""The modules that Node.js allows to be imported without `node:`."""

REQUIRE: Final = (
    "const require = ((process) => (name) => { "
    "const module = process.getBuiltinModule(name); "
    'if (module === undefined) throw new Error(`No such module "${name}"`); '
    "return module; })(globalThis.process);"
)
"""The beginning of a bundle, so that CommonJS code in it finds `node:...` modules. They are looked up when they are
required, because code may require modules that it does not need. esbuild uses this name for nothing else."""


def node_compat(date: str, flags: Collection[str]) -> NodeCompat:
    """The modules of a worker with these flags and compatibility date; without a date, those of the newest."""
    is_default = not date or date >= _DEFAULT_DATE
    is_on = "nodejs_compat" in flags or (is_default and "no_nodejs_compat" not in flags)
    is_recent = is_default or (is_on and date >= _V2_DATE)
    if "nodejs_compat_v2" in flags or (is_recent and "no_nodejs_compat_v2" not in flags):
        return "v2"
    if is_on:
        return "v1"
    return "als" if "nodejs_als" in flags else "none"


def is_node_module(name: str) -> bool:
    """Whether an import of `name` means a Node.js module."""
    return name.startswith("node:") or name in MODULES


def import_hint(name: str, compat: NodeCompat) -> str:
    """How to fix the import of the missing Node.js module `name`; empty if nothing helps."""
    if compat in ("none", "als"):
        return 'It is a Node.js module: add "nodejs_compat" to compatibility_flags.'
    if compat == "v1" and not name.startswith("node:"):
        return f'It is a Node.js module: import "node:{name}", or set compatibility_date to {_V2_DATE} or later.'
    return ""


def misnamed_packages(imported: Collection[str]) -> frozenset[str]:
    """Packages with the name of a Node.js module whose files, such as `process/browser`, were taken for files of that
    module: `node:process/browser`."""
    names = (name.removeprefix("node:") for name in imported if name.startswith("node:"))
    below = (name.partition("/")[0] for name in names if "/" in name and name not in MODULES)
    return MODULES.intersection(below)
