"""The keys of a wrangler configuration that do not declare bindings and that the emulator does not read.

The keys that it reads are listed in `reading`, with their checks, or belong to a binding kind. Any other key is unknown
to wrangler too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from emulator.config import checks
from emulator.config.checks import Check

NOT_EMULATED: Final = frozenset(
    {
        "cloudchamber",
        "containers",
        "exports",
        "migrations",
        "pages_build_output_dir",
        "site",
    }
)
"""Keys whose absence a worker would notice; each gives a warning."""

DEPLOYMENT: Final[Mapping[str, Check]] = {
    "$schema": checks.STRING,
    "account_id": checks.STRING,
    "cache": checks.ANYTHING,
    "compliance_region": checks.ANYTHING,
    "first_party_worker": checks.BOOLEAN,
    "keep_vars": checks.BOOLEAN,
    "legacy_env": Check("left out: each environment is a worker of its own", lambda value: value is True),
    "logpush": checks.BOOLEAN,
    "node_compat": Check("left out: the flag nodejs_compat took its place", lambda value: not value),
    "observability": checks.OBJECT,
    "placement": checks.OBJECT,
    "preview_urls": checks.BOOLEAN,
    "previews": checks.ANYTHING,
    "python_modules": checks.OBJECT,
    "send_metrics": checks.BOOLEAN,
    "streaming_tail_consumers": checks.ARRAY,
    "tail_consumers": checks.ARRAY,
    "upload_source_maps": checks.BOOLEAN,
    "usage_model": checks.ANYTHING,
    "workers_dev": checks.BOOLEAN,
}
"""Keys that only concern deployment. They are ignored, with a warning where wrangler refuses their values."""

ROUTES: Final[Mapping[str, Check]] = {
    "route": Check("a string or an object", lambda value: isinstance(value, str | dict)),
    "routes": checks.ARRAY,
}
"""Where the worker is deployed to, of which the emulator takes the host. Wrong values are warnings, too."""

TOP_LEVEL_ONLY: Final = frozenset(
    {
        "$schema",
        "alias",
        "dev",
        "env",
        "keep_vars",
        "legacy_env",
        "pages_build_output_dir",
        "send_metrics",
        "site",
    }
)
"""Keys that have no effect inside an environment."""

NOT_INHERITED: Final = frozenset({"cloudchamber", "containers", "define"})
"""Keys that an environment must repeat, like the keys of most binding kinds."""

DEV_DEPLOYMENT: Final = frozenset({"container_engine", "enable_containers", "generate_types"})
"""Keys of `dev` that are ignored without a warning."""
