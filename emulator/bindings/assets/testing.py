"""How tests look at static assets: `emulator.assets()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from emulator.base.errors import EmulatorError
from emulator.bindings.assets.config import KIND
from emulator.bindings.kit import Accessor, Kit

if TYPE_CHECKING:
    from emulator.bindings.assets.kind import OpenAssets

    class AssetsAccess:
        """The type of what `Emulator` has for assets."""

        def assets(self, worker: str | None = None) -> AssetsOf:
            """The assets of a worker: the first, or the one of that name. Raises EmulatorError if it has none."""
            raise NotImplementedError

    class AsyncAssetsAccess:
        """The type of what `AsyncEmulator` has for assets."""

        def assets(self, worker: str | None = None) -> AssetsOf:
            """The assets of a worker: the first, or the one of that name. Raises EmulatorError if it has none."""
            raise NotImplementedError


class AssetsOf:
    """The files that a worker serves. `paths` are theirs, such as `/index.html`."""

    def __init__(self, kit: Kit, worker: str | None = None) -> None:
        __tracebackhide__ = True
        sites = cast("OpenAssets", kit.open_kind(KIND)).sites
        found = next(iter(sites.values()), None) if worker is None else sites.get(worker)
        if found is None:
            raise EmulatorError("no worker has assets" if worker is None else f"worker {worker} has no assets")
        self._files = found.files

    @property
    def paths(self) -> list[str]:
        """All paths, in order."""
        return list(self._files.paths())

    def read(self, path: str) -> bytes:
        """The content of the file at a path. Raises EmulatorError if there is none."""
        __tracebackhide__ = True
        asset = self._files.read(path)
        if asset is None:
            raise EmulatorError(f"there is no asset {path}")
        return asset.content


ACCESSOR: Final = Accessor("assets", AssetsOf, AssetsOf)
