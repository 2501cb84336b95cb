from emulator_runtime.values import AttributeDict

class VersionMetadata(AttributeDict):
    """Which version of the worker runs."""

    id: str
    tag: str
    timestamp: str
