"""Movements of space, the law that tells which are linear, and the collapse of affine layers.

python experiments/geometry.py

Rows S34 to S41 of the notes. The notes call translation linear; the law says otherwise. And three dense
layers without relu are one dense layer, exactly, and learn no more than it does.
"""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxnaive import command, data, geometry, layers, optimizers, training
from jaxnaive.command.options import DatasetName, Figures, Seeds
from jaxnaive.disk import files
from jaxnaive.job import check_at_least, epochs_for
from jaxnaive.pictures import drawings

BATCH_SIZE = 128
MIN_UPDATES = 2345  # as many as 5 epochs of MNIST

MAPS = {
    "rotation by 30 degrees": geometry.rotation(np.pi / 6),
    "scaling by 1.5 and 0.5": geometry.scaling(jnp.array([1.5, 0.5])),
    "shear by 0.5": geometry.shear(0.5),
    "translation by (1, 0.5)": geometry.translation(jnp.array([1.0, 0.5])),
    "affine: all of them": geometry.compose(
        geometry.translation(jnp.array([1.0, 0.5])),
        geometry.compose(
            geometry.shear(0.5),
            geometry.compose(geometry.scaling(jnp.array([1.5, 0.5])), geometry.rotation(np.pi / 6)),
        ),
    ),
}


@dataclass(frozen=True)
class Options:
    """Show what maps do to the plane, which are linear, and that affine layers collapse."""

    dataset: DatasetName = None
    hidden: tuple[int, int] = (128, 64)
    """units of the two hidden layers"""
    epochs: int | None = None
    """how often every example is seen; by default 5, or more when that makes fewer than 2,345 updates"""
    seeds: Seeds = 8
    out: Figures = Path("runs/geometry")


def main(options: Options) -> dict[str, np.ndarray]:
    """Returns the test accuracies of each kind of network, one a seed."""
    with command.usage():
        check_at_least("seeds", options.seeds, 2)
        check_at_least("epochs", options.epochs, 1)
        data.check_name(options.dataset)
        files.make_folder(options.out)
    print_linearity()
    drawings.maps(options.out / "maps.png", MAPS)

    dataset = data.load(options.dataset)
    inputs, classes = dataset.num_features, len(dataset.class_names)
    first, second = options.hidden
    networks = {
        "one dense layer": layers.mlp(inputs, classes),
        "three, no relu": layers.sequential(
            layers.dense(inputs, first), layers.dense(first, second), layers.dense(second, classes)
        ),
        "three, with relu": layers.mlp(inputs, first, second, classes),
    }
    count = len(dataset.train.labels)
    epochs = options.epochs or epochs_for(MIN_UPDATES, count, BATCH_SIZE, at_least=5)
    print(f"\n{dataset.name}, {epochs} epochs, {options.seeds} seeds: test accuracy")
    accuracies = {}
    for name, network in networks.items():
        recipe = training.Recipe(network, optimizers.nesterov(0.02), batch_size=BATCH_SIZE)
        params = [
            training.train(jax.random.key(seed), dataset.train, recipe, epochs)[0]
            for seed in range(options.seeds)
        ]
        accuracies[name] = np.array([training.evaluate(p, dataset.test, recipe).accuracy for p in params])
        print(f"{name:24}{accuracies[name].mean():.4f} +- {accuracies[name].std(ddof=1):.4f}")
        if name == "three, no relu":
            chain = training.predict(params[0], dataset.test.images, network)
            one = (geometry.collapse(params[0]),)
            alone = training.predict(one, dataset.test.images, networks["one dense layer"])
            print(f"{'  as one layer':24}logits differ by at most {jnp.abs(chain - alone).max():.1e}")
    print(f"saved {options.out}/maps.png")
    return accuracies


def print_linearity() -> None:
    """The law ``f(a x + b y) = a f(x) + b f(y)`` on random points, for each map."""
    x, y = jax.random.normal(jax.random.key(0), (2, 2))
    print("f(a x + b y) - (a f(x) + b f(y)):  any a, b;  a + b = 1")
    for name, f in MAPS.items():
        gaps = [
            float(jnp.abs(geometry.linearity_gap(lambda p, f=f: geometry.apply(f, p), x, y, a, b)).max())
            for a, b in ((2.0, -3.0), (4.0, -3.0))
        ]
        verdict = "linear" if gaps[0] < 1e-5 else "affine, not linear" if gaps[1] < 1e-5 else "neither"
        print(f"{name:26}{gaps[0]:8.1e}{gaps[1]:10.1e}  {verdict}")


if __name__ == "__main__":
    command.run(main, Options)
