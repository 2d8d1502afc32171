"""A layer is two pure functions, ``init`` and ``forward``; a network is layers applied in order.

Nothing here holds state: ``init(key)`` returns the parameters, a pytree of arrays, and ``forward(params, x)``
uses them. A dense layer's parameters are ``{"w": [inputs, outputs], "b": [outputs]}``.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from jaxnaive.operations import relu
from jaxnaive.products import FLOAT32, Product, Products

Params = PyTree[Array]
Activation = Callable[[Array], Array]
Initializer = Callable[[Array, tuple[int, ...]], Array]  # key, shape -> weights


class Layer(NamedTuple):
    """A transformation with trainable parameters. A whole network is a ``Layer`` too."""

    init: Callable[[Array], Any]  # key -> params
    forward: Callable[[Any, Array], Array]  # params, x [batch, inputs] -> [batch, outputs]


# --- activations -------------------------------------------------------------------------------------


def identity(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """No activation: a dense layer with it is an affine map."""
    return x


def softmax(logits: Float[Array, "*batch classes"]) -> Float[Array, "*batch classes"]:
    """Probabilities over the last axis: ``exp(z_i) / sum_j exp(z_j)``.

    Not element-wise: each output depends on the whole row. The largest logit is subtracted first, which
    changes nothing in exact arithmetic and keeps ``exp`` from overflowing.
    """
    exponentials = jnp.exp(logits - jax.lax.stop_gradient(logits.max(axis=-1, keepdims=True)))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


# --- initialisers: (key, shape) -> float32 weights, as in jax.nn.initializers ------------------------


def naive_uniform(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """U[0, 0.1), as in the notes. All weights are positive, so the logits and the first loss are large."""
    return jax.random.uniform(key, shape, jnp.float32, 0.0, 0.1)


def glorot_uniform(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "inputs outputs"]:
    """U[-a, a) with ``a = sqrt(6 / (inputs + outputs))``, the default of Keras.

    Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.
    """
    limit = (6 / sum(shape)) ** 0.5
    return jax.random.uniform(key, shape, jnp.float32, -limit, limit)


def he_normal(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "inputs outputs"]:
    """N(0, 2 / inputs), which keeps the scale of a signal through relu.

    Not truncated, as in PyTorch; Keras and ``jax.nn.initializers.he_normal`` cut it off at two deviations.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", 2015.
    """
    inputs, _ = shape
    return (2 / inputs) ** 0.5 * jax.random.normal(key, shape, jnp.float32)


# --- layers ------------------------------------------------------------------------------------------


def dense(
    inputs: int,
    outputs: int,
    activation: Activation = identity,
    initializer: Initializer = glorot_uniform,
    product: Product = jnp.matmul,
) -> Layer:
    """A densely connected layer: ``activation(x @ w + b)``.

    The bias starts at zero. It need not be random: random ``w`` already makes the units differ, and the
    gradient with respect to ``b`` is not zero.

    Args:
      inputs: features of an example.
      outputs: features of the result, one for each unit of the layer.
      activation: applied to the ``[batch, outputs]`` array as a whole, since softmax is not element-wise.
      initializer: makes ``w``; any of ``jax.nn.initializers`` will do.
      product: multiplies matrices; ``products`` has faster ones.

    Returns:
      The layer. Its ``forward`` raises ``ValueError`` unless ``x`` holds ``inputs`` floats an example.

    >>> layer = dense(3, 2, relu)
    >>> layer.forward(layer.init(jax.random.key(0)), jnp.ones((5, 3))).shape
    (5, 2)
    """

    def init(key: Key[Array, ""]) -> Params:
        return {"w": initializer(key, (inputs, outputs)), "b": jnp.zeros(outputs, jnp.float32)}

    def forward(params: Params, x: Float[Array, "*batch features"]) -> Float[Array, "*batch units"]:
        if x.shape[-1] != inputs:
            raise ValueError(f"dense layer: got {x.shape[-1]} features an example, expected {inputs}")
        if not jnp.issubdtype(x.dtype, jnp.floating):  # uint8 @ float32 raises no error
            raise ValueError(f"dense layer: got {x.dtype}, expected floats; see batches.as_features")
        return activation(product(x, params["w"]) + jnp.expand_dims(params["b"], range(x.ndim - 1)))

    return Layer(init, forward)


def sequential(*layers: Layer) -> Layer:
    """Layers applied in order. The parameters are a tuple with one entry for each layer.

    Returns:
      The network. Its ``forward`` raises ``ValueError`` unless there is one entry for each layer.

    >>> model = sequential(dense(784, 512, relu), dense(512, 10))
    >>> count(model.init(jax.random.key(0)))
    407050
    """

    def init(key: Key[Array, ""]) -> Params:
        keys = jax.random.split(key, len(layers))
        return tuple(layer.init(key) for layer, key in zip(layers, keys, strict=True))

    def forward(params: Params, x: Array) -> Array:
        if not isinstance(params, tuple | list) or len(params) != len(layers):
            came = (
                f"{len(params)} of them" if isinstance(params, tuple | list) else f"a {type(params).__name__}"
            )
            raise ValueError(f"parameters: got {came}, expected a tuple of {len(layers)}, one for each layer")
        return reduce(_apply, zip(layers, params, strict=True), x)

    return Layer(init, forward)


def mlp(*sizes: int, products: Products = FLOAT32) -> Layer:
    """A multi-layer perceptron: dense layers of these sizes, relu between them, logits at the end.

    ``mlp(784, 512, 10)`` is the book's network: 784 pixels, 512 hidden units, 10 classes.
    """
    return sequential(*mlp_layers(*sizes, products=products))


def mlp_layers(*sizes: int, products: Products = FLOAT32) -> list[Layer]:
    """The layers of :func:`mlp` one by one, for :func:`activations`."""
    *hidden, last = pairwise(sizes)
    return [
        *(dense(*pair, relu, he_normal, products.hidden) for pair in hidden),
        dense(*last, product=products.last),
    ]


def activations(layers: Sequence[Layer], params: Sequence[Params], x: Array) -> list[Array]:
    """The outputs of all layers for ``x``, in order; the last is that of the network."""
    return list(accumulate(zip(layers, params, strict=True), _apply, initial=x))[1:]


def _apply(x: Array, layer_and_params: tuple[Layer, Params]) -> Array:
    layer, params = layer_and_params
    return layer.forward(params, x)


# --- parameters --------------------------------------------------------------------------------------


def count(params: PyTree) -> int:
    """How many numbers the parameters hold; or would, of their shapes."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
