"""Reverse-mode rules of the primitives that have functions in them: calls, loops and branches.

Each continues the walk inside its function, which is a graph among the operation's settings. By keyword a
rule can ask for a setting; for ``wanted``, which operands to differentiate by; for ``node``, the operation
itself; and for ``walk``.
"""

from collections.abc import Sequence

from jax import lax

from jaxnaive.graph import Graph, evaluate, inputs_of, results_of
from jaxnaive.rules import Rule, Walk, filled, is_float
from jaxnaive.tangents import by_tangents


def _call(g, y, *operands, jaxpr, wanted, walk):
    """The walk through the called function."""
    return walk.back(jaxpr, walk.forward(jaxpr, *operands), g, wanted)


def _remat(g, y, *operands, jaxpr, prevent_cse, wanted, walk):
    """The walk through the function, run again; behind a barrier, so that its values need not be kept.

    All of them are computed again, also those that the checkpoint's policy would keep.
    """
    if prevent_cse:
        operands, g = lax.optimization_barrier((operands, g))
    return _call(g, y, *operands, jaxpr=jaxpr, wanted=wanted, walk=walk)


def _cond(g, y, index, *operands, branches, wanted, walk):
    """The walk through the branch that was taken."""

    def back(branch):
        def through_it(operands, g):
            found = walk.back(branch, walk.forward(branch, *operands), g, wanted[1:])
            return _filled_where(wanted[1:], found, operands)

        return through_it

    return [None, *lax.switch(index, [back(branch) for branch in branches], operands, g)]


def _filled_where(wanted, g, y):
    return [one if want else None for one, want in zip(filled(g, y), wanted, strict=True)]


def _keep_scan(*operands, jaxpr, length, reverse, num_consts, num_carry, unroll, walk):
    """The outputs of the scan, and after them the values in every step that differ from step to step."""
    consts, carry, xs = _split(operands, num_consts, num_carry)
    places = _changing(jaxpr, num_consts, num_carry)

    def step(carry, x):
        values = walk.forward(jaxpr, *consts, *carry, *x)
        results = results_of(jaxpr, values)
        return results[:num_carry], (results[num_carry:], [values[place] for place in places])

    carry, (ys, kept) = lax.scan(step, carry, xs, length, reverse, unroll)
    return (*carry, *ys, kept)


def _scan(g, y, *operands, jaxpr, length, reverse, num_consts, num_carry, unroll, node, wanted, walk):
    """The walk through the steps from the last to the first, at the values that they had."""
    kept = (y if len(y) > len(g) else walk.apply(node, operands))[len(g)]
    consts, carry, xs = _split(operands, num_consts, num_carry)
    of_carry, of_ys = list(g[:num_carry]), list(g[num_carry:])
    wanted = _with_carries(jaxpr, wanted, num_consts, num_carry, walk)
    moving = wanted[num_consts : num_consts + num_carry]
    of_consts = _filled_where(wanted[:num_consts], [None] * num_consts, consts)
    places = _changing(jaxpr, num_consts, num_carry)

    def back(cotangents, step):
        of_consts, of_carry = cotangents
        x, of_step, of_y = step
        leaves = [*consts, *[None] * num_carry, *x]
        values = evaluate(jaxpr, *leaves, known=dict(zip(places, of_step, strict=True)))
        new = walk.back(jaxpr, values, [*of_carry, *of_y], wanted)
        more, of_carry, of_x = _split(new, num_consts, num_carry)
        of_consts = [a if b is None else a + b for a, b in zip(of_consts, more, strict=True)]
        return (of_consts, _filled_where(moving, of_carry, carry)), of_x

    start = (of_consts, _filled_where(moving, of_carry, carry))
    (of_consts, of_carry), of_xs = lax.scan(back, start, (xs, kept, of_ys), length, not reverse, unroll)
    return [*of_consts, *of_carry, *of_xs]


def _changing(step: Graph, num_consts: int, num_carry: int) -> list[int]:
    """The places of the nodes whose values differ from step to step, but for what is taken apart anyway."""
    changing = set(range(num_consts, len(inputs_of(step))))
    for place, node in enumerate(step.nodes):
        if any(operand.node in changing for operand in node.operands):
            changing.add(place)
    return sorted(changing - set(range(num_consts + num_carry, len(inputs_of(step)))))


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


KEEPING = {"scan": _keep_scan}  # by primitive: its outputs, and after them what its rule wants to find again

RULES: dict[str, Rule] = {
    "jit": _call,
    "remat2": _remat,
    "custom_jvp_call": by_tangents,
    "custom_vjp_call": by_tangents,
    "cond": _cond,
    "scan": _scan,
}
