"""The network of a finished run, to be looked at, used and handed on."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxnaive import certificates, checkpoints, data, layers, runs
from jaxnaive.layers import Layer, Params


class Trained(NamedTuple):
    """A network, and what it takes to use it."""

    folder: Path  # of its run
    config: dict[str, Any]  # of its run
    model: Layer  # forward(params, x [batch, features]) -> logits [batch, classes]
    params: Params
    image_shape: tuple[int, ...]  # of one example, as the dataset has it: (28, 28)
    class_names: tuple[str, ...]


def config_of(dataset: data.Dataset) -> dict[str, Any]:
    """What a run's configuration has to say of its dataset, so that its network can be used without it."""
    return {
        "image_shape": dataset.train.images.shape[1:],
        "class_names": dataset.class_names,
        "fingerprint": data.fingerprint(dataset),
    }


def load(folder: Path) -> Trained:
    """The network of a finished run of ``experiments/mnist.py``.

    Args:
      folder: of the run.

    Raises:
      RefusedError: there is no run, or it did not come to its end.
      DamagedError: its parameters are not those that were certified.
      ValueError: it is of a later format, or its configuration is damaged.
      OSError: a file cannot be read.
    """
    config = runs.stored_config(folder)
    certificate = certificates.read(folder)
    if certificate is None:
        raise runs.RefusedError(f"{folder}: the run is not complete; finish it with --resume --out {folder}")
    if not certificates.holds(folder, certificate):
        raise checkpoints.DamagedError(
            f"{folder / certificates.PARAMS}: not what was certified; --resume --out {folder} makes it again"
        )
    try:
        image_shape, class_names = tuple(config["image_shape"]), tuple(config["class_names"])
        _ = config["dataset"], config["fingerprint"]  # for load_dataset
        model = layers.mlp(math.prod(image_shape), *config["hidden"], len(class_names))
        like = jax.eval_shape(model.init, jax.random.key(0))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder / 'config.json'}: not of a run of this version ({error!r})") from error
    params = checkpoints.load_params(folder / certificates.PARAMS, like)
    return Trained(folder, config, model, params, image_shape, class_names)


def load_dataset(
    network: Trained, data_dir: Path | None = None, manual_dir: Path | None = None
) -> data.Dataset:
    """The dataset that a network was trained on, from where :func:`data.load` finds it.

    Raises:
      ValueError: what is there now is not what the network was trained on; or as in :func:`data.load`.
      ConnectionError, ImportError, OSError: as in :func:`data.load`.
    """
    name = network.config["dataset"]
    dataset = data.load(name, data_dir=data_dir, manual_dir=manual_dir)
    found, expected = data.fingerprint(dataset), network.config["fingerprint"]
    if found != expected:
        raise ValueError(f"{name}: got the data {found}, but {network.folder} was trained on {expected}")
    return dataset
