"""First and second derivatives of many functions: by hand, by JAX, and by hand with one rule broken.

A table has a row for each function, ``name: (function, *arguments)``, which is differentiated by every float
among its arguments. A table is one compiled program, since compiling takes most of the time. An exception is
the result of its own row, so that this row fails alone.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_trees_close

from jaxnaive import backprop, graph, jaxprs, walk
from jaxnaive.rules import Rule

Table = Mapping[str, tuple[Any, ...]]
GRADS = (backprop.grad, jax.grad)


class Derivatives(NamedTuple):
    """Of one function: the gradient, and the gradient of a weighted sum of its elements."""

    ours: list[Any]
    by_jax: list[Any]


class Broken(NamedTuple):
    """Derivatives of the first function whose derivatives use a rule, with this rule broken."""

    function: str  # its row in the table
    ours: list[Any]  # up to the first order that uses the rule


def scalar(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function's results, each element with a weight of its own, summed to one number."""

    def weighted(*args: Any) -> Any:
        results = [leaf for leaf in jax.tree.leaves(f(*args)) if jnp.issubdtype(leaf.dtype, jnp.floating)]
        weights = [np.cos(1 + np.arange(leaf.size, dtype=float)).reshape(leaf.shape) for leaf in results]
        return sum(
            jnp.sum(leaf.astype(float) * weight) for leaf, weight in zip(results, weights, strict=True)
        )

    return weighted


def gradients(
    grad: Callable[..., Any], f: Callable[..., Any], args: Sequence[Any], orders: int = 2
) -> list[Any]:
    """The gradient, and the gradient of a weighted sum of the gradient's elements, and so on."""
    places = tuple(p for p, arg in enumerate(args) if jnp.issubdtype(jnp.result_type(arg), jnp.floating))
    found = []
    for _ in range(orders):
        f = grad(scalar(f), places)
        found.append(f(*args))
    return found


def together(functions: Mapping[str, Callable[..., Any]], args: Any) -> dict[str, Any]:
    """What functions of the same arguments return, from one program; if one raises, its exception."""
    errors: dict[str, Exception] = {}

    def all_of_them(args: Any) -> dict[str, Any]:
        results = {}
        for name, function in functions.items():
            try:
                results[name] = function(args)
            except Exception as error:
                errors[name] = error
        return results

    return jax.jit(all_of_them)(args) | errors


def arguments(table: Table) -> dict[str, tuple[Any, ...]]:
    """The arguments of each function of a table."""
    return {name: tuple(args) for name, (_, *args) in table.items()}


def differentiate(table: Table) -> dict[str, Derivatives | Exception]:
    """The derivatives of every function of a table."""

    def derivatives(name: str) -> Callable[..., Derivatives]:
        return lambda args: Derivatives(*(gradients(grad, table[name][0], args[name]) for grad in GRADS))

    with jax.enable_x64(True):
        return together({name: derivatives(name) for name in table}, arguments(table))


def check(found: Derivatives | Exception) -> None:
    """Raise ``AssertionError`` unless the derivatives are JAX's."""
    if isinstance(found, Exception):
        raise found
    assert_trees_close(found.ours, found.by_jax, rtol=1e-11, atol=1e-11)


# --- with a broken rule ------------------------------------------------------------------------------


def broken(rule: Rule, uses: list[str]) -> Rule:
    """The rule, with all it returns 1 % too large; of a rule that returns nothing, one that returns ``g``."""

    @functools.wraps(rule)
    def wrong(g: Any, output: Any, /, *operands: Any, **settings: Any) -> list[Any]:
        uses.append("used")
        cotangents = rule(g, output, *operands, **settings)
        if all(one is None for one in cotangents):
            return [g for _ in cotangents]
        return [None if one is None else one * 1.01 for one in cotangents]

    return wrong


def functions_by_primitive(table: Table) -> dict[str, list[str]]:
    """For every primitive the rows whose functions use it."""
    found = {"digamma": ["lgamma"]}  # whose derivative it is
    for name, (f, *args) in table.items():
        for primitive in graph.primitives(jaxprs.trace(f, *args)):
            found.setdefault(primitive, []).append(name)
    return found


def differentiate_with_broken(rules: walk.Rules, table: Table) -> dict[str, Broken | Exception]:
    """For every rule, the derivatives of the first function of the table that uses it, with it broken."""
    found_in = {}

    def derivatives(primitive: str, rows: Sequence[str], args: Mapping[str, Sequence[Any]]) -> list[Any]:
        uses: list[str] = []
        grad = functools.partial(backprop.grad, rules={primitive: broken(rules[primitive], uses)})
        for name in rows:
            for orders in (1, 2):
                found = gradients(grad, table[name][0], args[name], orders)
                if uses:
                    found_in[primitive] = name
                    return found
        raise LookupError(f"{primitive}: no function of the table uses this rule")

    with jax.enable_x64(True):
        rows = functions_by_primitive(table)
        functions = {p: functools.partial(derivatives, p, rows.get(p, [])) for p in rules}
        found = together(functions, arguments(table))
    return {p: Broken(found_in[p], one) if p in found_in else one for p, one in found.items()}


def check_that_it_fails(found: Broken | Exception, unbroken: Mapping[str, Derivatives | Exception]) -> None:
    """Raise unless derivatives with a broken rule differ from those of JAX."""
    if isinstance(found, Exception):
        raise found
    right = unbroken[found.function]
    check(right)
    assert isinstance(right, Derivatives)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check(Derivatives(found.ours, right.by_jax[: len(found.ours)]))
