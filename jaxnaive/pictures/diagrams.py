"""Pictures of computation graphs: the nodes in layers, each below (or right of) those that it takes from."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from jaxnaive import graph as graphs
from jaxnaive import jaxprs, pictures, walk
from jaxnaive.graph import Graph, Input, Node, Operation, Values, operands_of, shown_nodes, type_of, type_text
from jaxnaive.pictures import layout, palette, words
from jaxnaive.pictures.layout import COMMUTATIVE, Edge

CHARACTER, TEXT_LINE, NODE = (
    0.085,
    0.17,
    0.3,
)  # inches: a character's width, a text line's and a node's height
TITLE_SIZE, TITLE_LINE = 11.0, 0.19  # points, and inches from a line to the next
TITLE_WIDTH = 5.0  # inches, of the title of a picture that is narrower
GAP = 0.25  # inches between the nodes of a layer
LAYER_GAP = np.array([0.45, 0.4])  # inches between the texts and layers side by side, and one above the other
# The two texts beside an edge; the value is also above the gradient.
STYLES = ({"color": palette.VALUE}, {"color": palette.GRADIENT, "weight": "bold"})
MAX_OPERATIONS = 100  # in a picture with values and gradients

Vector = Float[np.ndarray, "2"]  # right and up, or width and height, in inches


class EdgeText(NamedTuple):
    """What is written beside an edge."""

    value: str = ""  # that flows along it
    gradient: str = ""  # that flows back


class Direction(NamedTuple):
    """The unit vectors of a picture: along the values' flow, and across it in the order of the operands."""

    along: Vector
    across: Vector


RIGHT, DOWN = np.array([1.0, 0.0]), np.array([0.0, -1.0])
TO_THE_RIGHT, DOWNWARDS = Direction(RIGHT, DOWN), Direction(DOWN, RIGHT)


class Drawing(NamedTuple):
    """Where everything is, in inches."""

    direction: Direction
    boxes: dict[int, Vector]  # the size of each node
    centres: dict[int, Vector]  # of each node
    bends: Mapping[Edge, list[Vector]]  # of the edges that pass through a layer, in the order of the flow
    port_gap: float  # between the edges that arrive at a node


def draw(
    graph: Graph,
    texts: Callable[[int, int], EdgeText] | None = None,
    title: str = "",
    to_the_right: bool = False,
    names: Callable[[Graph, Node], str] = words.name,
) -> Any:
    """A figure of a graph: arguments rounded, operations square, the results with a thick border.

    Args:
      graph: to draw; numbers among the operands are written into the operations.
      texts: what to write where an edge arrives, by node and operand. Default: the shape of the value.
      title: what the picture shows.
      to_the_right: whether values flow to the right, and not downwards.
      names: of the nodes. Default: in a reader's words; :func:`jaxnaive.graph.label` has JAX's.
    """
    texts = texts or (lambda node, slot: EdgeText(_shape_text(graph, node, slot)))
    named = {place: names(graph, graph.nodes[place]) for place in shown_nodes(graph)}
    arriving = {
        place: {
            slot: texts(place, slot)
            for slot, operand in enumerate(graph.nodes[place].operands)
            if operand.node in named
        }
        for place in named
    }
    drawing = _arrange(graph, named, arriving, TO_THE_RIGHT if to_the_right else DOWNWARDS)
    figure, axes = _canvas(drawing, arriving, title)
    for place, name in named.items():
        _draw_node(axes, drawing, graph, place, name)
        _draw_edges(axes, drawing, graph, place, arriving[place])
    return figure


def backprop(
    function: Callable[..., Array],
    *args: PyTree[Any],
    title: str = "Above: the values; below, bold: the gradients",
    to_the_right: bool = False,
    names: Callable[[Graph, Node], str] = words.name,
    opened: Callable[[Operation], bool] = jaxprs.is_plain_call,
) -> Any:
    """A figure of backpropagation through a function: each edge with its value and its gradient.

    A notebook shows it as the last value of a cell; ``figure.savefig("graph.png")`` saves it.

    Args:
      function: of arrays, to one number.
      args: of the function: arrays, numbers, or pytrees of them.
      title: what the picture shows; the result is added to it.
      to_the_right: whether values flow to the right, and not downwards.
      names: of the nodes, as in :func:`draw`.
      opened: which calls in it are drawn as their operations, as in :func:`jaxnaive.jaxprs.trace`.

    Raises:
      ValueError: the function returns something else than one number, or has too many operations.
    """
    graph = jaxprs.trace(function, *args, opened=opened)
    types = [type_of(graph, output) for output in graph.outputs]
    if [type_.shape for type_ in types] != [()] or not jnp.issubdtype(types[0].dtype, jnp.floating):
        found = ", ".join(map(type_text, types)) or "nothing"
        raise ValueError(f"backprop: got a function that returns {found}, expected one float, such as a mean")
    operations = sum(isinstance(node, Operation) for node in graph.nodes)
    if operations > MAX_OPERATIONS:
        raise ValueError(
            f"backprop: got a function of {operations} operations, expected at most {MAX_OPERATIONS}; give "
            "jax.jit to parts of it and name them in opened=lambda call: call.name not in (...)"
        )
    values = graphs.evaluate(graph, *jax.tree.leaves(args))
    gradients = walk.backward(graph, values, [jnp.ones([])]).edges
    (result,) = graphs.results_of(graph, values)
    title = f"{title}; the result: {summary(result)}"
    return draw(graph, numbers(graph, values, gradients), title, to_the_right, names)


def numbers(
    graph: Graph, values: Values, gradients: Mapping[tuple[int, int], Array]
) -> Callable[[int, int], EdgeText]:
    """Texts for :func:`draw`: of every edge the value, and how fast the result of the graph grows with it.

    Args:
      graph: of a function.
      values: of its nodes, from :func:`jaxnaive.graph.evaluate`.
      gradients: of its edges, from :func:`jaxnaive.walk.backward`.
    """

    def text(node: int, slot: int) -> EdgeText:
        value, gradient = operands_of(graph.nodes[node], values)[slot], gradients.get((node, slot))
        return EdgeText(summary(value), "" if gradient is None else summary(gradient))

    return text


def summary(array: ArrayLike) -> str:
    """Mean and standard deviation of an array, or the number that all of it is.

    >>> summary(np.array([1.0, 3.0])), summary(2.0)
    ('2.0e+00 ± 1e+00', '2')
    """
    array = np.asarray(array, np.float64)
    return f"{array.mean():.1e} ± {array.std():.0e}" if array.std() else f"{array.mean():.3g}"


def _arrange(
    graph: Graph,
    names: Mapping[int, str],
    arriving: Mapping[int, Mapping[int, EdgeText]],
    direction: Direction,
) -> Drawing:
    """Boxes with room for their names and for the texts that arrive, and layers with room for the texts."""
    along, across = np.abs(direction)
    text_size = _text_size([text for texts in arriving.values() for text in texts.values()])
    port_gap = float(across @ text_size) + 0.1
    boxes = {
        place: np.maximum(
            [CHARACTER * max(len(name), 3) + 0.25, NODE], port_gap * len(arriving[place]) * across
        )
        for place, name in names.items()
    }
    positions = layout.positions(graph, {place: across @ box for place, box in boxes.items()}, GAP)
    layer_size = np.array([max(width for width, _ in boxes.values()), NODE])
    distance = along @ (layer_size + (text_size + LAYER_GAP))  # from a layer to the next
    centres, bends = {}, defaultdict(list)
    for point, position in positions.items():  # from the first layer to the last
        centre = point.layer * distance * direction.along + position * direction.across
        if isinstance(point.item, int):
            centres[point.item] = centre
        else:  # straight through the layer, or it would cut the corners of boxes
            bends[point.item] += [centre + sign * direction.along * layer_size / 2 for sign in (-1, 1)]
    return Drawing(direction, boxes, centres, bends, port_gap)


def _text_size(texts: Sequence[EdgeText]) -> Vector:
    """The room that the largest text needs."""
    width = CHARACTER * 0.9 * max((len(line) for text in texts for line in text), default=0) + 0.1
    height = TEXT_LINE * max((sum(map(bool, text)) for text in texts), default=0)
    return np.array([width, height])


def _canvas(drawing: Drawing, arriving: Mapping[int, Mapping[int, EdgeText]], title: str) -> tuple[Any, Any]:
    """An empty figure, an inch for an inch, with room for the graph and the title."""
    corners = _corners(drawing, arriving)
    (left, low), (right, high) = np.min(corners, axis=0) - 0.15, np.max(corners, axis=0) + 0.15
    lines = _title_lines(title, max(TITLE_WIDTH, right - left - 0.2))
    wider = max(pictures.text_width(line, TITLE_SIZE) for line in lines) + 0.2 - (right - left)
    left, right = left - max(0, wider / 2), right + max(0, wider / 2)
    high += TITLE_LINE * len(lines) + 0.15 if title else 0
    figure = pictures.new(right - left, high - low)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(left, right), ylim=(low, high))
    axes.axis("off")
    above = {"ha": "center", "va": "top", "fontsize": TITLE_SIZE}
    axes.text((left + right) / 2, high - 0.15, "\n".join(lines), **above)
    return figure, axes


def _corners(drawing: Drawing, arriving: Mapping[int, Mapping[int, EdgeText]]) -> list[Vector]:
    """The corners of all boxes, bends and texts."""
    ends = [  # where the text of a node's last edge ends
        drawing.centres[place] + drawing.port_gap * (len(texts) + 1) / 2 * drawing.direction.across
        for place, texts in arriving.items()
        if texts
    ]
    boxes = [(drawing.centres[place], box) for place, box in drawing.boxes.items()]
    bends = [(bend, np.full(2, layout.BEND)) for along in drawing.bends.values() for bend in along]
    return [*ends, *(centre + sign * size / 2 for centre, size in (*boxes, *bends) for sign in (-1, 1))]


def _title_lines(title: str, width: float) -> list[str]:
    """A title in lines of at most so many inches."""
    lines = [""]
    for word in map(pictures.shortened, title.split(" ")):
        longer = f"{lines[-1]} {word}".strip()
        is_too_long = lines[-1] and pictures.text_width(longer, TITLE_SIZE) > width
        lines = [*lines, word] if is_too_long else [*lines[:-1], longer]
    return lines


def _draw_node(axes: Any, drawing: Drawing, graph: Graph, place: int, name: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    node, centre, box = graph.nodes[place], drawing.centres[place], drawing.boxes[place]
    is_operation = isinstance(node, Operation)
    is_result = any(output.node == place for output in graph.outputs)
    axes.add_patch(
        FancyBboxPatch(
            tuple(centre - box / 2),
            *box,
            boxstyle=f"round,pad=0,rounding_size={0.04 if is_operation else NODE / 2}",
            facecolor=_node_color(node),
            edgecolor=palette.INK,
            linewidth=2.0 if is_result else 0.8,
            zorder=2,
        )
    )
    axes.text(*centre, name, ha="center", va="center_baseline", fontsize=9, zorder=3)


def _node_color(node: Node) -> str:
    if isinstance(node, Operation):
        return palette.PALE_BLUE
    return palette.PALE_ORANGE if isinstance(node, Input) else palette.PALE


def _draw_edges(axes: Any, drawing: Drawing, graph: Graph, place: int, texts: Mapping[int, EdgeText]) -> None:
    """The edges that arrive at a node, next to each other, each with its text at its end."""
    along, across = drawing.direction
    node = graph.nodes[place]
    lines = []
    for slot, text in texts.items():
        source = node.operands[slot].node
        start = drawing.centres[source] + along * drawing.boxes[source] / 2
        lines.append(([start, *drawing.bends.get((place, slot), [])], text))
    # Operands stand in their order, left to right or top to bottom, unless it does not matter.
    if node.name in COMMUTATIVE:
        lines.sort(key=lambda line: across @ line[0][-1])
    side = drawing.centres[place] - along * drawing.boxes[place] / 2
    for rank, (points, text) in enumerate(lines):
        end = side + drawing.port_gap * (rank - (len(lines) - 1) / 2) * across
        _draw_edge(axes, drawing.direction, points, end, text)


def _draw_edge(
    axes: Any, direction: Direction, points: Sequence[Vector], end: Vector, text: EdgeText
) -> None:
    import matplotlib.path
    from matplotlib.patches import FancyArrowPatch

    written = [(line, style) for line, style in zip(text, STYLES, strict=True) if line]
    # The last stretch is straight, and so keeps clear of the text beside it.
    straight = np.abs(direction.along) @ [0.3, 0.05 + TEXT_LINE * len(written)]
    polyline = matplotlib.path.Path([*points, end - straight * direction.along, end])
    axes.add_patch(
        FancyArrowPatch(
            path=polyline, arrowstyle="-|>", mutation_scale=8, color=palette.MUTED, linewidth=0.8, zorder=1
        )
    )
    background = {"facecolor": palette.WHITE, "edgecolor": "none", "alpha": 0.75, "pad": 0.5}
    for row, (line, style) in enumerate(written):
        if direction is TO_THE_RIGHT:  # on both sides of the edge
            offset, align = (-0.15, TEXT_LINE * (0.6 - 1.2 * row)), "right"
        else:  # right of the edge
            offset, align = (0.05, 0.12 + TEXT_LINE * (len(written) - 1 - row)), "left"
        axes.text(
            *(end + offset), line, fontsize=8, ha=align, va="center", bbox=background, zorder=4, **style
        )


def _shape_text(graph: Graph, node: int, slot: int) -> str:
    shape = type_of(graph, graph.nodes[node].operands[slot]).shape
    return ", ".join(map(str, shape)).join("[]")
