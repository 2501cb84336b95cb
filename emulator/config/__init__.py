"""Configuration: `wrangler.jsonc`, `.json` or `.toml`, secrets and the command line, as typed settings.

Errors name file, line, column and key path, and all errors of a file come at once.
"""

from emulator.config.changes import describe_changes
from emulator.config.loading import find_config, load_config
from emulator.config.model import JSON, Consumer, Place, Producer, WorkerConfig
from emulator.config.together import check_together

__all__ = [
    "JSON",
    "Consumer",
    "Place",
    "Producer",
    "WorkerConfig",
    "check_together",
    "describe_changes",
    "find_config",
    "load_config",
]
