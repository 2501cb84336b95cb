"""Version metadata, as a binding kind. Each time the code is loaded is a version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from os import urandom
from typing import TYPE_CHECKING, Final

from emulator.bindings.kind import BindingKind, OpenKind, Resources
from emulator.config import checks
from emulator.config.model import WorkerConfig
from emulator.config.section import Key, Section

if TYPE_CHECKING:
    from emulator.bindings.wiring import Wiring


class VersionMetadataKind(BindingKind[None]):
    """`version_metadata`."""

    name = "version_metadata"
    keys = {"version_metadata": Key(checks.OBJECT)}
    documentation = (
        "[version metadata](small-bindings.md#version-metadata)",
        "`version_metadata.binding`",
        "`id`, `tag`, `timestamp`",
        "`id`, `tag`, `timestamp`",
    )

    def read(self, section: Section) -> None:
        """Read the name of the binding."""
        if "version_metadata" not in section.keys:
            return
        path = (*section.path, "version_metadata")
        known = {"binding": checks.BINDING}
        sound = section.read_object(path, section.keys["version_metadata"], known, required=("binding",))
        if "binding" in sound and section.claim(sound["binding"], (*path, "binding")):
            section.bind(self.name, sound["binding"], None, (*path, "binding"))

    def open(self, resources: Resources) -> OpenKind[None]:
        """Tell versions apart by when they were loaded."""
        return _OpenVersions(resources)

    def describe(self, worker: WorkerConfig, settings: None) -> str:
        """What it is."""
        return "version metadata"

    def python_type(self, settings: None) -> str:
        """The class in `python_stub`."""
        return "VersionMetadata"

    def typescript_type(self, settings: None) -> str:
        """workerd's own."""
        return "WorkerVersionMetadata"


class _OpenVersions(OpenKind[None]):
    def __init__(self, resources: Resources) -> None:
        self._clock = resources.clock

    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, None]) -> Mapping[str, object]:
        from emulator_runtime.hosting import AttributeDict

        return {name: AttributeDict(self._version()) for name in bindings}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, None]) -> Iterator[Wiring]:
        import json

        from emulator.bindings.wiring import Wiring

        for name in bindings:
            yield Wiring(name, {"json": json.dumps(self._version())})

    def _version(self) -> dict[str, str]:
        """A version that is loaded now."""
        now = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="milliseconds")
        digits = urandom(16).hex()
        identifier = "-".join([digits[:8], digits[8:12], f"4{digits[13:16]}", f"a{digits[17:20]}", digits[20:]])
        return {"id": identifier, "tag": "", "timestamp": now.replace("+00:00", "Z")}


VERSION_METADATA: Final = VersionMetadataKind()
