"""Where the nodes of a computation graph go in a picture: in layers, each after the nodes that it takes from.

The layout is that of Sugiyama: nodes go into layers by their longest path, then into an order in each layer
that lets few edges cross, then to positions where edges run straight. No program outside Python is needed.

Source: K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical system structures",
1981.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from jaxnaive.graph import Graph, shown_nodes

PASSES = 24  # through all layers, to order them; twice as many to find the positions
BEND = 0.1  # size of a bend within its layer
COMMUTATIVE = {"add", "add_any", "mul", "max", "min"}

Edge = tuple[int, int]  # a node, as its place in the graph, and which of its operands


class Point(NamedTuple):
    """Where an edge passes through a layer: at a node, or at a bend if it goes on to a later layer."""

    layer: int
    item: int | Edge  # the node, or the edge that bends


class Segment(NamedTuple):
    """The part of an edge between two layers."""

    upper: Point
    lower: Point
    port: float  # how far right it arrives at the lower point, as far as the order of operands matters


def positions(graph: Graph, sizes: Mapping[int, float], gap: float) -> dict[Point, float]:
    """The positions of nodes, and of the bends of edges, within their layers.

    Args:
      graph: to lay out; numbers among its nodes are left out.
      sizes: of each node within its layer.
      gap: between neighbours in a layer.

    Returns:
      The centre of each point along its layer. No two nodes of a layer overlap.
    """
    layer_of = _layers(graph)
    segments = [
        segment
        for place in layer_of
        for slot, operand in enumerate(graph.nodes[place].operands)
        if operand.node in layer_of
        for segment in _segments(graph, layer_of, place, slot)
    ]
    rows: list[list[Point]] = [[] for _ in range(max(layer_of.values(), default=0) + 1)]
    nodes = (Point(layer, place) for place, layer in layer_of.items())
    ends = (point for segment in segments for point in (segment.upper, segment.lower))
    for point in dict.fromkeys([*nodes, *ends]):
        rows[point.layer].append(point)
    return _straightened(_with_few_crossings(rows, segments), segments, sizes, gap)


def _layers(graph: Graph) -> dict[int, int]:
    """The layer of each node: after all that it takes from, and close to what takes from it."""
    shown = shown_nodes(graph)
    sources = {place: [o.node for o in graph.nodes[place].operands if o.node in shown] for place in shown}
    users = {place: [user for user in shown if place in sources[user]] for place in shown}
    layer_of: dict[int, int] = {}
    for place in shown:
        layer_of[place] = 1 + max((layer_of[source] for source in sources[place]), default=-1)
    for place in reversed(shown):
        # To move it down does not make the edges longer in total.
        if users[place] and len(sources[place]) <= len(users[place]):
            layer_of[place] = min(layer_of[user] for user in users[place]) - 1
    first = min(layer_of.values(), default=0)
    return {place: layer - first for place, layer in layer_of.items()}


def _segments(graph: Graph, layer_of: Mapping[int, int], place: int, slot: int) -> list[Segment]:
    """The segments of an edge, which bends in every layer between its ends."""
    node = graph.nodes[place]
    source = node.operands[slot].node
    points = [
        Point(layer_of[source], source),
        *(Point(layer, (place, slot)) for layer in range(layer_of[source] + 1, layer_of[place])),
        Point(layer_of[place], place),
    ]
    *bends, last = pairwise(points)
    port = 0.0 if node.name in COMMUTATIVE else 0.1 * slot
    return [*(Segment(*ends, 0.0) for ends in bends), Segment(*last, port)]


def _with_few_crossings(rows: list[list[Point]], segments: Sequence[Segment]) -> list[list[Point]]:
    """The rows in the best order found by moving each point to the mean of its neighbours, down and up."""
    above, below = defaultdict(list), defaultdict(list)
    for segment in segments:
        above[segment.lower].append((segment.upper, 0.0))
        below[segment.upper].append((segment.lower, segment.port))
    best = rows
    for number in range(PASSES):
        downwards = number % 2 == 0
        at: dict[Point, float] = {point: rank for row in rows for rank, point in enumerate(row)}
        neighbours = above if downwards else below
        rows = [list(row) for row in rows]
        for row in rows if downwards else reversed(rows):
            means = {
                point: np.mean([at[other] + port for other, port in neighbours[point]])
                if neighbours[point]
                else at[point]
                for point in row
            }
            row.sort(key=means.__getitem__)
            at |= {point: rank for rank, point in enumerate(row)}
        if _crossings(rows, segments) < _crossings(best, segments):
            best = rows
    return best


def _crossings(rows: Sequence[Sequence[Point]], segments: Sequence[Segment]) -> int:
    """How many pairs of segments cross."""
    at = {point: rank for row in rows for rank, point in enumerate(row)}
    spans = [
        (segment.upper.layer, at[segment.upper], at[segment.lower] + segment.port) for segment in segments
    ]
    layer, start, end = np.array(spans).reshape(-1, 3).T
    crossed = (start[:, None] < start) & (end[:, None] > end) & (layer[:, None] == layer)
    return int(crossed.sum())


def _straightened(
    rows: Sequence[Sequence[Point]], segments: Sequence[Segment], sizes: Mapping[int, float], gap: float
) -> dict[Point, float]:
    """Positions in the rows' order and far enough apart, each near the mean of its neighbours' positions."""
    from scipy.optimize import isotonic_regression

    neighbours = defaultdict(list)
    for upper, lower, _ in segments:
        neighbours[upper].append(lower)
        neighbours[lower].append(upper)
    at: dict[Point, float] = {}
    offsets = []
    for row in rows:
        lengths = np.array([sizes[point.item] if isinstance(point.item, int) else BEND for point in row])
        offset = np.cumsum(lengths) - lengths / 2 + gap * np.arange(len(row))
        offsets.append(offset - (lengths.sum() + gap * (len(row) - 1)) / 2)
        at |= dict(zip(row, offsets[-1].tolist(), strict=True))
    placed = list(zip(rows, offsets, strict=True))
    for number in range(2 * PASSES):
        for row, offset in placed if number % 2 == 0 else reversed(placed):
            wish = [np.mean([at[other] for other in neighbours[point] or [point]]) for point in row]
            # Less the room that those before it need, the positions only have to be in order.
            found = isotonic_regression(np.array(wish) - offset).x + offset
            at |= dict(zip(row, found.tolist(), strict=True))
    return at
