"""Pictures of computation graphs: the nodes in layers, each below (or right of) those that it takes from.

The layout is that of Sugiyama: nodes into layers by their longest path, then an order in each layer that lets
few edges cross, then places that let edges run straight. No program outside Python is needed.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxnaive import pictures
from jaxnaive.graph import Graph, Input, Node, Operation, label, shown_nodes, type_of

SWEEPS = 24  # through all layers, to order them and again to place them
CHARACTER, LINE, BOX = 0.085, 0.17, 0.3  # inches: a character's width, a line's height, a node's height
COMMUTATIVE = {"add", "add_any", "mul", "max", "min"}
VALUE, GRADIENT = "0.3", "tab:red"  # colours of the two lines beside an edge


Place = tuple[float, float]  # x and y, or width and height, in inches


class EdgeText(NamedTuple):
    """What is written beside an edge."""

    value: str = ""  # that flows along it
    gradient: str = ""  # that flows back


class Point(NamedTuple):
    """Where a line passes through a layer: a node, or a bend of an edge that goes on to a later layer."""

    layer: int
    item: int | tuple[int, int]  # place of the node in the graph; or the edge, as node and operand


class Line(NamedTuple):
    """A piece of an edge, from one layer to the next."""

    upper: Point
    lower: Point
    port: float  # how far right it arrives at the lower point, as far as the order of operands matters


def draw(
    paths: Sequence[Path],
    graph: Graph,
    texts: Callable[[int, int], EdgeText] | None = None,
    title: str = "",
    to_the_right: bool = False,
) -> None:
    """Draw a graph: arguments rounded, operations square, the results with a thick border.

    Args:
      paths: the files to write, PNG or SVG.
      graph: to draw; numbers among the operands are written into the operations.
      texts: what to write where an edge arrives, by node and operand. By default the shape of the value.
      title: what the picture shows.
      to_the_right: whether values flow to the right, and not downwards.
    """
    texts = texts or (lambda node, slot: EdgeText(_shape_text(graph, node, slot)))
    names = {place: label(graph, graph.nodes[place]) for place in shown_nodes(graph)}
    arrivals = {
        place: {
            slot: texts(place, slot)
            for slot, source in enumerate(graph.nodes[place].operands)
            if source.node in names
        }
        for place in names
    }
    written = [text for texts in arrivals.values() for text in texts.values()]
    text_width = CHARACTER * 0.85 * max((len(line) for text in written for line in text), default=0) + 0.1
    text_height = LINE * max((sum(map(bool, text)) for text in written), default=0)
    port_gap = (text_height if to_the_right else text_width) + 0.1
    across = {place: port_gap * len(arrivals[place]) for place in names}  # room for the texts that arrive
    boxes = {}
    for place, name in names.items():
        width = CHARACTER * max(len(name), 3) + 0.25
        boxes[place] = (width, max(BOX, across[place])) if to_the_right else (max(width, across[place]), BOX)
    positions = layout(graph, {place: box[to_the_right] for place, box in boxes.items()}, gap=0.25)
    size = (max(width for width, _ in boxes.values()), BOX)  # of a layer, in the direction of the values
    depth = size[not to_the_right]
    depth += text_width + 0.45 if to_the_right else text_height + 0.4
    centres = {
        point: (point.layer * depth, -at) if to_the_right else (at, -point.layer * depth)
        for point, at in positions.items()
    }
    nodes_at = {point.item: centre for point, centre in centres.items() if isinstance(point.item, int)}
    bends = defaultdict(list)
    for point, (x, y) in centres.items():  # from the first layer to the last
        if isinstance(point.item, tuple):  # straight through the layer, or it would cut the corners of boxes
            bends[point.item] += [_side((x, y), size, to_the_right, sign) for sign in (-1, 1)]
    figure, axes = _canvas(centres, boxes, title)
    for place, name in names.items():
        is_result = any(output.node == place for output in graph.outputs)
        _draw_box(axes, nodes_at[place], boxes[place], name, graph.nodes[place], is_result)
        arriving = []
        for slot, text in arrivals[place].items():
            source = graph.nodes[place].operands[slot].node
            start = _side(nodes_at[source], boxes[source], to_the_right, 1)
            arriving.append(([start, *bends[place, slot]], text))
        side = _side(nodes_at[place], boxes[place], to_the_right, -1)
        # Operands stand in their order, left to right or top to bottom, unless it does not matter.
        if graph.nodes[place].name in COMMUTATIVE:
            arriving.sort(key=lambda edge: -edge[0][-1][1] if to_the_right else edge[0][-1][0])
        _draw_arrivals(axes, side, arriving, port_gap, to_the_right)
    for path in paths:
        pictures.save(figure, path)


def layout(graph: Graph, across: Mapping[int, float], gap: float) -> dict[Point, float]:
    """Where the nodes are, and the bends of their edges, within their layers.

    Args:
      graph: of which numbers are left out.
      across: the size of each node within its layer.
      gap: between neighbours in a layer.

    Returns:
      The centre of each point along its layer. No two nodes of a layer overlap.
    """
    layer_of = _layers(graph)
    lines: list[Line] = []
    for place, node in enumerate(graph.nodes):
        for slot, operand in enumerate(node.operands):
            if operand.node in layer_of:
                between = range(layer_of[operand.node] + 1, layer_of[place])
                *bends, last = pairwise(
                    [
                        Point(layer_of[operand.node], operand.node),
                        *(Point(layer, (place, slot)) for layer in between),
                        Point(layer_of[place], place),
                    ]
                )
                port = 0.0 if node.name in COMMUTATIVE else 0.1 * slot
                lines += [*(Line(*bend, 0.0) for bend in bends), Line(*last, port)]
    rows: list[list[Point]] = [[] for _ in range(max(layer_of.values(), default=0) + 1)]
    nodes = (Point(layer, place) for place, layer in layer_of.items())
    for point in dict.fromkeys([*nodes, *(point for line in lines for point in (line.upper, line.lower))]):
        rows[point.layer].append(point)
    return _straightened(_with_few_crossings(rows, lines), lines, across, gap)


def _layers(graph: Graph) -> dict[int, int]:
    """The layer of each node: below all that it takes from, and close to what takes from it."""
    shown = shown_nodes(graph)
    sources = {place: [o.node for o in graph.nodes[place].operands if o.node in shown] for place in shown}
    users = {place: [user for user in shown if place in sources[user]] for place in shown}
    layer_of: dict[int, int] = {}
    for place in shown:
        layer_of[place] = 1 + max((layer_of[source] for source in sources[place]), default=-1)
    for place in reversed(shown):
        # Moving it down makes the edges no longer in sum.
        if users[place] and len(sources[place]) <= len(users[place]):
            layer_of[place] = min(layer_of[user] for user in users[place]) - 1
    first = min(layer_of.values(), default=0)
    return {place: layer - first for place, layer in layer_of.items()}


def _with_few_crossings(rows: list[list[Point]], lines: Sequence[Line]) -> list[list[Point]]:
    """The rows in the best order found by putting each point at the mean of its neighbours', down and up."""

    def crossings(rows: list[list[Point]]) -> int:
        at = {point: place for row in rows for place, point in enumerate(row)}
        spans = [(line.upper.layer, at[line.upper], at[line.lower] + line.port) for line in lines]
        layer, start, end = np.array(spans).reshape(-1, 3).T
        crossed = (start[:, None] < start) & (end[:, None] > end) & (layer[:, None] == layer)
        return int(crossed.sum())

    best = rows
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        at: dict[Point, float] = {point: place for row in rows for place, point in enumerate(row)}
        rows = [list(row) for row in rows]
        for row in rows if downwards else reversed(rows):
            wishes = {point: [] for point in row}
            for upper, lower, port in lines:
                if downwards and lower in wishes:
                    wishes[lower].append(at[upper])
                elif not downwards and upper in wishes:
                    wishes[upper].append(at[lower] + port)
            row.sort(key=lambda point: np.mean(wishes[point]) if wishes[point] else at[point])
            at |= {point: place for place, point in enumerate(row)}
        if crossings(rows) < crossings(best):
            best = rows
    return best


def _straightened(
    rows: Sequence[Sequence[Point]], lines: Sequence[Line], across: Mapping[int, float], gap: float
) -> dict[Point, float]:
    """Places in the rows' order and far enough apart, each near the mean of its neighbours' places."""
    from scipy.optimize import isotonic_regression

    neighbours = defaultdict(list)
    for upper, lower, _ in lines:
        neighbours[upper].append(lower)
        neighbours[lower].append(upper)
    at: dict[Point, float] = {}
    offsets = []
    for row in rows:
        sizes = np.array([across[point.item] if isinstance(point.item, int) else 0.1 for point in row])
        offset = np.cumsum(sizes) - sizes / 2 + gap * np.arange(len(row))
        offsets.append(offset - (sizes.sum() + gap * (len(row) - 1)) / 2)
        at |= dict(zip(row, offsets[-1].tolist(), strict=True))
    placed = list(zip(rows, offsets, strict=True))
    for sweep in range(2 * SWEEPS):
        for row, offset in placed if sweep % 2 == 0 else reversed(placed):
            wish = [np.mean([at[other] for other in neighbours[point] or [point]]) for point in row]
            # Without the room that those before it need, places only have to be in order.
            found = isotonic_regression(np.array(wish) - offset).x + offset
            at |= dict(zip(row, found.tolist(), strict=True))
    return at


def _canvas(centres: Mapping[Point, Place], boxes: Mapping[int, Place], title: str) -> tuple[Any, Any]:
    """An empty figure, an inch for an inch, with room for all boxes."""
    corners = [
        (x + sign * width / 2, y + sign * height / 2)
        for point, (x, y) in centres.items()
        for width, height in [boxes[point.item] if isinstance(point.item, int) else (0.1, 0.1)]
        for sign in (-1, 1)
    ]
    (left, low), (right, high) = np.min(corners, axis=0) - 0.15, np.max(corners, axis=0) + 0.15
    high, right = high + (0.4 if title else 0), max(right, left + CHARACTER * 1.1 * len(title))
    figure = pictures.new(right - left, high - low)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(left, right), ylim=(low, high))
    axes.axis("off")
    axes.text((left + right) / 2, high - 0.25, title, ha="center", va="center", fontsize=11)
    return figure, axes


def _draw_box(
    axes: Any,
    centre: Place,
    size: Place,
    name: str,
    node: Node,
    is_result: bool,
) -> None:
    from matplotlib.patches import FancyBboxPatch

    is_operation = isinstance(node, Operation)
    color = "#dbe9f6" if is_operation else "#ffe9c7" if isinstance(node, Input) else "0.92"
    axes.add_patch(
        FancyBboxPatch(
            (centre[0] - size[0] / 2, centre[1] - size[1] / 2),
            *size,
            boxstyle=f"round,pad=0,rounding_size={0.04 if is_operation else BOX / 2}",
            facecolor=color,
            edgecolor="0.25",
            linewidth=2.0 if is_result else 0.8,
            zorder=2,
        )
    )
    axes.text(*centre, name, ha="center", va="center_baseline", fontsize=9, zorder=3)


def _draw_arrivals(
    axes: Any,
    side: Place,
    arriving: Sequence[tuple[list[Place], EdgeText]],
    port_gap: float,
    to_the_right: bool,
) -> None:
    """The edges that end at this side of a node, next to each other, each with its text at its end."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Polyline

    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5}
    for rank, (line, texts) in enumerate(arriving):
        shift = port_gap * (rank - (len(arriving) - 1) / 2)
        x, y = (side[0], side[1] - shift) if to_the_right else (side[0] + shift, side[1])
        written = [(text, color) for text, color in zip(texts, (VALUE, GRADIENT), strict=True) if text]
        # The last stretch is straight, and so keeps clear of the text beside it.
        before = (x - 0.3, y) if to_the_right else (x, y + 0.05 + LINE * len(written))
        axes.add_patch(
            FancyArrowPatch(
                path=Polyline([*line, before, (x, y)]),
                arrowstyle="-|>",
                mutation_scale=8,
                color="0.45",
                linewidth=0.8,
                zorder=1,
            )
        )
        for row, (text, color) in enumerate(written):
            if to_the_right:
                where = (x - 0.15, y + LINE * (0.6 - 1.2 * row))
            else:
                where = (x + 0.05, y + 0.12 + LINE * (len(written) - 1 - row))
            align = "right" if to_the_right else "left"
            axes.text(*where, text, color=color, fontsize=8, ha=align, va="center", bbox=ground, zorder=4)


def _side(centre: Place, size: Place, to_the_right: bool, sign: int) -> Place:
    """The middle of the side where values leave a node (1), or where they arrive (-1)."""
    (x, y), (width, height) = centre, size
    return (x + sign * width / 2, y) if to_the_right else (x, y - sign * height / 2)


def _shape_text(graph: Graph, node: int, slot: int) -> str:
    shape = type_of(graph, graph.nodes[node].operands[slot]).shape
    return ", ".join(map(str, shape)).join("[]")
