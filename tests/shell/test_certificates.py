"""The certificate of a run: what it says, and that it would say otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnaive import layers, optimizers, training
from jaxnaive.disk import checkpoints
from jaxnaive.runs import certificates


def recipe_with(optimizer):
    return training.Recipe(layers.mlp(6, 4, 3), optimizer, batch_size=10)


def test_s56_the_certificate_counts(tmp_path, toy):
    recipe = recipe_with(optimizers.sgd(0.1))
    with certificates.count_compiles() as compiles:
        state = training.start(jax.random.key(0), recipe)
        losses = []
        for _ in range(3):
            state, loss = training.train_epoch(state, toy, recipe)
            losses.append(loss)
        test = training.evaluate(state.params, toy, recipe)
    checkpoints.save_params(tmp_path / "params.safetensors", state.params)
    history = training.History(np.stack(losses))
    certificate = certificates.certify(tmp_path, state, history, 50, test, recipe, compiles)
    assert certificate["times_scheduled"] == [{"1": 50}] * 3 and certificate["evaluated"] == 50
    assert certificate["non_finite"] == 0
    assert certificate["compiles"] == {"start": 1, "train_epoch": 1, "evaluate": 1}
    assert certificate["params"]["bytes"] == (tmp_path / "params.safetensors").stat().st_size
    certificates.write(tmp_path, certificate)
    assert certificates.read(tmp_path) == certificate and certificates.holds(tmp_path, certificate)
    assert "each example once an epoch\ncounted: 50 evaluated, 0 values" in certificates.to_text(certificate)
    spoilt = test._replace(logits=test.logits.at[3, 1].set(np.nan))
    assert certificates.certify(tmp_path, state, history, 50, spoilt, recipe, compiles)["non_finite"] == 1


def test_the_certificate_would_see_an_example_that_is_seen_twice(tmp_path, toy, monkeypatch):
    twice = jnp.arange(50).at[3].set(4)
    monkeypatch.setattr(training.batches, "epoch_order", lambda key, epoch, examples, shares: twice)
    seen = certificates.times_scheduled(jax.random.key(0), 1, 50, recipe_with(optax.sgd(0.1)))
    assert seen == [{"0": 1, "1": 48, "2": 1}]
