"""What a network's numbers mean: how its inputs were scaled, and what its outputs are called.

A schema is learned from the training examples, is kept with the dataset and with the network, and is all that
is needed to make a user's rows or pictures into what the network expects, in another process, months later.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

GREY = 255.0  # white, where black is 0


Kind = Literal["str", "int", "bool"]


class Scale(NamedTuple):
    """Inputs whose numbers are all of one kind, such as pixels: ``low .. high`` becomes 0 .. 1."""

    shape: tuple[int, ...]  # of one example
    low: float = 0.0
    high: float = GREY
    columns: tuple[str, ...] = ()  # if they come as the columns of a table
    is_range: bool = True  # of the training examples; false: they are taken as they are


class Column(NamedTuple):
    """A column of a table. Numbers become ``(number - mean) / deviation``, a text one number a category."""

    name: str
    mean: float = 0.0
    deviation: float = 0.0  # 0: the column is constant, and left out
    categories: tuple[str, ...] = ()  # of a text: 1 for the one it is, 0 for the others


class Columns(NamedTuple):
    """Inputs that are the columns of a table, each with a scale of its own."""

    columns: tuple[Column, ...]


class Classes(NamedTuple):
    """Outputs that are a logit for each class."""

    names: tuple[str, ...]
    kind: Kind = "str"  # of the labels, as they came: answers are of the same


class Targets(NamedTuple):
    """Outputs that are numbers: ``(target - mean) / deviation`` of each target."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


class Schema(NamedTuple):
    """What goes in, and what comes out."""

    inputs: Scale | Columns
    outputs: Classes | Targets

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example, as the network gets it."""
        if isinstance(self.inputs, Scale):
            return self.inputs.shape
        return (sum(map(width, self.inputs.columns)),)

    @property
    def is_regression(self) -> bool:
        """Whether the outputs are numbers, and not classes."""
        return isinstance(self.outputs, Targets)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the classes; none in a regression."""
        return self.outputs.names if isinstance(self.outputs, Classes) else ()

    @property
    def num_features(self) -> int:
        """How many numbers the network gets of an example: 784 for 28 x 28 pixels."""
        return math.prod(self.shape)

    @property
    def is_grey(self) -> bool:
        """Whether examples are classified by grey values, 0 to 255, as in MNIST."""
        if isinstance(self.inputs, Columns) or isinstance(self.outputs, Targets):
            return False
        return self.inputs._replace(columns=()) == Scale(self.shape)


def width(column: Column) -> int:
    """How many numbers a column becomes."""
    return len(column.categories) or int(column.deviation > 0)


def of_grey(shape: tuple[int, ...], class_names: tuple[str, ...]) -> Schema:
    """The schema of examples that are classified by grey values."""
    return Schema(Scale(tuple(shape)), Classes(tuple(class_names)))


def to_json(schema: Schema) -> dict[str, Any]:
    """The schema as JSON can hold it."""
    inputs, outputs = schema
    columns = (
        {"columns": [column._asdict() for column in inputs.columns]} if isinstance(inputs, Columns) else None
    )
    return {
        "inputs": columns or {"scale": inputs._asdict()},
        "outputs": {"classes" if isinstance(outputs, Classes) else "targets": outputs._asdict()},
    }


def from_json(stored: Mapping[str, Any]) -> Schema:
    """The schema that :func:`to_json` gave.

    Raises:
      ValueError: it is none.
    """
    try:
        ((inputs_kind, inputs),), ((outputs_kind, outputs),) = (
            stored[end].items() for end in ("inputs", "outputs")
        )
        return Schema(
            Columns(tuple(Column(**_tuples(column)) for column in inputs))
            if inputs_kind == "columns"
            else {"scale": Scale}[inputs_kind](**_tuples(inputs)),
            {"classes": Classes, "targets": Targets}[outputs_kind](**_tuples(outputs)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"schema: got {stored!r:.200}, expected what jaxnaive writes ({error})") from error


def in_units(outputs: Any, targets: Targets) -> np.ndarray:
    """A regression's outputs ``[examples, targets]`` in the units of the targets, in float64."""
    return np.asarray(outputs, np.float64) * targets.deviation + targets.mean


def answers(places: np.ndarray, classes: Classes) -> np.ndarray:
    """The classes at these places, as the labels came: as texts, integers or bools."""
    names = np.array(classes.names)
    if classes.kind == "bool":
        return (names == "True")[places]
    return names.astype(np.int64)[places] if classes.kind == "int" else names[places]


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's lists as tuples again."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
