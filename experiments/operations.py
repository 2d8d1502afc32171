"""Tensor operations: what each makes of which shapes, and what a Python loop costs (rows S23 to S33).

python experiments/operations.py
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnaive import command, operations
from jaxnaive.command import benchmark
from jaxnaive.command.options import Figures
from jaxnaive.disk import files
from jaxnaive.job import check_at_least
from jaxnaive.pictures import drawings

CALLS = 100  # a time, of what is compiled


@dataclass(frozen=True)
class Options:
    """Show the tensor operations, and time them against Python loops."""

    repeats: int = 7
    """times that each is timed; the median counts"""
    out: Figures = Path("runs/operations")


class Cost(NamedTuple):
    """Median microseconds of one operation."""

    loop: float  # in Python, number by number
    lifted: float  # from scalars by vmap, compiled
    library: float  # as jax.numpy has it, compiled


def main(options: Options) -> dict[str, Cost]:
    """Returns what each operation costs."""
    with command.usage():
        check_at_least("repeats", options.repeats, 1)
        files.make_folder(options.out)
    show_shapes()
    costs = {name: measure(case, options.repeats) for name, case in cases().items()}
    print(f"\nmicroseconds on {jax.devices()[0].device_kind}")
    print(f"{'':17}{'shapes':20}{'loop':>10}{'lifted':>10}{'jax.numpy':>10}{'loop / lifted':>15}")
    for (name, case), cost in zip(cases().items(), costs.values(), strict=True):
        shapes = " ".join(str(shape).replace(" ", "") for shape in case.shapes)
        row = "".join(f"{value:10,.0f}" for value in cost)
        print(f"{name:17}{shapes:20}{row}{cost.loop / cost.lifted:13,.0f} x")

    x, y = np.array([[1, 2, 0], [0, 1, 3], [2, 1, 4], [3, 0, 1]]), np.arange(15).reshape(3, 5) % 8
    drawings.dot_product(options.out / "dot.png", x, y)
    x, y = np.arange(1, 13).reshape(4, 3), np.array([10, 20, 30])
    drawings.broadcasting(options.out / "broadcasting.png", x, y)
    print(f"\nsaved {options.out}/: dot.png, broadcasting.png")
    return costs


def show_shapes() -> None:
    """What a dot product gives (of two matrices no vector, as the notes say), and what a transpose is not."""
    print("a dot product is               shapes                      result")
    for name, left, right in (
        ("vector . vector -> number", (3,), (3,)),
        ("matrix . vector -> vector", (2, 3), (3,)),
        ("matrix . matrix -> matrix", (2, 3), (3, 4)),
        ("tensor . matrix -> tensor", (2, 3, 4, 5), (5, 6)),
    ):
        result = jax.eval_shape(operations.tensor_dot, jnp.ones(left), jnp.ones(right)).shape
        print(f"{name:31}{f'{left} . {right}':28}{result}")
    x = jnp.arange(6).reshape(3, 2)
    print(f"\na transpose is not a reshape   {x.tolist()}")
    print(f"{'reshape to (2, 3)':31}{operations.reshape(x, (2, 3)).tolist()}")
    print(f"{'transpose':31}{operations.transpose(x).tolist()}")


class Case(NamedTuple):
    """One operation three times, and what it is applied to."""

    loop: Callable[..., Any]
    lifted: Callable[..., Any]
    library: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]


def cases() -> dict[str, Case]:
    """The first is the book's own demonstration."""
    ops = operations
    return {
        "relu(x + y)": Case(
            lambda x, y: ops.loop_relu(ops.loop_add(x, y)),
            lambda x, y: ops.relu(ops.add(x, y)),
            lambda x, y: jnp.maximum(x + y, 0.0),
            ((20, 100), (20, 100)),
        ),
        "x + y, broadcast": Case(
            lambda x, y: ops.loop_add(x, ops.loop_broadcast(y, x.shape)), ops.add, jnp.add, ((32, 10), (10,))
        ),
        "vector . vector": Case(ops.loop_dot, ops.dot, jnp.dot, ((784,), (784,))),
        "matrix . vector": Case(ops.loop_matrix_vector, ops.matrix_vector, jnp.dot, ((64, 784), (784,))),
        "matrix . matrix": Case(ops.loop_matmul, ops.matmul, jnp.dot, ((64, 784), (784, 10))),
    }


def measure(case: Case, repeats: int) -> Cost:
    """Time the three in turn, so that a slow moment hits all of them."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape, np.float32) for shape in case.shapes]
    on_device = [jnp.asarray(array) for array in arrays]
    lifted, library = jax.jit(case.lifted), jax.jit(case.library)
    np.testing.assert_allclose(lifted(*on_device), case.loop(*arrays), rtol=1e-4, atol=1e-4)
    loop_time, lifted_time, library_time = benchmark.medians(
        lambda: case.loop(*arrays),
        lambda: lifted(*on_device),
        lambda: library(*on_device),
        rounds=repeats,
        calls=(1, CALLS, CALLS),
    )
    return Cost(1e6 * loop_time, 1e6 * lifted_time, 1e6 * library_time)


if __name__ == "__main__":
    command.run(main, Options)
