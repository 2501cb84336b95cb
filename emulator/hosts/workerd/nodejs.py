"""The modules of Node.js: which of them a worker may import under which name.

workerd has them as `node:...` with the flag nodejs_compat, and production lets them be imported without the prefix from
a certain compatibility date on.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

NodeCompat = Literal["none", "als", "v1", "v2"]
"""What a worker has of Node.js: nothing, `node:async_hooks`, `node:` modules, or these under their bare names too."""

_V2_DATE: Final = "2024-09-23"

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
"""What Node.js lets be imported without `node:`."""

REQUIRE: Final = (
    "const require = ((process) => (name) => { "
    "const module = process.getBuiltinModule(name); "
    'if (module === undefined) throw new Error(`Dynamic require of "${name}" is not supported`); '
    "return module; })(globalThis.process);"
)
"""What a bundle begins with, so that CommonJS code in it finds `node:...` modules. They are looked up when they are
required, as code may require what it can do without. esbuild gives nothing else this name."""


def node_compat(date: str, flags: Collection[str]) -> NodeCompat:
    """What a worker with these flags has as of a compatibility date; without a date, the newest."""
    if "nodejs_compat_v2" in flags:
        return "v2"
    if "nodejs_compat" in flags:
        return "v2" if (not date or date >= _V2_DATE) and "no_nodejs_compat_v2" not in flags else "v1"
    return "als" if "nodejs_als" in flags else "none"


def is_node_module(name: str) -> bool:
    """Whether an import of `name` is meant for Node.js."""
    return name.startswith("node:") or name in MODULES


def import_hint(name: str, compat: NodeCompat) -> str:
    """How to mend that the module `name` of Node.js is not there; empty where nothing helps."""
    if compat in ("none", "als"):
        return 'It is a module of Node.js: add "nodejs_compat" to compatibility_flags.'
    if compat == "v1" and not name.startswith("node:"):
        return f'It is a module of Node.js: import "node:{name}", or set compatibility_date to {_V2_DATE} or later.'
    return ""


def misnamed_packages(imported: Collection[str]) -> frozenset[str]:
    """Packages that have the name of a module of Node.js and files of their own, such as `process/browser`, where they
    were taken for that module: `node:process/browser`."""
    names = (name.removeprefix("node:") for name in imported if name.startswith("node:"))
    below = (name.partition("/")[0] for name in names if "/" in name and name not in MODULES)
    return MODULES.intersection(below)
