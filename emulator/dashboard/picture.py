"""The picture of a session, drawn from its configuration: what comes in, workers, queues, dead letter queues and
stores, in four columns, and what leads from one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from urllib.parse import quote

from emulator.bindings.queue.config import consumers_of, producers_of

if TYPE_CHECKING:
    from emulator.session.session import Session

WIDTH: Final = 176
HEIGHT: Final = 46
_COLUMN: Final = 240
_ROW: Final = 68
_MARGIN: Final = 4
_BESIDE: Final = 30
"""How far from a box the middle of a text is that is written at a line."""

NodeKind = Literal["entry", "worker", "queue", "dead", "store"]


class Node(NamedTuple):
    """A box: what it is, its name, where its page is, and its upper left corner."""

    kind: NodeKind
    name: str
    noun: str
    address: str
    x: int
    y: int

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the others."""
        return self.noun, self.name


class Edge(NamedTuple):
    """A line from one box to another, which are given by their keys, as a path of SVG. `x` and `y` are the middle of
    what is written beside it, and `kind` is what goes along it."""

    kind: Literal["call", "send", "deliver", "dead", "use"]
    start: tuple[str, str]
    end: tuple[str, str]
    path: str
    x: int
    y: int


class Picture(NamedTuple):
    """The boxes and the lines, and how large the picture is."""

    nodes: list[Node]
    edges: list[Edge]
    width: int
    height: int


class _Drawing:
    def __init__(self) -> None:
        self.nodes: dict[tuple[str, str], Node] = {}
        self._rows = [0, 0, 0, 0]
        self.links: list[
            tuple[Literal["call", "send", "deliver", "dead", "use"], tuple[str, str], tuple[str, str]]
        ] = []

    def add(self, column: int, kind: NodeKind, noun: str, name: str, address: str) -> tuple[str, str]:
        """Add a box at the end of a column, unless it is there."""
        key = noun, name
        if key not in self.nodes:
            x, y = _MARGIN + column * _COLUMN, _MARGIN + self._rows[column] * _ROW
            self.nodes[key] = Node(kind, name, noun, address, x, y)
            self._rows[column] += 1
        return key

    def finished(self) -> Picture:
        """The picture, with every column in the middle of the height."""
        tallest = max(self._rows)
        placed = {}
        for key, node in self.nodes.items():
            column = (node.x - _MARGIN) // _COLUMN
            placed[key] = node._replace(y=node.y + (tallest - self._rows[column]) * _ROW // 2)
        edges = [Edge(kind, start, end, *_path(kind, placed[start], placed[end])) for kind, start, end in self.links]
        columns = 1 + max(index for index in range(4) if self._rows[index])
        width = 2 * _MARGIN + (columns - 1) * _COLUMN + WIDTH
        return Picture(list(placed.values()), edges, width, 2 * _MARGIN + tallest * _ROW - (_ROW - HEIGHT))


def picture_of(session: Session, root: str) -> Picture:
    """The picture of a session. Pages are below the address `root`."""
    drawing = _Drawing()
    letters = {
        each.settings.dead_letter_queue
        for config in session.configs
        for each in consumers_of(config)
        if each.settings.dead_letter_queue
    }
    hosts = {host.config.name: host for host in session.hosts}
    for config in session.configs:
        worker = drawing.add(1, "worker", "worker", config.name, f"{root}/workers/{quote(config.name, safe='')}")
        host = hosts.get(config.name)
        if host is None or "fetch" in host.handlers or not host.handlers:
            entry = drawing.add(0, "entry", "requests", config.origin or "HTTP", f"{root}/requests")
            drawing.links.append(("call", entry, worker))
        for cron in config.crons:
            drawing.links.append(("call", drawing.add(0, "entry", "cron", cron, f"{root}/crons"), worker))
        for producer in producers_of(config):
            drawing.links.append(("send", worker, _queue(drawing, producer.queue, letters, root)))
        for consumer in consumers_of(config):
            queue = _queue(drawing, consumer.queue, letters, root)
            drawing.links.append(("deliver", queue, worker))
            if consumer.settings.dead_letter_queue:
                dead = _queue(drawing, consumer.settings.dead_letter_queue, letters, root)
                drawing.links.append(("dead", queue, dead))
    for name in session.queues.states:
        _queue(drawing, name, letters, root)
    _stores(drawing, session, root)
    return drawing.finished()


def _queue(drawing: _Drawing, name: str, letters: Iterable[str], root: str) -> tuple[str, str]:
    is_dead = name in letters
    address = f"{root}/queues/{quote(name, safe='')}"
    return drawing.add(3 if is_dead else 2, "dead" if is_dead else "queue", "queue", name, address)


def _stores(drawing: _Drawing, session: Session, root: str) -> None:
    names = {config.name for config in session.configs}
    for kind in session.open_kinds.kinds:
        panel = kind.panel()
        for config in session.configs:
            worker = ("worker", config.name)
            for settings in kind.bindings(config).values():
                if panel is not None and panel.store_of is not None:
                    name = panel.store_of(settings)
                    title = dict(panel.stores(session.open_kinds[kind.name])).get(name, name)
                    address = f"{root}/data/{kind.name}/{quote(name, safe='')}"
                    drawing.links.append(("use", worker, drawing.add(2, "store", panel.title, title, address)))
                elif kind.name == "service" and _service(settings) in names - {config.name}:
                    drawing.links.append(("call", worker, ("worker", _service(settings))))


def _service(settings: Any) -> str:
    return str(getattr(settings, "service", settings))


def _path(kind: str, start: Node, end: Node) -> tuple[str, int, int]:
    """A curve between two boxes, and the middle of what is written beside it. What is delivered goes back to a worker,
    a little lower than what is sent. The text is at the box that is no worker, as many lines meet at a worker."""
    if start.x == end.x:  # from a worker to another one
        x, y1, y2 = start.x, start.y + HEIGHT // 2, end.y + HEIGHT // 2
        return f"M{x} {y1} C{x - 40} {y1} {x - 40} {y2} {x - 7} {y2}", x - 36, (y1 + y2) // 2
    is_back = start.x > end.x
    x1, x2 = (start.x, end.x + WIDTH + 7) if is_back else (start.x + WIDTH, end.x - 7)
    shift = {"send": -8, "deliver": 8}.get(kind, 0)
    y1, y2 = start.y + HEIGHT // 2 + shift, end.y + HEIGHT // 2 + shift
    middle = (x1 + x2) // 2
    path = f"M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}"
    if kind == "deliver":  # below the line; below the box, where the line of what is sent comes from there
        return (path, x1, y1 + 28) if y2 > y1 else (path, x1 - _BESIDE, y1 + 13)
    return (path, end.x - _BESIDE, y2 - 5) if kind == "send" else (path, x1 + _BESIDE, y1 - 5)


def chart(numbers: list[int], width: int = 240, height: int = 40) -> Mapping[str, str]:
    """A line through `numbers` and the area below it, as paths of SVG."""
    most = max(1, *numbers)
    step = width / (len(numbers) - 1)
    points = [
        f"{index * step:.1f} {height - 1 - number / most * (height - 3):.1f}" for index, number in enumerate(numbers)
    ]
    line = "M" + " L".join(points)
    return {"line": line, "area": f"{line} L{width} {height} L0 {height} Z"}
