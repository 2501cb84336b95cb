"""The keys of a wrangler configuration that declare no binding and that the emulator does not read, and what becomes of
each.

The keys that it does read are in `reading`, beside their checks, or belong to a binding kind. Whatever is in none of
these is unknown to wrangler too.
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
"""Keys whose absence a worker would notice: one warning each."""

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
        "route",
        "routes",
        "send_metrics",
        "streaming_tail_consumers",
        "tail_consumers",
        "upload_source_maps",
        "usage_model",
        "workers_dev",
    }
)
"""Keys that only concern deployment: they need no word."""

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
"""Keys that an environment has to repeat, as it has to repeat those of most binding kinds."""

DEV_DEPLOYMENT: Final = frozenset(
    {"container_engine", "enable_containers", "generate_types", "host", "inspector_port", "upstream_protocol"}
)
"""Keys of `dev` that need no word."""
