"""The keys of a wrangler configuration that the emulator does not read, and what becomes of each.

The keys that it does read are in `reading`, beside their checks. Whatever is in neither is unknown to wrangler too.
"""

from __future__ import annotations

from typing import Final

BINDINGS: Final[dict[str, tuple[str, str]]] = {
    "ai": ("", "binding"),
    "ai_search": ("", "binding"),
    "ai_search_namespaces": ("", "binding"),
    "analytics_engine_datasets": ("", "binding"),
    "artifacts": ("", "binding"),
    "assets": ("", "binding"),
    "browser": ("", "binding"),
    "d1_databases": ("", "binding"),
    "data_blobs": ("", ""),
    "dispatch_namespaces": ("", "binding"),
    "durable_objects": ("bindings", "name"),
    "flagship": ("", "binding"),
    "hyperdrive": ("", "binding"),
    "images": ("", "binding"),
    "kv_namespaces": ("", "binding"),
    "logfwdr": ("bindings", "name"),
    "media": ("", "binding"),
    "mtls_certificates": ("", "binding"),
    "pipelines": ("", "binding"),
    "r2_buckets": ("", "binding"),
    "ratelimits": ("", "name"),
    "secrets_store_secrets": ("", "binding"),
    "send_email": ("", "name"),
    "stream": ("", "binding"),
    "text_blobs": ("", ""),
    "unsafe": ("bindings", "name"),
    "unsafe_hello_world": ("", "binding"),
    "vectorize": ("", "binding"),
    "version_metadata": ("", "binding"),
    "vpc_networks": ("", "binding"),
    "vpc_services": ("", "binding"),
    "wasm_modules": ("", ""),
    "worker_loaders": ("", "binding"),
    "workflows": ("", "binding"),
}
"""Bindings that are not emulated yet. For each the key that holds them, where they are not the value itself, and the
field of one that names it; without such a field the bindings are the keys of an object."""

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
"""Other keys whose absence a worker would notice: one warning each."""

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
        "secrets",
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
        "data_blobs",
        "dev",
        "env",
        "keep_vars",
        "legacy_env",
        "pages_build_output_dir",
        "send_metrics",
        "site",
        "text_blobs",
        "wasm_modules",
    }
)
"""Keys that have no effect inside an environment."""

INHERITED_UNREAD: Final = frozenset(
    {"assets", "build", "exports", "find_additional_modules", "logfwdr", "migrations"} | (TOP_LEVEL_ONLY - {"env"})
)
"""Of the keys above that deserve a warning, those that an environment takes from the top level."""

NOT_INHERITED: Final = frozenset(
    {"vars", "queues", "services", "cloudchamber", "containers", "define"} | (BINDINGS.keys() - INHERITED_UNREAD)
)
"""Keys that an environment has to repeat."""

DEV_DEPLOYMENT: Final = frozenset(
    {"container_engine", "enable_containers", "generate_types", "host", "inspector_port", "upstream_protocol"}
)
"""Keys of `dev` that need no word."""
