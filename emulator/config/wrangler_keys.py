"""The keys of a wrangler configuration that do not declare bindings and that the emulator does not read.

The keys that it reads are listed in `reading`, with their checks, or belong to a binding kind. Any other key is unknown
to wrangler too.
"""

from __future__ import annotations

from typing import Final

NOT_EMULATED: Final = frozenset(
    {
        "build",
        "cloudchamber",
        "containers",
        "exports",
        "find_additional_modules",
        "migrations",
        "pages_build_output_dir",
        "site",
    }
)
"""Keys whose absence a worker would notice; each gives a warning."""

DEPLOYMENT: Final = frozenset(
    {
        "$schema",
        "account_id",
        "cache",
        "compliance_region",
        "first_party_worker",
        "keep_vars",
        "legacy_env",
        "logpush",
        "node_compat",
        "observability",
        "placement",
        "preserve_file_names",
        "preview_urls",
        "previews",
        "python_modules",
        "send_metrics",
        "streaming_tail_consumers",
        "tail_consumers",
        "upload_source_maps",
        "usage_model",
        "workers_dev",
    }
)
"""Keys that only concern deployment; they are ignored without a warning."""

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

DEV_DEPLOYMENT: Final = frozenset({"container_engine", "enable_containers", "generate_types", "inspector_port"})
"""Keys of `dev` that are ignored without a warning."""
