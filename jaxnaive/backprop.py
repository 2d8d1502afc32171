"""Reverse-mode differentiation from first principles: a walk backwards along the graph of a JAX function.

For every operation there is a rule (``rules``, ``linear_rules``, ``control_flow``) from the cotangent of its
output, ``g``, to those of its operands: how fast the result of the whole function grows with each. The walk
(``walk``) starts at the result with ``g = 1``, takes the nodes in reverse topological order, and adds where
paths meet. That is all of backpropagation; :func:`grad` is equal to ``jax.grad``.
"""

import functools
import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import PyTree

from jaxnaive.graph import Graph, Output, Values, inputs_of, results_of
from jaxnaive.jaxprs import trace
from jaxnaive.rules import is_float
from jaxnaive.walk import Rules, backward, forward, values_at_zero


def value_and_grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    rules: Rules | None = None,
) -> Callable[..., tuple[Any, Any]]:
    """A function that returns the value and the gradient of a function. Equal to ``jax.value_and_grad``.

    The gradient by a complex number ``x = a + ib`` of a real result is ``d/da - i d/db``, as in JAX: a step
    against its conjugate makes the result smaller. If the function is holomorphic it has a complex slope,
    which is the gradient; ``holomorphic=True`` says that it is, and lets the result be complex.

    Args:
      function: returns one floating-point number; or, with ``has_aux``, a pair of it and a pytree of arrays.
        It is traced as by ``jax.jit``: it does not print.
      argnums: the arguments, counted from 0, by which to differentiate: arrays, or pytrees of arrays.
      has_aux: whether the function returns such a pair.
      holomorphic: whether the function is holomorphic, with complex arguments and a complex result.
      allow_int: whether integers may be differentiated by; their gradient is of dtype ``float0``.
      rules: your own rules, by the names of primitives; they come before those of :data:`RULES`. A rule is a
        function ``rule(g, y, *operands)`` of the cotangent of the output, the output and the operands. It
        returns a sequence with one cotangent an operand, ``None`` where there is none. What else it needs,
        such as the axes of a sum, it takes as keyword-only arguments by the names in the node's ``settings``.

    Returns:
      A function of the same arguments, that returns the value (or pair) and the gradient, a pytree like the
      argument, or a tuple of them if ``argnums`` is a sequence.

    Raises:
      TypeError: when called, if the function does not return a floating-point number, or is differentiated
        by something else. What JAX raises, with the line of the function, if it uses a primitive that JAX
        does not differentiate either.

    >>> value, gradient = value_and_grad(lambda x: x * x + x)(3.0)
    >>> print(value, gradient)  # x * x is reached by two paths, 3 + 3, and x by one, 1
    12.0 7.0
    """
    is_one = not isinstance(argnums, Sequence)
    argnums = [operator.index(place) for place in ([argnums] if is_one else argnums)]

    @functools.wraps(function)
    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        places = _places(argnums, len(args))

        def of_chosen(*chosen: Any) -> Any:
            full = list(args)
            for place, arg in zip(places, chosen, strict=True):
                full[place] = arg
            return _checked_result(function(*full, **kwargs), has_aux, holomorphic)

        chosen = tuple(args[place] for place in places)
        for leaf in jax.tree.leaves(chosen):
            _check_differentiable(leaf, holomorphic, allow_int)
        value, pullback, *aux = vjp(of_chosen, *chosen, has_aux=has_aux, rules=rules)
        gradient = pullback(jnp.ones_like(value))
        return (value, *aux) if has_aux else value, gradient[0] if is_one else gradient

    return value_and_gradient


def grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    rules: Rules | None = None,
) -> Callable[..., Any]:
    """A function that returns the gradient alone, or, with ``has_aux``, and the rest. Equal to ``jax.grad``.

    >>> print(grad(grad(lambda t: 4.9 * t**2))(1.0))
    9.8
    >>> straight_through = {"sign": lambda g, y, x: [g]}  # as if the slope of sign were 1
    >>> print(grad(lambda x: 3 * jnp.sign(x), rules=straight_through)(2.0))
    3.0
    """
    both = value_and_grad(function, argnums, has_aux, holomorphic, allow_int, rules)

    @functools.wraps(function)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        result, grads = both(*args, **kwargs)
        return (grads, result[1]) if has_aux else grads

    return gradient


def vjp(
    function: Callable[..., Any], *args: PyTree[Any], has_aux: bool = False, rules: Rules | None = None
) -> tuple[Any, ...]:
    """The value of a function, and its pullback: from a cotangent of the value to those of the arguments.

    A function that asks in Python for the value of an array, as in ``if x > 0:``, has no graph before that
    value is known. It is run once more, with the values, by ``jax.linearize``, and the walk goes back along
    the graph of its tangents, in which the branches are taken.

    Args:
      function: returns arrays; with ``has_aux`` a pair of them and of a pytree that is not differentiated.
      args: where to differentiate.
      has_aux: whether the function returns such a pair.
      rules: as in :func:`value_and_grad`; then the function must have a graph.

    Returns:
      The value; a function of a pytree like it (with ``None`` for leaves that do not count), which returns
      one gradient an argument; and with ``has_aux`` the rest. Integers get ``float0``, as in ``jax.vjp``.
    """
    try:
        graph = trace(function, *args)
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerIntegerConversionError):
        if rules:
            raise
        return _vjp_of_taken_branches(function, *args, has_aux=has_aux)
    values = forward(graph, *jax.tree.leaves(args), rules=rules)
    result = graph.structure.unflatten(results_of(graph, values))
    value, *rest = result if has_aux else (result,)
    back = functools.partial(_back, graph, rules)
    return value, _pullback(back, values, value, args), *rest


def _vjp_of_taken_branches(
    function: Callable[..., Any], *args: PyTree[Any], has_aux: bool
) -> tuple[Any, ...]:
    """The same for a function that has a graph only once values are known: that of its tangents, there."""
    leaves, structure = jax.tree.flatten(args)
    moves = list(map(is_float, leaves))
    floats = [leaf for leaf, move in zip(leaves, moves, strict=True) if move]

    def of_floats(*floats: Any) -> tuple[list[Any], Any]:
        remaining = iter(floats)
        full = [next(remaining) if move else leaf for leaf, move in zip(leaves, moves, strict=True)]
        result = function(*structure.unflatten(full))
        return list(filter(is_float, jax.tree.leaves(result[0] if has_aux else result))), result

    _, tangents, result = jax.linearize(of_floats, *floats, has_aux=True)
    value, *rest = result if has_aux else (result,)
    graph = trace(tangents, *floats)
    values = values_at_zero(graph, *floats)
    are_results = list(map(is_float, jax.tree.leaves(value)))
    back = functools.partial(_back_along_tangents, graph, moves, are_results)
    return value, _pullback(back, values, value, args), *rest


def _back(graph: Graph, rules: Rules | None, values: Values, g: Sequence[Any]) -> list[Any]:
    of_rest = [None] * (len(graph.outputs) - len(g))  # the auxiliary results
    gradients = backward(graph, values, [*g, *of_rest], rules=rules).outputs
    return [gradients.get(Output(place)) for place in range(len(inputs_of(graph)))]


def _back_along_tangents(
    graph: Graph, moves: Sequence[bool], are_results: Sequence[bool], values: Values, g: Sequence[Any]
) -> list[Any]:
    given = [one for one, is_result in zip(g, are_results, strict=True) if is_result]
    gradients = backward(graph, values, given, linear=True).outputs
    places = itertools.count()
    return [gradients.get(Output(next(places))) if move else None for move in moves]


def _pullback(
    back: Callable[[Values, Sequence[Any]], list[Any]], values: Values, value: PyTree[Any], args: PyTree[Any]
) -> Callable[[PyTree[Any]], tuple[Any, ...]]:
    """From cotangents of the value to those of the arguments; a pytree of the values, as JAX's is."""
    types, structure = jax.tree.flatten(jax.tree.map(jax.typeof, value))
    arg_types, arg_structure = jax.tree.flatten(jax.tree.map(jax.typeof, args))

    def pullback(values: Values, g: PyTree[Any]) -> tuple[Any, ...]:
        given = map(_cotangent, structure.flatten_up_to(g), types)
        return arg_structure.unflatten(map(_gradient_by, arg_types, back(values, list(given))))

    return jax.tree_util.Partial(pullback, values)


def _gradient_by(type_: Any, gradient: Any) -> Any:
    """The gradient by one leaf of the arguments: of its dtype, and weak if it is a number of Python."""
    if not is_float(type_):
        return np.zeros(type_.shape, jax.dtypes.float0)
    if gradient is None:
        gradient = jnp.zeros(type_.shape, type_.dtype)
    number = jnp.asarray(1j if jnp.iscomplexobj(gradient) else 1.0)  # weak, as a number of Python is
    is_weak = type_.weak_type and (number.shape, number.dtype) == (type_.shape, type_.dtype)
    return lax.full_like(number, gradient) if is_weak else gradient


def _cotangent(g: Any, type_: Any) -> Any:
    if g is None or not is_float(type_):
        return None
    try:
        given = jax.typeof(g)
    except TypeError:
        raise ValueError(f"gradient by the result: got {type(g).__name__}, expected an array") from None
    if given.shape != type_.shape or not (given.dtype == type_.dtype or given.weak_type):
        raise ValueError(
            f"gradient by the result: got {given.dtype} of shape {given.shape}, "
            f"expected {type_.dtype} of shape {type_.shape}"
        )
    return jnp.asarray(g, type_.dtype)


# --- checks ------------------------------------------------------------------------------------------


def _places(argnums: Sequence[int], count: int) -> list[int]:
    for place in argnums:
        if not -count <= place < count:
            raise ValueError(f"argnums: got {place}, but there are {count} arguments")
    places = [place % count for place in argnums]
    if len({*places}) != len(places):
        raise ValueError(f"argnums: got {argnums}, expected each argument once")
    return places


def _checked_result(result: Any, has_aux: bool, holomorphic: bool) -> Any:
    if has_aux and not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(f"has_aux: the function returned {type(result).__name__}, expected a pair")
    value: Any = result[0] if has_aux else result
    expected = jnp.complexfloating if holomorphic else jnp.floating
    if jax.tree.structure(value) != jax.tree.structure(0):
        found, is_right = type(value).__name__, False
    else:
        dtype = jnp.result_type(value)
        found = f"{dtype} of shape {jnp.shape(value)}"
        is_right = jnp.shape(value) == () and jnp.issubdtype(dtype, expected)
    if not is_right:
        advice = "" if holomorphic else "; of a holomorphic function, pass holomorphic=True"
        number = "complex number, as it is said to be holomorphic" if holomorphic else "floating-point number"
        raise TypeError(f"gradient: the function returned {found}, expected one {number}{advice}")
    return result


def _check_differentiable(leaf: Any, holomorphic: bool, allow_int: bool) -> None:
    dtype = jnp.result_type(leaf)
    is_inexact = jnp.issubdtype(dtype, jnp.inexact)
    if holomorphic and not jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError(f"holomorphic: got {dtype} of shape {jnp.shape(leaf)}, expected complex numbers")
    if not is_inexact and not allow_int:
        raise TypeError(f"differentiate by floating-point numbers: got {dtype} of shape {jnp.shape(leaf)}")
