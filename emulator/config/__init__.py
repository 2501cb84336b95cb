"""Reads `wrangler.jsonc`, `.json` or `.toml`, secrets and command-line variables into typed settings.

An error names the file, line, column and key path. All errors of a file are reported together.
"""

from emulator.config.conflicts import check_conflicts
from emulator.config.loading import config_for, find_config, load_config
from emulator.config.model import JSON, Binding, Declaration, Place, WorkerConfig

__all__ = [
    "JSON",
    "Binding",
    "Declaration",
    "Place",
    "WorkerConfig",
    "check_conflicts",
    "config_for",
    "find_config",
    "load_config",
]
