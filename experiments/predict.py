"""Ask a trained network about your own pictures of digits, drawn or photographed.

python experiments/predict.py seven.png photo.jpg
python experiments/predict.py --run runs/mnist-1 seven.png

Each picture goes through MNIST's own normalisation first: without it most of them are not recognised. Of a
picture that is like nothing the network was trained on it says that it is not sure.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tyro.conf import Positional

from jaxnaive import command, layers, networks, rejection, runs, training
from jaxnaive.disk import files
from jaxnaive.networks import handwriting
from jaxnaive.pictures import plots

LIKELIEST = 3  # classes that are printed
NOT_SURE = "not sure: like nothing the network was trained on"

logger = logging.getLogger("jaxnaive")


@dataclass(frozen=True)
class Options:
    """Say which digits are in pictures, and save what the network saw of each."""

    images: Positional[tuple[Path, ...]]
    """pictures (PNG, JPEG, GIF, WEBP, TIFF, ...) of a digit each, dark on light or light on dark, of any
    size"""
    run: Path | None = None
    """folder of a finished run on images of MNIST's size, or a file that Network.save wrote; default: the
    last such run in runs"""
    out: Path = Path("runs/predict")
    """folder for the figures, one a picture"""


def main(options: Options) -> list[np.ndarray]:
    """Returns the probabilities for each picture; if some cannot be used, raises the last one's error."""
    with command.usage():
        if not options.images:
            raise ValueError("images: got none, expected one or more")
    network = networks.load(
        options.run or runs.last_folder(command.RUNS, networks.takes_digits, "digits of MNIST's size")
    )
    with command.usage():
        networks.check_takes_digits(network)
        files.check_folder(options.out)
    if network.rejection is None:
        logger.warning(
            '%s: of an earlier version, without what it takes to say "not sure"; train it again to have that',
            network.folder or options.run,
        )
    found, errors = [], []
    for number, path in enumerate(options.images, 1):
        try:
            grey, seen = look(path)
        except (ValueError, OSError) as error:
            errors.append(error)
            continue
        seen = handwriting.as_trained(seen, network.rejection)
        logits = training.predict(network.params, seen[None], network.model)
        probabilities = np.asarray(layers.softmax(logits))[0]
        learned, best = network.rejection, probabilities.argmax(keepdims=True)
        unsure = learned is not None and bool(rejection.is_unlike(learned, seen[None], best)[0])
        figure = options.out / f"seen-{number}-{path.stem}.png"
        files.make_folder(options.out)
        plots.seen(figure, grey, seen, probabilities, network.class_names, unsure)
        likeliest = np.argsort(-probabilities, kind="stable")[:LIKELIEST]
        said = ", ".join(f"{network.class_names[k]} {probabilities[k]:.1%}" for k in likeliest)
        answer = f"{NOT_SURE} ({said})" if unsure else said
        print(f"{path}: {answer}; saved {figure}")
        found.append(probabilities)
    for error in errors[:-1]:
        logger.error("error: %s", command.describe(error))
    if errors:
        raise errors[-1]
    return found


def look(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A picture's grey values, and what the network gets to see of it."""
    grey = handwriting.read(path)
    try:
        return grey, handwriting.normalise(handwriting.find_ink(grey))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


if __name__ == "__main__":
    command.run(main, Options)
