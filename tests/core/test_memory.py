"""The estimate of memory, beside sums by hand and what XLA allots."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxnaive import jaxprs, memory

X = jax.ShapeDtypeStruct((300, 300), jnp.float32)
ARRAY = 4 * 300 * 300  # bytes


def chain(x):
    for _ in range(10):
        x = jnp.sin(x) @ x
    return x


def loop_and_product(x):
    return lax.fori_loop(0, 5, lambda i, y: jnp.sin(y), x) @ x


PROGRAMS = {  # with how many arrays they take
    "products, one after another": (chain, 3),
    "fused": (lambda x: 2 * jnp.sin(x) + 1, 1),
    "fused, but for what is reduced": (lambda x: (2 * jnp.sin(x) + 1).sum(), 1),
    "three results, one of them as it came in": (lambda x: [jnp.sin(x), jnp.cos(x) + 1, x @ x], 3),
    "views": (lambda x: (x @ x).reshape(600, 150) @ x.reshape(150, 600), 5),
    "a loop over an argument": (lambda x: lax.fori_loop(0, 5, lambda i, y: jnp.sin(y), x), 1),
    "a loop over what it was given": (lambda x: lax.fori_loop(0, 5, lambda i, y: jnp.sin(y), x @ x), 1),
    "a loop whose result is used": (lambda x: lax.fori_loop(0, 5, lambda i, y: jnp.sin(y), x @ x) @ x, 2),
    "a loop over what is needed once more": (lambda x: loop_and_product(x @ x), 3),
    "a product in a loop": (lambda x: lax.fori_loop(0, 5, lambda i, y: y @ x, x), 2),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_is_what_xla_allots(name):
    program, arrays = PROGRAMS[name]
    estimate = memory.peak_bytes(jaxprs.trace(program, X))
    allotted: Any = jax.jit(program).lower(X).compile().memory_analysis()
    by_xla = allotted.temp_size_in_bytes + allotted.output_size_in_bytes
    assert estimate == pytest.approx(arrays * ARRAY, abs=2000)
    assert by_xla == pytest.approx(arrays * ARRAY, abs=2000)
