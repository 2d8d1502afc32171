"""Matrix products that a network can be computed with instead of the plain one, because they are faster.

A dense layer is ``x @ w + b``. :func:`jaxnaive.layers.mlp` and ``job`` hand it one of these instead of ``@``.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Product = Callable[[Array, Array], Array]  # x [batch, inputs], w [inputs, outputs] -> [batch, outputs]

MAX_OUTPUTS = 16  # of for_few_outputs; with 32 neither form of the gradient is always faster


def for_few_outputs(product: Product) -> Product:
    """The same product, with a gradient that is faster on a CPU where outputs are few, such as one a class.

    The gradient with respect to ``w`` is ``x.T @ g``, or ``(g.T @ x).T``. When ``g`` has ten columns, the
    first takes XLA ten times as long: an epoch of 784-512-10 takes a tenth less with the second. XLA rewrites
    the second as the first, except across a barrier.
    """

    def same_product(x: Array, w: Array) -> Array:
        return product(x, jax.lax.optimization_barrier(w.T).T if w.shape[1] <= MAX_OUTPUTS else w)

    return same_product


@jax.custom_vjp
def matmul_bfloat16(x: Float[Array, "rows n"], y: Float[Array, "n columns"]) -> Float[Array, "rows columns"]:
    """The product of factors rounded to bfloat16 (8 bits of 24), with float32 sums; so are its gradients.

    It is faster where a processor multiplies bfloat16, and slower elsewhere.
    """
    factors = (array.astype(jnp.bfloat16) for array in (x, y))
    return jnp.matmul(*factors, preferred_element_type=jnp.float32)


def _matmul_bfloat16_gradients(
    factors: tuple[Array, Array], g: Float[Array, "rows columns"]
) -> tuple[Array, Array]:
    x, y = factors
    return matmul_bfloat16(g, y.T), matmul_bfloat16(x.T, g)


matmul_bfloat16.defvjp(lambda x, y: (matmul_bfloat16(x, y), (x, y)), _matmul_bfloat16_gradients)


class Products(NamedTuple):
    """What the layers of a network multiply with."""

    hidden: Product
    last: Product


FLOAT32 = Products(jnp.matmul, for_few_outputs(jnp.matmul))
BFLOAT16 = Products(matmul_bfloat16, for_few_outputs(matmul_bfloat16))
