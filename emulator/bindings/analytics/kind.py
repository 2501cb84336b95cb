"""Analytics Engine, as a binding kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from emulator.bindings.kind import BindingKind, OpenKind, Resources
from emulator.config import checks
from emulator.config.checks import Check
from emulator.config.model import WorkerConfig
from emulator.config.section import Key, Section

if TYPE_CHECKING:
    from emulator.bindings.analytics.store import AnalyticsStore
    from emulator.bindings.kit import Accessor
    from emulator.bindings.panel import Panel
    from emulator.bindings.rest import Rest
    from emulator.bindings.use import Use
    from emulator.bindings.wiring import Wiring

KIND: Final = "analytics"
DATASET_KEYS: Final[Mapping[str, Check]] = {
    "binding": checks.BINDING,
    "dataset": checks.TEXT,
    "remote": checks.BOOLEAN,
}


class Dataset(NamedTuple):
    """A dataset by its name, which is that of the binding where the configuration gives none."""

    name: str


class AnalyticsKind(BindingKind[Dataset]):
    """`analytics_engine_datasets`."""

    name = KIND
    keys = {"analytics_engine_datasets": Key(checks.ARRAY)}
    declared_as = ("a dataset of Analytics Engine", 'under "analytics_engine_datasets"')
    documentation = (
        "[Analytics Engine](analytics.md)",
        "`analytics_engine_datasets[]`",
        "`writeDataPoint`",
        "`writeDataPoint`",
    )

    def read(self, section: Section) -> None:
        """Read the valid datasets."""
        for name, sound, path in section.stores("analytics_engine_datasets", DATASET_KEYS):
            section.bind(self.name, name, Dataset(sound.get("dataset") or name), path)

    def open(self, resources: Resources) -> OpenAnalytics:
        """Open the session's datasets."""
        return OpenAnalytics(resources)

    def describe(self, worker: WorkerConfig, settings: Dataset) -> str:
        """The dataset."""
        return f"Analytics Engine {settings.name}"

    def binding_record(self, settings: Dataset) -> Mapping[str, object]:
        """The name of the dataset."""
        return {"dataset": settings.name}

    def python_type(self, settings: Dataset) -> str:
        """The class in `python_stub`."""
        return "AnalyticsEngineDataset"

    def typescript_type(self, settings: Dataset) -> str:
        """workerd's own."""
        return "AnalyticsEngineDataset"

    def rest(self) -> Rest:
        """The SQL API."""
        from emulator.bindings.analytics.api import REST

        return REST

    def accessor(self) -> Accessor:
        """`emulator.analytics("EVENTS")`."""
        from emulator.bindings.analytics.testing import ACCESSOR

        return ACCESSOR

    def panel(self) -> Panel:
        """The points, and a console for SQL."""
        from emulator.bindings.analytics.panel import PANEL

        return PANEL


class OpenAnalytics(OpenKind[Dataset]):
    """The datasets of a session. `declared` are those that bindings lead to, by the names of these."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._names: set[str] = set()
        self.declared: dict[str, Dataset] = {}

    @cached_property
    def store(self) -> AnalyticsStore:
        """All datasets. Opened when somebody writes or asks."""
        from emulator.bindings.analytics.store import SCHEMA, AnalyticsStore

        store = AnalyticsStore(self._resources.state.database(KIND, SCHEMA), self._resources.clock)
        store.declared = self._names
        return store

    def for_python(self, worker: WorkerConfig, bindings: Mapping[str, Dataset]) -> Mapping[str, object]:
        from emulator.bindings.analytics.python import AnalyticsBinding

        return {name: AnalyticsBinding(writer) for name, writer in self._writers(worker, bindings).items()}

    def for_workerd(self, worker: WorkerConfig, bindings: Mapping[str, Dataset]) -> Iterable[Wiring]:
        if not bindings:
            return ()
        from emulator.bindings.analytics.workerd import wire

        return wire(self._writers(worker, bindings))

    def _writers(self, worker: WorkerConfig, bindings: Mapping[str, Dataset]) -> Mapping[str, DatasetWriter]:
        from emulator.bindings.use import Faults, Use

        self.declared.update(bindings)
        self._names.update(settings.name for settings in bindings.values())
        return {
            name: DatasetWriter(
                self,
                self._resources,
                settings,
                Use(self._resources, Faults(), KIND, settings.name, worker=worker.name, name=name),
            )
            for name, settings in bindings.items()
        }


class DatasetWriter:
    """Writes the points of a binding."""

    def __init__(self, kind: OpenAnalytics, resources: Resources, dataset: Dataset, use: Use) -> None:
        self._kind = kind
        self._resources = resources
        self._dataset = dataset
        self._use = use

    def write(self, indexes: Sequence[bytes], blobs: Sequence[bytes], doubles: Sequence[float]) -> None:
        """Record a point, or say why it is not."""
        from emulator.bindings.analytics.store import MAX_POINTS, refusal

        with self._use("write", "", sum(map(len, blobs))):
            tally = self._resources.tallies.find(self._use.worker)
            number = 1 if tally is None else tally.counts.get(KIND, 0) + 1
            reason = refusal(indexes, blobs, doubles)
            if number > MAX_POINTS:
                reason = f"an invocation writes at most {MAX_POINTS}"
            if reason:
                self._resources.warn(self._use.worker, f"env.{self._use.name}: a data point was not recorded: {reason}")
                return
            texts = [each.decode("utf-8", "replace") for each in blobs]
            index = indexes[0].decode("utf-8", "replace") if indexes else ""
            self._kind.store.write(self._dataset.name, index, texts, doubles)


ANALYTICS: Final = AnalyticsKind()
