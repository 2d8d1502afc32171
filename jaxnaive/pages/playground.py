"""A page to draw digits on: the trained network in HTML and JavaScript, without a server."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array

from jaxnaive import pages
from jaxnaive.layers import Params
from jaxnaive.networks import Network, check_takes_digits
from jaxnaive.pages import toys

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
        network=to_json(network.params, network.class_names),
    )


def to_json(params: Params, class_names: Sequence[str]) -> dict[str, Any]:
    """Class names and dense layers for a page: ``w`` and ``b`` of each as base64 of little-endian float32.

    The rows of ``w`` stand one after the other. A page knows its shape, because the length of ``b`` is the
    number of a layer's units.
    """
    layers = [{name: _to_base64(array) for name, array in layer.items()} for layer in params]
    return {"class_names": list(class_names), "layers": layers}


def _to_base64(array: Array) -> str:
    return base64.b64encode(np.asarray(array, "<f4").tobytes()).decode()
