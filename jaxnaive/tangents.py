"""Reverse mode for an operation that has no rule of its own: from its tangents, which JAX knows.

Forward mode says how an operation's outputs move when its operands do. That is a linear function of the
operands' tangents, and a graph like any other, so the walk goes backwards along it. An operation on that way
that has no rule either is linear, and JAX transposes it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jaxtyping import Array

from jaxnaive.jaxprs import trace


def by_tangents(g, y, *operands, node, wanted, walk):
    """The walk backwards along the tangents of an operation; or what JAX says against it."""
    g = g if isinstance(g, tuple) else (g,)
    counts = [one is not None for one in g]
    of_moving, moving = _function_of_wanted(node.apply, operands, counts, wanted)
    try:
        graph = trace(lambda *tangents: jax.jvp(of_moving, moving, tangents)[1], *moving)
        found = walk.back_along_tangents(graph, moving, [one for one in g if one is not None])
    except (NotImplementedError, TypeError, ValueError) as error:
        advice = f"a rule of your own helps: backprop.grad(..., rules={{{node.primitive!r}: ...}})"
        raise type(error)(f"{node.primitive!r}{node.where()}: {error}; {advice}") from error
    return _in_their_places(found, operands, wanted)


def by_transposition(g, y, *operands, node, wanted):
    """The transpose of an operation that is linear in the wanted operands."""
    g = g if isinstance(g, tuple) else (g,)
    of_moving, moving = _function_of_wanted(node.apply, operands, [one is not None for one in g], wanted)
    found = jax.linear_transpose(of_moving, *moving)([one for one in g if one is not None])
    return _in_their_places(found, operands, wanted)


def _function_of_wanted(
    apply: Callable[..., tuple[Array, ...]],
    operands: Sequence[Array],
    counts: Sequence[bool],
    wanted: Sequence[bool],
) -> tuple[Callable[..., list[Array]], tuple[Array, ...]]:
    """The operation as a function of the wanted operands, to the outputs that count; and these operands."""

    def function(*chosen: Array) -> list[Array]:
        remaining = iter(chosen)
        full = [next(remaining) if want else one for one, want in zip(operands, wanted, strict=True)]
        return [part for part, one in zip(apply(*full), counts, strict=True) if one]

    return function, tuple(one for one, want in zip(operands, wanted, strict=True) if want)


def _in_their_places(found: Sequence[Any], operands: Sequence[Array], wanted: Sequence[bool]) -> list[Any]:
    remaining = iter(found)
    places = [next(remaining) if want else None for want in wanted]
    return [
        None if one is None else one.astype(operand.dtype)
        for one, operand in zip(places, operands, strict=True)
    ]
