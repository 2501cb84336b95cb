"""Static assets, as a binding kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emulator.bindings.assets import config
from emulator.bindings.assets.config import Assets, assets_of, directory_of
from emulator.bindings.kind import BindingKind, Front, OpenKind, Overview, Resources
from emulator.config.model import WorkerConfig
from emulator.config.section import Section

if TYPE_CHECKING:
    from emulator.bindings.assets.site import Site
    from emulator.bindings.kit import Accessor
    from emulator.bindings.wiring import Wiring


class AssetsKind(BindingKind[Assets]):
    """`assets`."""

    name = config.KIND
    keys = config.KEYS
    documentation = ("[assets](assets.md)", "`assets.binding`", "`fetch`", "`fetch`")

    def read(self, section: Section) -> None:
        """Read the valid assets."""
        config.read_assets(section)

    def open(self, resources: Resources) -> OpenAssets:
        """Serve the files of the session's workers."""
        return OpenAssets(resources)

    def describe(self, worker: WorkerConfig, settings: Assets) -> str:
        """The directory."""
        return f"assets {settings.directory}"

    def overview(self, workers: Sequence[WorkerConfig]) -> Iterator[Overview]:
        """The directory of each worker that has assets."""
        for worker in workers:
            found = assets_of(worker)
            if found is not None:
                yield Overview("assets", str(found.directory), f"of {worker.name}")

    def served(self, worker: WorkerConfig) -> Iterator[Path]:
        """The directory of the worker's assets."""
        found = assets_of(worker)
        if found is not None:
            yield directory_of(worker, found)

    def binding_record(self, settings: Assets) -> Mapping[str, object]:
        """The directory, as the configuration has it."""
        return {"directory": str(settings.directory)}

    def python_type(self, settings: Assets) -> str:
        """The class in `python_stub`."""
        return "AssetsFetcher"

    def typescript_type(self, settings: Assets) -> str:
        """workerd's own."""
        return "Fetcher"

    def accessor(self) -> Accessor:
        """`emulator.assets()`."""
        from emulator.bindings.assets.testing import ACCESSOR

        return ACCESSOR


class OpenAssets(OpenKind[Assets]):
    """The sites of a session."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self.sites: dict[str, Site] = {}

    def site(self, worker: WorkerConfig) -> Site | None:
        """What a worker serves; None if it has no assets."""
        settings = assets_of(worker)
        if settings is None:
            return None
        known = self.sites.get(worker.name)
        if known is None or known.settings != settings or known.has_code != worker.has_code:
            from emulator.bindings.assets.site import NAVIGATION_DATE, Site

            flag = "assets_navigation_prefers_asset_serving"
            prefers = worker.has_flag(flag, "assets_navigation_has_no_effect", NAVIGATION_DATE)
            warn = partial(self._resources.warn, worker.name)
            directory = directory_of(worker, settings)
            if not directory.is_dir():
                warn(f"assets.directory: {settings.directory} does not exist, so no files are served")
            known = self.sites[worker.name] = Site(
                settings, directory, warn, prefers_navigation=prefers, has_code=worker.has_code
            )
        return known

    def front(self, worker: WorkerConfig) -> Front | None:
        """What answers before the worker's code; see OpenKind."""
        site = self.site(worker)
        if site is None:
            return None
        from emulator.bindings.assets.python import front

        return partial(front, site)

    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, Assets]) -> Mapping[str, object]:
        from emulator.bindings.assets.python import AssetsBinding

        site = self.site(worker)
        assert site is not None
        return {name: AssetsBinding(site) for name in bindings}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, Assets]) -> Iterator[Wiring]:
        site = self.site(worker)
        if not bindings or site is None:
            return
        from emulator.bindings.assets.workerd import answer
        from emulator.bindings.wiring import Answered, Reference, Wiring

        for name in bindings:
            yield Wiring(name, {"service": Reference()}, {"": Answered(partial(answer, site))})


ASSETS: Final = AssetsKind()
