"""Configuration: `wrangler.jsonc`, `.json` or `.toml`, secrets and the command line, as typed settings.

Errors name file, line, column and key path, and all errors of a file come at once.
"""

from emulator.config.conflicts import check_conflicts
from emulator.config.loading import find_config, load_config
from emulator.config.model import JSON, Binding, Declaration, Place, WorkerConfig

__all__ = [
    "JSON",
    "Binding",
    "Declaration",
    "Place",
    "WorkerConfig",
    "check_conflicts",
    "find_config",
    "load_config",
]
