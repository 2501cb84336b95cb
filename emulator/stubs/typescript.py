"""Types for a JavaScript or TypeScript worker: the interface `Env` with its bindings, as `wrangler types` writes it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from emulator.bindings.open_kinds import in_force
from emulator.bindings.registry import KINDS
from emulator.config.model import WorkerConfig

FILE: Final = "worker-configuration.d.ts"
"""The file beside the configuration, as wrangler calls it."""


def declarations(config: WorkerConfig) -> str:
    """The text of the file. The types of the runtime (`Queue`, `KVNamespace`) are those of
    `@cloudflare/workers-types`."""
    members = [
        f"\t\t{_member(name)}: {kind.typescript_type(settings)};"
        for kind, bindings in in_force(KINDS, config)
        for name, settings in bindings.items()
    ]
    main = Path(os.path.relpath(config.main, config.path.parent)).with_suffix("").as_posix()
    return "\n".join(
        (
            "/* eslint-disable */",
            "// Made by `emulator types`; changes are lost.",
            "declare namespace Cloudflare {",
            "\tinterface GlobalProps {",
            f'\t\tmainModule: typeof import("./{main}");',
            "\t}",
            "\tinterface Env {",
            *members,
            "\t}",
            "}",
            "interface Env extends Cloudflare.Env {}",
            "",
        )
    )


def _member(name: str) -> str:
    return name if name.isidentifier() else f'"{name}"'
