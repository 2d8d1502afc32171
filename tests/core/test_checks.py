"""Functions of one's own that return what they should not: each is refused in a sentence, or works."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnaive import layers, losses, optimizers, training
from jaxnaive.batches import Examples

MODEL = layers.mlp(4, 8, 3)
IMAGES = np.random.default_rng(0).random((25, 4)).astype(np.float32)
TOY = Examples(IMAGES, IMAGES[:, :3].argmax(axis=1).astype(np.int32))
RECIPE = training.Recipe(MODEL, optimizers.sgd(0.1), batch_size=10)
CE = losses.cross_entropy


def top(logits, labels, k):
    return (jnp.argsort(-logits)[:, :k] == labels[:, None]).any(axis=1).mean()


@dataclasses.dataclass(frozen=True)
class Top:
    k: int

    def __call__(self, logits, labels):
        return top(logits, labels, self.k)


@dataclasses.dataclass
class WithoutHash:
    def __call__(self, logits, labels):
        return 0.0


def evaluated(metrics):
    recipe = RECIPE._replace(metrics=metrics)
    params, _ = training.train(jax.random.key(0), TOY, recipe, 1)
    return training.evaluate(params, TOY, recipe)


def test_every_metric_is_reported_under_a_name_of_its_own():
    two, one = functools.partial(top, k=2), functools.partial(top, k=1)
    found = evaluated([two, one, Top(2), jax.jit(two), lambda x, y: top(x, y, 1), lambda x, y: top(x, y, 2)])
    names = ["top(k=2)", "top(k=1)", "Top", "top", "<lambda>", "<lambda> 2"]
    assert found.metrics.keys() == {*names}
    order = np.argsort(-np.asarray(found.logits), axis=1)
    first, second = (np.mean([TOY.labels[n] in order[n, :k] for n in range(25)]) for k in (1, 2))
    expected = [second, first, second, second, first, second]
    np.testing.assert_allclose([found.metrics[name] for name in names], expected, rtol=1e-6)


def test_metrics_may_be_a_list_and_are_compiled_once():
    first, second = (RECIPE._replace(metrics=[losses.accuracy]) for _ in range(2))
    assert hash(first) == hash(second) == hash(RECIPE)
    counted = []
    with_count = RECIPE._replace(metrics=[lambda x, y: counted.append(1) or jnp.zeros([])])
    for recipe in (with_count, with_count._replace(metrics=[*with_count.metrics])):
        training.evaluate(MODEL.init(jax.random.key(0)), TOY, recipe)
    assert len(counted) == 1


def test_no_metrics_and_no_accuracy():
    assert evaluated(()).metrics == {}
    with pytest.raises(KeyError, match="accuracy"):
        _ = evaluated((losses.confusion,)).accuracy


def optimizer_that_returns(updates: Any) -> Any:
    """One without a state."""
    make: Any = optax.GradientTransformation
    return make(lambda params: (), lambda grads, state, _=None: (updates(grads), state))


def model_that_returns(outputs: Any) -> Any:
    return layers.Layer(MODEL.init, lambda params, x: outputs(MODEL.forward(params, x)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"loss": lambda x, y: CE(x, y).mean()},
            "got shape () for 10 examples, expected (10,); leave out the",
        ),
        (
            {"loss": lambda x, y: CE(x, y)[:, None]},
            "got shape (10, 1) for 10 examples, expected (10,); remove",
        ),
        ({"loss": lambda x, y: x}, "loss: got shape (10, 3) for 10 examples, expected (10,)"),
        ({"loss": None}, "loss: got None, expected a function"),
        ({"metrics": ("accuracy",)}, "metrics: got 'accuracy', expected functions"),
        ({"metrics": (WithoutHash(),)}, "metrics: got a WithoutHash without __hash__"),
        (
            {"model": model_that_returns(lambda x: x.T)},
            "forward: got shape (3, 10) for 10 examples, expected",
        ),
        ({"model": model_that_returns(lambda x: (x, x))}, "forward: got a tuple for 10 examples"),
        (
            {"optimizer": optimizer_that_returns(lambda g: {})},
            "optimizer: got updates PyTreeDef({}), expected",
        ),
        (
            {"optimizer": optimizer_that_returns(lambda g: jax.tree.map(jnp.sum, g))},
            "optimizer: got an update of shape () for the parameters [0]['b'], expected (8,)",
        ),
    ],
)
def test_what_a_function_must_not_return_is_refused(changes, message, as_a_user):
    with pytest.raises((TypeError, ValueError)) as caught:
        training.train(jax.random.key(0), TOY, RECIPE._replace(**changes), 1)
    assert message in str(caught.value)


def test_a_loss_of_another_shape_is_refused_in_evaluation_too(as_a_user):
    params = MODEL.init(jax.random.key(0))
    with pytest.raises(ValueError, match=r"loss: got shape \(\) for 25 examples"):
        training.evaluate(params, TOY, RECIPE._replace(loss=lambda x, y: CE(x, y).mean()))
