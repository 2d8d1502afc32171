"""A page to draw digits on: the trained network in HTML and JavaScript, without a server."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxnaive import pages, rejection
from jaxnaive.batches import AnyArray
from jaxnaive.layers import Params
from jaxnaive.networks import Network, check_takes_digits
from jaxnaive.pages import toys
from jaxnaive.rejection import Rejection

PLAYGROUND = "playground.html"


def to_html(network: Network) -> str:
    """The page, which holds the parameters.

    Raises:
      ValueError: the network does not take images of MNIST's size, or is not one of dense layers.
    """
    check_takes_digits(network)
    layers: list[Any] = list(network.params)
    return pages.template(PLAYGROUND).render(
        name=Path(network.folder or network.job.dataset or "").resolve().name,
        sizes=[len(layers[0]["w"]), *(layer["b"].size for layer in layers)],
        scripts=toys.scripts(["pad"]),
        styles=toys.styles(["pad"]),
        network=to_json(network.params, network.class_names, network.rejection),
    )


def to_json(params: Params, class_names: Sequence[str], learned: Rejection | None = None) -> dict[str, Any]:
    """Class names and dense layers for a page: ``w`` and ``b`` of each as base64 of little-endian float32.

    The rows of ``w`` stand one after the other. A page knows its shape, because the length of ``b`` is the
    number of a layer's units.

    Args:
      params: of the layers.
      class_names: of the classes.
      learned: what the page needs to say that it is not sure; without it the page always says a class.
    """
    layers = [{name: _to_base64(array) for name, array in layer.items()} for layer in params]
    told = None if learned is None else {
        "mean": _to_base64(learned.mean), "axes": _to_base64(learned.axes), "limit": float(learned.limit),
        "is_light": rejection.is_light(learned),
    }  # fmt: skip
    return {"class_names": list(class_names), "layers": layers, "rejection": told}


def _to_base64(array: AnyArray) -> str:
    return base64.b64encode(np.asarray(array, "<f4").tobytes()).decode()
