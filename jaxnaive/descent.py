"""Ways downhill: what a slope promises, slopes by trying, the path of an optimizer, good learning rates."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxnaive import backprop
from jaxnaive.batches import AnyArray
from jaxnaive.layers import Params
from jaxnaive.optimizers import AnyOptimizer, apply_updates

Loss = Callable[[Any], Any]  # params -> a number

# --- slopes ------------------------------------------------------------------------------------------


class Promise(NamedTuple):
    """A step straight downhill: what the slope says that it changes, and what it changes."""

    step: float  # length
    promised: float  # change of the loss, by the slope alone
    came: float  # change of the loss


def promises(
    loss: Callable[..., Any], params: Params, steps: Sequence[float], *shared: PyTree
) -> tuple[list[Promise], float]:
    """Steps straight downhill, and the curvature of the loss on the way.

    What the slope leaves out is half the curvature times the square of the step, for small steps. Differences
    of losses are mostly rounding in float32: call it in float64.

    Args:
      loss: of the parameters, and of what is shared.
      params: where the steps start.
      steps: their lengths.
      shared: what else the loss takes, such as a batch. Closed over, it would be a constant of the program.

    Returns:
      A promise for each step; and the second derivative of the loss in this direction.

    >>> (promise,), curvature = promises(lambda w: 1.5 * w**2, jnp.array(2.0), [1.0])
    >>> promise, curvature
    (Promise(step=1.0, promised=-6.0, came=-4.5), 3.0)
    """
    before, grads = jax.jit(backprop.value_and_grad(loss))(params, *shared)
    length = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(grads)))

    def downhill(step: Any, params: Params, grads: Params, *shared: PyTree) -> Any:
        return loss(jax.tree.map(lambda w, g: w - step * g / length, params, grads), *shared)

    given, after = (params, grads, *shared), jax.jit(downhill)
    curvature = jax.jit(backprop.grad(backprop.grad(downhill)))(jnp.zeros([], before.dtype), *given)
    made = [Promise(step, float(-step * length), float(after(step, *given) - before)) for step in steps]
    return made, float(curvature)


def one_at_a_time(
    loss: Loss, params: Params, places: Int[AnyArray, " probes"], step: float = 1e-2
) -> Float[Array, " probes"]:
    """Slopes found without derivatives: each from the losses on both sides of one coefficient.

    Args:
      loss: of the parameters.
      params: where the slopes are wanted.
      places: which coefficients to try, counted through all arrays in their order.
      step: to each side.

    >>> one_at_a_time(lambda w: jnp.sum(w**2), jnp.array([1.0, 2.0, 3.0]), jnp.array([2])).round().tolist()
    [6.0]
    """
    flat, unflatten = ravel_pytree(params)

    def slope(place: Array) -> Array:
        higher, lower = (loss(unflatten(flat.at[place].add(sign * step))) for sign in (1, -1))
        return (higher - lower) / (2 * step)

    return jax.lax.map(slope, jnp.asarray(places))


# --- ways --------------------------------------------------------------------------------------------


@partial(jax.jit, static_argnames=("optimizer", "loss", "steps"))
def follow(optimizer: AnyOptimizer, loss: Loss, start: PyTree[Array], steps: int) -> Any:
    """Where an optimizer goes on a function: its start, and the place after each step.

    Args:
      optimizer: by hand, or any of optax's.
      loss: of the parameters.
      start: the first parameters.
      steps: how many.

    >>> from jaxnaive import optimizers
    >>> follow(optimizers.sgd(0.25), lambda w: w**2, jnp.array(8.0), 3).tolist()
    [8.0, 4.0, 2.0, 1.0]
    """

    def step(carry: Any, _: None) -> tuple[Any, Any]:
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return (apply_updates(params, updates), state), params

    _, visited = jax.lax.scan(step, (start, optimizer.init(start)), length=steps + 1)
    return visited


def dented(depth: float, width: float, place: float) -> Callable[[Any], Any]:
    """A bowl whose lowest place is near 2, with a dent elsewhere, as a function of one number.

    >>> bowl = dented(1.0, 0.5, -1.0)
    >>> round(float(bowl(-1.0)), 3), round(float(bowl(1.0)), 3)
    (0.35, 0.15)
    """
    return lambda w: 0.15 * (w - 2) ** 2 - depth * jnp.exp(-(((w - place) / width) ** 2))


def valley(w: Float[AnyArray, "*points 2"]) -> Float[Array, "*points"]:
    """A quadratic that is 100 times as steep across as along, lowest at the origin.

    >>> valley(jnp.array([2.0, 0.0])).item(), valley(jnp.array([0.0, 2.0])).item()
    (2.0, 200.0)
    """
    return 0.5 * jnp.asarray(w[..., 0] ** 2 + 100 * w[..., 1] ** 2)


# --- learning rates ----------------------------------------------------------------------------------


def regions(
    accuracy: Float[np.ndarray, "rates seeds"], diverged: Bool[np.ndarray, "rates seeds"]
) -> dict[str, Bool[np.ndarray, " rates"]]:
    """Which learning rates are good: within 2 % of the best; slow: below these; or diverged in a run, above.

    A run that is right less than half as often as the best has diverged too: its loss need not be infinite,
    since relu units that are pushed below 0 for every example stay there.

    Args:
      accuracy: at the end of each run; the learning rates grow.
      diverged: whether a number of the run is not finite.

    >>> accuracy = np.array([[0.2], [0.9], [0.91], [0.1]])
    >>> {name: found.nonzero()[0].tolist() for name, found in regions(accuracy, accuracy < 0).items()}
    {'slow': [0], 'good': [1, 2], 'diverged': [3]}
    """
    mean = accuracy.mean(axis=-1)
    good = mean > mean.max() - 0.02
    places, well = np.arange(len(good)), np.flatnonzero(good)
    lost = (diverged | (accuracy < mean.max() / 2)).any(axis=-1)
    return {"slow": places < well.min(), "good": good, "diverged": lost & (places > well.max())}
