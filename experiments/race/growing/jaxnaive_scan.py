"""jaxnaive: each epoch is one compiled scan; several seeds are what a sweep makes of them."""

from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from experiments.race.specification_growth import LEARNING_RATE, Epoch, Params, Size
from jaxnaive import ensembles, layers, optimizers, training
from jaxnaive.batches import Examples
from jaxnaive.command import garbage
from jaxnaive.runs import sweeps

garbage.freeze_imported_objects()


def prepare(size: Size, images: np.ndarray, labels: np.ndarray) -> Epoch:
    recipe = training.Recipe(
        layers.mlp(*size.layers), optimizers.sgd(LEARNING_RATE), batch_size=size.batch_size
    )
    examples = jax.device_put(Examples(images, labels))
    return (_one if size.seeds == 1 else _several)(size, examples, recipe)


def _one(size: Size, examples: Examples, recipe: training.Recipe) -> Epoch:
    state = training.start(jax.random.key(0), recipe)
    train_epoch = training.train_epoch.lower(state, examples, recipe).compile()

    def epoch() -> Params:
        nonlocal state
        state, _ = jax.block_until_ready(train_epoch(state, examples))
        return [(layer["w"], layer["b"]) for layer in state.params]

    return epoch


def _several(size: Size, examples: Examples, recipe: training.Recipe) -> Epoch:
    keys = jax.vmap(jax.random.key)(np.arange(size.seeds, dtype=np.uint32))
    plan = sweeps.plan(
        lambda key, examples: training.train(key, examples, recipe, 1)[0], keys, shared=(examples,)
    )
    program = ensembles.compiled(plan, ensembles.lowered(plan))

    def epoch() -> Params:
        with ThreadPoolExecutor(plan.calls_at_once) as pool:
            chunks = pool.map(lambda chunk: jax.block_until_ready(program(chunk)), plan.chunks)
            params = ensembles.assemble(plan, list(chunks)).results
        return [(layer["w"], layer["b"]) for layer in params]

    return epoch
