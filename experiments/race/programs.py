"""Ten programs of the kinds that people differentiate, each one function to one number.

Each is ``program(small, grad) -> (function, args)``. ``function(*args)`` returns one float, and is to be
differentiated by its first argument. ``small`` makes the sizes those of a test; otherwise a compiled gradient
takes 5 to 100 ms on two cores. ``grad`` is the gradient transformation for those with a gradient inside.
The data is random, and the same every time.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax, random
from jaxtyping import Array

Grad = Callable[[Callable[..., Any]], Callable[..., Any]]
Program = Callable[[bool, Grad], tuple[Callable[..., Array], tuple[Any, ...]]]


# --- what several of them need -----------------------------------------------------------------------


def _dense(key: Array, sizes: Sequence[int]) -> list[tuple[Array, Array]]:
    """Weights and biases of dense layers."""
    keys = random.split(key, len(sizes) - 1)
    return [
        (random.normal(key, (m, n)) / m**0.5, jnp.zeros(n))
        for key, m, n in zip(keys, sizes, sizes[1:], strict=False)
    ]


def _through(params: list[tuple[Array, Array]], x: Array, activation: Callable[[Array], Array]) -> Array:
    """The values of the last of these dense layers, which has no activation."""
    for w, b in params[:-1]:
        x = activation(x @ w + b)
    w, b = params[-1]
    return x @ w + b


def _cross_entropy(logits: Array, labels: Array) -> Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], axis=-1).mean()


def _examples(shape: Sequence[int], classes: int) -> tuple[Array, Array]:
    """Values from 0 to 1, and labels for all axes of the shape but the features."""
    keys = random.split(random.key(1))
    return random.uniform(keys[0], shape), random.randint(keys[1], shape[:1], 0, classes)


def _layer_norm(x: Array, scale: Array, shift: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-6) * scale + shift


# --- the programs ------------------------------------------------------------------------------------


def mlp(small: bool, grad: Grad) -> tuple[Callable[..., Array], tuple[Any, ...]]:
    """A classifier with two hidden layers of rectified linear units."""
    batch, hidden = (8, 16) if small else (256, 512)

    def loss(params, x, labels):
        return _cross_entropy(_through(params, x, jax.nn.relu), labels)

    params = _dense(random.key(0), (784, hidden, hidden, 10))
    return loss, (params, *_examples((batch, 784), 10))


def cnn(small: bool, grad: Grad) -> tuple[Callable[..., Array], tuple[Any, ...]]:
    """Two convolutions, the first followed by the largest of 2 x 2 values, the second by their mean."""
    batch, channels = (2, 4) if small else (32, 16)
    window, numbers = (1, 2, 2, 1), ("NHWC", "HWIO", "NHWC")

    def convolve(x, kernel):
        return jax.nn.relu(lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=numbers))

    def loss(params, x, labels):
        kernels, dense = params
        x = lax.reduce_window(convolve(x, kernels[0]), -jnp.inf, lax.max, window, window, "VALID")
        x = lax.reduce_window(convolve(x, kernels[1]), 0.0, lax.add, window, window, "VALID") / 4
        return _cross_entropy(_through(dense, x.reshape(len(x), -1), jax.nn.relu), labels)

    keys = random.split(random.key(0), 3)
    kernels = [
        random.normal(keys[0], (3, 3, 1, channels)) / 3,
        random.normal(keys[1], (3, 3, channels, 2 * channels)) / (3 * channels**0.5),
    ]
    params = kernels, _dense(keys[2], (7 * 7 * 2 * channels, 10))
    return loss, (params, *_examples((batch, 28, 28, 1), 10))


def lstm(small: bool, grad: Grad) -> tuple[Callable[..., Array], tuple[Any, ...]]:
    """A recurrent classifier of sequences, its steps in a scan."""
    batch, length, hidden = (2, 5, 4) if small else (32, 50, 128)
    features = 8

    def loss(params, xs, labels):
        cell, head = params

        def step(state, x):
            h, c = state
            i, f, g, o = jnp.split(jnp.concatenate([x, h], axis=-1) @ cell[0] + cell[1], 4, axis=-1)
            c = jax.nn.sigmoid(f + 1) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        zeros = jnp.zeros((len(xs), hidden))
        (h, _), _ = lax.scan(step, (zeros, zeros), xs.swapaxes(0, 1))
        return _cross_entropy(_through(head, h, jnp.tanh), labels)

    keys = random.split(random.key(0))
    (cell,) = _dense(keys[0], (features + hidden, 4 * hidden))
    params = cell, _dense(keys[1], (hidden, 10))
    return loss, (params, *_examples((batch, length, features), 10))


def attention(small: bool, grad: Grad) -> tuple[Callable[..., Array], tuple[Any, ...]]:
    """A block of a transformer: causal attention with several heads, then a dense part, both normalised."""
    batch, length, width, heads = (2, 4, 8, 2) if small else (8, 64, 128, 4)

    def attend(params, x):
        q, k, v = (jnp.einsum("btc,chd->bthd", x, w) for w in params["qkv"])
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / (width // heads) ** 0.5
        causal = jnp.tril(jnp.ones((length, length), bool))
        weights = jax.nn.softmax(jnp.where(causal, scores, -1e9))
        return jnp.einsum("bhqk,bkhd,hdc->bqc", weights, v, params["out"])

    def loss(params, x, labels):
        x = x + attend(params, _layer_norm(x, *params["norms"][0]))
        x = x + _through(params["dense"], _layer_norm(x, *params["norms"][1]), jax.nn.gelu)
        return _cross_entropy(_through(params["head"], x.mean(1), jax.nn.gelu), labels)

    keys = random.split(random.key(0), 4)
    params = {
        "qkv": list(random.normal(keys[0], (3, width, heads, width // heads)) / width**0.5),
        "out": random.normal(keys[1], (heads, width // heads, width)) / width**0.5,
        "dense": _dense(keys[2], (width, 4 * width, width)),
        "head": _dense(keys[3], (width, 10)),
        "norms": [(jnp.ones(width), jnp.zeros(width)) for _ in range(2)],
    }
    return loss, (params, *_examples((batch, length, width), 10))


def vae(small: bool, grad: Grad) -> tuple[Callable[..., Array], tuple[Any, ...]]:
    """A variational autoencoder: the negative evidence lower bound of pictures, with its noise drawn inside.

    Source: Kingma and Welling, "Auto-encoding variational Bayes", 2014.
    """
    batch, hidden, latent = (4, 8, 2) if small else (128, 512, 20)

    def loss(params, x, key):
        encoder, decoder = params
        mean, log_variance = jnp.split(_through(encoder, x, jax.nn.softplus), 2, axis=-1)
        z = mean + jnp.exp(log_variance / 2) * random.normal(key, mean.shape)
        logits = _through(decoder, z, jax.nn.softplus)
        log_likelihood = jnp.sum(x * logits - jnp.logaddexp(0.0, logits), axis=-1)
        divergence = 0.5 * jnp.sum(jnp.exp(log_variance) + mean**2 - 1 - log_variance, axis=-1)
        return (divergence - log_likelihood).mean()

    keys = random.split(random.key(0))
    params = _dense(keys[0], (784, hidden, 2 * latent)), _dense(keys[1], (latent, hidden, 784))
    x, _ = _examples((batch, 784), 10)
    return loss, (params, x, random.key(2))


def flow(small: bool, grad: Grad) -> tuple[Callable[..., Array], tuple[Any, ...]]:
    """A normalising flow of affine couplings: the negative log-likelihood of points.

    Source: Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP", 2017.
    """
    batch, half, hidden, couplings = (4, 2, 4, 2) if small else (512, 8, 128, 8)

    def loss(params, x):
        log_determinant = jnp.zeros(len(x))
        for coupling in params:
            kept, moved = jnp.split(x, 2, axis=-1)
            log_scale, shift = jnp.split(_through(coupling, kept, jax.nn.silu), 2, axis=-1)
            log_scale = jnp.tanh(log_scale)
            x = jnp.concatenate([moved * jnp.exp(log_scale) + shift, kept], axis=-1)
            log_determinant += log_scale.sum(-1)
        return -(jax.scipy.stats.norm.logpdf(x).sum(-1) + log_determinant).mean()

    keys = random.split(random.key(0), couplings)
    params = [_dense(key, (half, hidden, hidden, 2 * half)) for key in keys]
    return loss, (params, random.normal(random.key(1), (batch, 2 * half)))


def neural_ode(small: bool, grad: Grad) -> tuple[Callable[..., Array], tuple[Any, ...]]:
    """A differential equation whose right side is a network, by Runge and Kutta's method of order 4.

    Source: Chen, Rubanova, Bettencourt and Duvenaud, "Neural ordinary differential equations", 2018.
    """
    batch, hidden, steps = (2, 4, 3) if small else (128, 64, 20)
    dt = 1 / steps

    def loss(params, start, target):
        def slope(t, y):
            return _through(params, jnp.concatenate([y, jnp.full_like(y[:, :1], t)], axis=-1), jnp.tanh)

        def step(y, t):
            a = slope(t, y)
            b = slope(t + dt / 2, y + dt / 2 * a)
            c = slope(t + dt / 2, y + dt / 2 * b)
            d = slope(t + dt, y + dt * c)
            return y + dt / 6 * (a + 2 * b + 2 * c + d), None

        end, _ = lax.scan(step, start, dt * jnp.arange(steps, dtype=start.dtype))
        return jnp.square(end - target).mean()

    points = random.normal(random.key(1), (2, batch, 2))
    return loss, (_dense(random.key(0), (3, hidden, hidden, 2)), points[0], points[1])


def pinn(small: bool, grad: Grad) -> tuple[Callable[..., Array], tuple[Any, ...]]:
    """A network that is to solve Burgers' equation, of which the derivatives are gradients in the loss.

    Source: Raissi, Perdikaris and Karniadakis, "Physics-informed neural networks", 2019.
    """
    points, hidden = (4, 4) if small else (1024, 64)

    def loss(params, t, x):
        def u(t, x):
            return _through(params, jnp.stack([t, x]), jnp.tanh)[0]

        def residual(t, x):
            by_t, by_x = grad(u), grad(lambda x, t: u(t, x))
            return by_t(t, x) + u(t, x) * by_x(x, t) - 0.01 * grad(by_x)(x, t)

        inside = jax.vmap(residual)(t, x)
        start = jax.vmap(u)(jnp.zeros_like(x), x) + jnp.sin(jnp.pi * x)
        return jnp.square(inside).mean() + jnp.square(start).mean()

    keys = random.split(random.key(1))
    t, x = random.uniform(keys[0], (points,)), random.uniform(keys[1], (points,), minval=-1.0)
    return loss, (_dense(random.key(0), (2, hidden, hidden, hidden, 1)), t, x)


def from_scratch(small: bool, grad: Grad) -> tuple[Callable[..., Array], tuple[Any, ...]]:
    """The network of JAX's own example ``mnist_classifier_fromscratch``."""
    batch, hidden = (8, 16) if small else (128, 1024)

    def loss(params, x, targets):
        logits = _through(params, x, jnp.tanh)
        log_probabilities = logits - jax.scipy.special.logsumexp(logits, axis=1, keepdims=True)
        return -jnp.mean(jnp.sum(log_probabilities * targets, axis=1))

    x, labels = _examples((batch, 784), 10)
    return loss, (_dense(random.key(0), (784, hidden, hidden, 10)), x, jax.nn.one_hot(labels, 10))


def training_run(small: bool, grad: Grad) -> tuple[Callable[..., Array], tuple[Any, ...]]:
    """The loss after a whole run of gradient descent, by the first parameters and the learning rate."""
    batch, hidden, steps = (8, 4, 3) if small else (128, 256, 20)

    def batch_loss(params, x, labels):
        return _cross_entropy(_through(params, x, jnp.tanh), labels)

    def loss(start, xs, labels):
        params, log_rate = start

        def step(params, batch):
            gradient = grad(batch_loss)(params, *batch)
            return jax.tree.map(lambda p, g: p - jnp.exp(log_rate) * g, params, gradient), None

        params, _ = lax.scan(step, params, (xs[1:], labels[1:]))
        return batch_loss(params, xs[0], labels[0])

    x, labels = _examples(((steps + 1) * batch, 64), 10)
    start = _dense(random.key(0), (64, hidden, 10)), jnp.log(0.1)
    return loss, (start, x.reshape(steps + 1, batch, 64), labels.reshape(steps + 1, batch))


PROGRAMS: dict[str, Program] = {
    "MLP": mlp,
    "CNN": cnn,
    "LSTM": lstm,
    "attention": attention,
    "VAE": vae,
    "flow": flow,
    "neural ODE": neural_ode,
    "PINN": pinn,
    "from scratch": from_scratch,
    "training run": training_run,
}
