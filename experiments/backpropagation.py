"""Backpropagation from scratch: seen on the book's example and on the notes' network, and equal to JAX's own.

    python experiments/backpropagation.py

Rows S51, S52, S60 to S65, S83 and S86 of the notes. A function is traced to a graph (`jaxnaive/graph.py`), a
walk backwards along it gives the gradient (`jaxnaive/backprop.py`), and the network trains with it.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxnaive import backprop, batches, command, data, layers, losses, optimizers, training
from jaxnaive.command import benchmark
from jaxnaive.command.options import DatasetName, Figures
from jaxnaive.disk import files
from jaxnaive.graph import Operation, Output, evaluate, operands_of, to_mermaid, to_text
from jaxnaive.jaxprs import trace
from jaxnaive.job import check_at_least
from jaxnaive.pictures import diagrams

BATCH_SIZE, STEPS = 128, 100
ROUNDS, CALLS = 9, 10
PROBED = 200  # coefficients that are really tried one at a time
STEP_SIZES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)


@dataclass(frozen=True)
class Options:
    """Watch backpropagation, compare it with JAX's, and see what it saves."""

    dataset: DatasetName = None
    hidden: int = 512
    """units of the hidden layer"""
    statistics: bool = False
    """also list and draw the values and gradients on every edge of a real step"""
    out: Figures = Path("runs/backpropagation")


class Result(NamedTuple):
    """What the comparisons come to."""

    gradient_difference: float  # largest, of any coefficient, relative to the largest of its array
    curve_difference: float  # largest, of the losses of 100 steps
    step_ratio: float  # time of a step with backpropagation by hand to one with JAX's
    one_by_one: float  # seconds to try every coefficient, extrapolated
    backward: float  # seconds of a gradient, with the loss
    forward: float  # seconds of a loss


def main(options: Options) -> Result:
    with command.usage():
        check_at_least("hidden", options.hidden, 1)
        data.check_name(options.dataset)
        files.make_folder(options.out)
    show_worked_example(options.out)
    show_derivatives()

    dataset = data.load(options.dataset)
    recipe = network(dataset.num_features, options.hidden, len(dataset.class_names))
    params = recipe.model.init(jax.random.key(0))
    order = batches.epoch_order(jax.random.key(0), 0, len(dataset.train.labels))
    rows = batches.index_table(order, BATCH_SIZE)
    batch = batches.take(dataset.train, jax.tree.map(lambda column: column[0], rows))
    print(f"\n{dataset.name}: {layers.count(params):,} coefficients, {BATCH_SIZE} examples a batch")
    show_network(options, recipe, params, batch)
    result = compare(recipe, params, batch, dataset.train)
    show_curvature(recipe, params, batch)
    print(f"saved {options.out}/: example.png, network.png and .svg, graph.txt, graph.mmd")
    if result.gradient_difference > 1e-4 or result.curve_difference > 1e-3:
        raise command.MissedError("backpropagation by hand and JAX's own differ")
    return result


def network(inputs: int, hidden: int, classes: int) -> training.Recipe:
    """The notes' two-layer network. Its relu and loss are jitted, and so can be drawn as one node each."""
    first = layers.dense(inputs, hidden, jax.jit(layers.relu), layers.he_normal)
    model = layers.sequential(first, layers.dense(hidden, classes))
    loss = jax.jit(losses.cross_entropy)
    return training.Recipe(model, optimizers.nesterov(0.1), loss, BATCH_SIZE)


# --- seeing it ---------------------------------------------------------------------------------------


@jax.jit
def distance(y_true: Any, y: Any) -> Any:
    """The book's loss, a node of its own."""
    return jnp.abs(y_true - y)


def example(x: Any, w: Any, b: Any, y_true: Any) -> Any:
    """The book's worked example."""
    return distance(y_true, x * w + b)


def is_opened(call: Operation) -> bool:
    """Keep as one node what a person thinks of as one."""
    return call.primitive == "jit" and call.name not in ("distance", "relu", "cross_entropy")


def show_worked_example(out: Path) -> list[backprop.GraphPath]:
    """The book's example with every number, and each path from an argument to the loss."""
    arguments = {"x": 2.0, "w": 3.0, "b": 1.0, "y_true": 4.0}
    graph = trace(example, *arguments.values(), opened=is_opened)
    values = evaluate(graph, *arguments.values())
    gradients = backprop.backward(graph, values, [jnp.ones([])])
    print("distance(y_true, x w + b) at x = 2, w = 3, b = 1, y_true = 4")
    found = []
    for place, name in enumerate(arguments):
        for path in backprop.paths(graph, values, Output(place)):
            way = " > ".join([name, *(graph.nodes[node].name for node, _ in path.edges)])
            product = " * ".join(f"{slope:g}" for slope in path.slopes)
            total = gradients.outputs[Output(place)]
            print(f"  {way:28}{product:>10} = {path.product:2g}    d loss / d {name} = {total:g}")
            found.append(path)

    def text(node: int, slot: int) -> diagrams.EdgeText:
        value = operands_of(graph.nodes[node], values)[slot]
        return diagrams.EdgeText(f"{value:g}", f"{gradients.edges[node, slot]:g}")

    title = "each value (grey) and how fast the loss grows with it (red)"
    diagrams.draw([out / "example.png"], graph, text, title, to_the_right=True)
    return found


def show_derivatives() -> None:
    """Two paths add up; a derivative is a function that has one too."""
    graph = trace(lambda x: x * x + x, 3.0)
    values = evaluate(graph, 3.0)
    products = [f"{path.product:g}" for path in backprop.paths(graph, values, Output(0))]
    print(f"x x + x at 3: {' + '.join(products)} = {backprop.grad(lambda x: x * x + x)(3.0):g}")
    print(f"2 x + 3 anywhere: {backprop.grad(lambda x: 2 * x + 3)(5.0):g}")
    print(f"4.9 t^2, twice: {backprop.grad(backprop.grad(lambda t: 4.9 * t**2))(1.0):g}")


def show_network(
    options: Options, recipe: training.Recipe, params: layers.Params, batch: batches.Batch
) -> None:
    """The graph of the network's loss, as text and as pictures."""

    def loss(first: Any, second: Any, images: Any, labels: Any, weight: Any) -> Any:
        return training.mean_loss((first, second), batches.Batch(images, labels, weight), recipe)

    arguments = (*params, *batch)
    (options.out / "graph.txt").write_text(to_text(trace(loss, *arguments)) + "\n")
    graph = trace(loss, *arguments, opened=is_opened)
    (options.out / "graph.mmd").write_text(to_mermaid(graph) + "\n")
    title = f"The loss of a batch of {BATCH_SIZE}: the shape of every value"
    diagrams.draw([options.out / "network.png", options.out / "network.svg"], graph, title=title)
    if not options.statistics:
        return
    values = evaluate(graph, *jax.tree.leaves(arguments))
    gradients = backprop.backward(graph, values, [jnp.ones([])])
    print(f"{'edge':44}{'mean':>10}{'sd':>10}{'zeros':>8}")
    texts = {}
    for place, node in enumerate(graph.nodes):
        for slot, value in enumerate(operands_of(node, values)):
            source = graph.nodes[node.operands[slot].node].name
            gradient = gradients.edges.get((place, slot))
            texts[place, slot] = diagrams.EdgeText(
                summary(value), "" if gradient is None else summary(gradient)
            )
            for kind, array in (("", value), (", gradient", gradient)):
                if array is not None:
                    array = np.asarray(array, np.float64)
                    name = f"{source} > {node.name}{kind}"
                    print(f"{name:44}{array.mean():10.1e}{array.std():10.1e}{(array == 0).mean():8.0%}")
    title = "One step: mean ± sd of the values (grey) and of the gradients (red) on every edge"
    diagrams.draw([options.out / "statistics.png"], graph, lambda node, slot: texts[node, slot], title)


def summary(array: Any) -> str:
    """Mean and standard deviation of an array, or the number that all of it is."""
    array = np.asarray(array, np.float64)
    return f"{array.mean():.1e} ± {array.std():.0e}" if array.std() else f"{array.mean():.3g}"


# --- the same as JAX, and what it saves --------------------------------------------------------------


def compare(
    by_jax: training.Recipe, params: layers.Params, batch: batches.Batch, train: batches.Examples
) -> Result:
    """Gradients, a hundred steps of training, and time, by JAX and by hand."""
    by_hand = by_jax._replace(value_and_grad=backprop.value_and_grad)
    recipes = (by_jax, by_hand)
    gradients = [backward_pass(params, batch, recipe) for recipe in recipes]
    difference = max(
        float(jnp.abs(a - b).max() / jnp.abs(a).max())
        for a, b in zip(*(jax.tree.leaves(grads) for _, grads in gradients), strict=True)
    )
    some, _ = jax.device_put(batches.split(train, STEPS * BATCH_SIZE))
    epochs = STEPS // batches.num_batches(len(some.labels), BATCH_SIZE)
    key = jax.random.key(0)
    jax_curve, hand_curve = (training.train(key, some, r, epochs)[1].loss.ravel() for r in recipes)
    curve_difference = float(jnp.abs(jax_curve - hand_curve).max())
    print(f"gradients by hand and by JAX: {difference:.1e} apart at most, of the largest in their array")
    print(f"losses of {jax_curve.size} steps: {curve_difference:.1e} apart at most")

    state = training.start(key, by_jax)
    step = jax.jit(training.train_step, static_argnums=2)
    loss = jax.jit(training.mean_loss, static_argnums=2)
    jax_step, hand_step, forward, backward, probes = benchmark.medians(
        lambda: step(state, batch, by_jax),
        lambda: step(state, batch, by_hand),
        lambda: loss(params, batch, by_jax),
        lambda: backward_pass(params, batch, by_hand),
        lambda: one_at_a_time(params, batch, by_jax),
        rounds=ROUNDS,
        calls=(CALLS, CALLS, CALLS, CALLS, 1),
    )
    count = layers.count(params)
    one_by_one = probes / PROBED * count
    print(f"a training step: {1e3 * jax_step:.2f} ms by JAX, {hand_step / jax_step:.2f} times that by hand")
    print(f"a forward pass: {1e3 * forward:.2f} ms; and backward: {backward / forward:.1f} times that")
    print(f"each coefficient tried alone, {2 * count:,} forward passes: {one_by_one:,.0f} s, that is")
    print(f"{one_by_one / backward:,.0f} times as long (extrapolated from {PROBED} coefficients)")
    return Result(difference, curve_difference, hand_step / jax_step, one_by_one, backward, forward)


@partial(jax.jit, static_argnames="recipe")
def backward_pass(params: layers.Params, batch: batches.Batch, recipe: training.Recipe) -> Any:
    """The loss and its gradient."""
    return recipe.value_and_grad(training.mean_loss)(params, batch, recipe)


@partial(jax.jit, static_argnames="recipe")
def one_at_a_time(params: layers.Params, batch: batches.Batch, recipe: training.Recipe) -> jax.Array:
    """Slopes by some coefficients, evenly spread, each from the losses on both sides: two passes."""
    flat, unflatten = ravel_pytree(params)

    def slope(place: jax.Array) -> jax.Array:
        def loss(step: float) -> jax.Array:
            return training.mean_loss(unflatten(flat.at[place].add(step)), batch, recipe)

        return (loss(1e-2) - loss(-1e-2)) / 2e-2

    return jax.lax.map(slope, jnp.linspace(0, flat.size - 1, PROBED).astype(jnp.int32))


def show_curvature(recipe: training.Recipe, params: layers.Params, batch: batches.Batch) -> None:
    """The gradient is a slope. What it leaves out is half the curvature times the square of the step."""
    with jax.enable_x64(True):  # in float32 the difference of two losses would be mostly rounding
        params, images, weight = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, jnp.float64), (params, batch.images, batch.weight)
        )
        batch = batch._replace(images=images, weight=weight)
        rows, curvature = promises(lambda p: training.mean_loss(p, batch, recipe), params)
    print(f"\nhalf the curvature along the gradient: {curvature / 2:.3f}")
    print("against the gradient    promised        came   error / step^2")
    for step, promised, came in rows:
        print(f"step {step:<14g}{promised:13.5g}{came:12.5g}{(came - promised) / step**2:16.3f}")


def promises(loss: Any, params: Any) -> tuple[list[tuple[float, float, float]], float]:
    """For steps straight downhill: the change of the loss by its slope, and its change; and the curvature.

    Args:
      loss: of the parameters, a number.
      params: where the steps start.

    Returns:
      A row a step, of the step's length, the promised and the real change; and the second derivative of the
      loss in this direction, from backpropagation applied twice.
    """
    before, grads = jax.jit(backprop.value_and_grad(loss))(params)
    length = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(grads)))

    @jax.jit
    def downhill(step: Any) -> Any:
        return loss(jax.tree.map(lambda w, g: w - step * g / length, params, grads))

    curvature = jax.jit(backprop.grad(backprop.grad(downhill)))(jnp.zeros([], before.dtype))
    rows = [(step, float(-step * length), float(downhill(step) - before)) for step in STEP_SIZES]
    return rows, float(curvature)


if __name__ == "__main__":
    command.run(main, Options)
