"""The network of a finished run, to be looked at, used and handed on."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxnaive import data, job, runs
from jaxnaive.disk import checkpoints
from jaxnaive.job import Job
from jaxnaive.layers import Layer, Params
from jaxnaive.networks import handwriting
from jaxnaive.runs import certificates


class Network(NamedTuple):
    """A trained network, and what it takes to use it."""

    folder: Path  # of its run
    job: Job  # that it was trained by
    config: dict[str, Any]  # of its run, as it is stored: the job and all else that the result depends on
    model: Layer  # forward(params, x [batch, features]) -> logits [batch, classes]
    params: Params
    image_shape: tuple[int, ...]  # of one example, as the dataset has it: (28, 28)
    class_names: tuple[str, ...]
    fingerprint: str  # of the dataset


def config_of(dataset: data.Dataset) -> dict[str, Any]:
    """What a run's configuration has to say of its dataset, so that its network can be used without it."""
    return {
        "image_shape": dataset.train.images.shape[1:],
        "class_names": dataset.class_names,
        "fingerprint": data.fingerprint(dataset),
    }


def load(folder: Path) -> Network:
    """The network of a finished run of a job.

    Args:
      folder: of the run.

    Raises:
      RefusedError: there is no run, or it did not come to its end.
      DamagedError: its parameters are not those that were certified.
      ValueError: it is of a later format, or its configuration is not that of a job on a dataset.
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
        own = job.from_json(config)
        image_shape, class_names = tuple(config["image_shape"]), tuple(config["class_names"])
        fingerprint = config["fingerprint"]
        model = job.make_model(own, math.prod(image_shape), len(class_names))
        like = jax.eval_shape(model.init, jax.random.key(0))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / runs.CONFIG}: not of a run of this version ({error})") from error
    params = checkpoints.load_params(folder / certificates.PARAMS, like)
    return Network(folder, own, config, model, params, image_shape, class_names, fingerprint)


def check_takes_digits(network: Network) -> None:
    """Raise ``ValueError`` unless a network takes images of MNIST's size."""
    if not handwriting.has_size_of_mnist(network.image_shape):
        came = " x ".join(map(str, network.image_shape))
        raise ValueError(
            f"{network.folder}: got a network for images of {came}, expected {handwriting.SIDE} x "
            f"{handwriting.SIDE}; train one by experiments/mnist.py --dataset mnist"
        )


def load_dataset(
    network: Network, data_dir: Path | None = None, manual_dir: Path | None = None
) -> data.Dataset:
    """The dataset that a network was trained on, from where :func:`data.load` finds it.

    Raises:
      ValueError: what is there now is not what the network was trained on; or as in :func:`data.load`.
      ConnectionError, ImportError, OSError: as in :func:`data.load`.
    """
    dataset = data.load(network.job.dataset, data_dir=data_dir, manual_dir=manual_dir)
    found, expected = data.fingerprint(dataset), network.fingerprint
    if found != expected:
        raise ValueError(
            f"{network.job.dataset}: got the data {found}, but {network.folder} was trained on {expected}"
        )
    return dataset
