"""Reverse-mode rules of the primitives that have functions in them: calls, loops and branches.

Each continues the walk inside its function, which is a graph among the operation's settings. By keyword a
rule can ask for a setting; for ``wanted``, which operands to differentiate by; for ``node``, the operation
itself; and for ``walk``.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxnaive.graph import Graph, evaluate, inputs_of, results_of
from jaxnaive.rules import Rule, Walk, filled, is_float, zeros
from jaxnaive.tangents import by_tangents


def _call(g, y, *operands, jaxpr, wanted, walk):
    """The walk through the called function."""
    return walk.back(jaxpr, operands, g, wanted)


def _custom_vjp_call(g, y, *operands, node):
    """The function's author gives the rule itself."""
    of_outputs = tuple(
        np.zeros(part.shape, jax.dtypes.float0) if one is None else one
        for one, part in zip(filled(g, y), y, strict=True)
    )
    of_operands = jax.vjp(node.apply, *operands)[1](of_outputs)
    return [None if one.dtype == jax.dtypes.float0 else one for one in of_operands]


def _cond(g, y, index, *operands, branches, wanted, walk):
    """The walk through the branch that was taken."""

    def back(branch):
        return lambda operands, g: walk.back(branch, operands, g, wanted[1:])

    return [None, *lax.switch(index, [back(branch) for branch in branches], operands, g)]


def _scan(g, y, *operands, jaxpr, length, reverse, num_consts, num_carry, unroll, wanted, walk):
    """The walk through the steps from the last to the first, after running them again to keep the carries."""
    consts, carry, xs = _split(operands, num_consts, num_carry)
    of_carry, of_ys = list(g[:num_carry]), list(g[num_carry:])
    wanted = _with_carries(jaxpr, wanted, num_consts, num_carry, walk)
    moves = wanted[num_consts : num_consts + num_carry]
    of_carry = [one if moving else None for one, moving in zip(filled(of_carry, carry), moves, strict=True)]
    of_consts = [zeros(c) if used else None for c, used in zip(consts, wanted[:num_consts], strict=True)]

    def forward(carry, x):
        results = results_of(jaxpr, evaluate(jaxpr, *consts, *carry, *x))
        return results[:num_carry], carry

    def back(cotangents, step):
        of_consts, of_carry = cotangents
        carry, x, of_y = step
        new = walk.back(jaxpr, [*consts, *carry, *x], [*of_carry, *of_y], wanted)
        more_of_consts, of_carry, of_x = _split(new, num_consts, num_carry)
        return (jax.tree.map(jnp.add, of_consts, more_of_consts), of_carry), of_x

    _, carries = lax.scan(forward, carry, xs, length, reverse, unroll)
    (of_consts, of_carry), of_xs = lax.scan(
        back, (of_consts, of_carry), (carries, xs, of_ys), length, not reverse, unroll
    )
    return [*of_consts, *of_carry, *of_xs]


def _with_carries(
    step: Graph, wanted: Sequence[bool], num_consts: int, num_carry: int, walk: Walk
) -> list[bool]:
    """The wanted inputs of a step, and the carries that move with them from some step on."""
    wanted, known = list(wanted), None
    while wanted != known:
        known, moving = list(wanted), walk.moving(step, wanted)
        for place, output in enumerate(step.outputs[:num_carry]):
            wanted[num_consts + place] |= output in moving
    return [want and is_float(node.type) for want, node in zip(wanted, inputs_of(step), strict=True)]


def _split(items, first, second):
    return list(items[:first]), list(items[first : first + second]), list(items[first + second :])


RULES: dict[str, Rule] = {
    "jit": _call,
    "remat2": _call,
    "custom_jvp_call": by_tangents,
    "custom_vjp_call": _custom_vjp_call,
    "cond": _cond,
    "scan": _scan,
}
