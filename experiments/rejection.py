"""How often a network for digits says "not sure": to digits, and to what is none.

python experiments/rejection.py
python experiments/rejection.py runs/mnist-1

Letters and digits are drawn in the fonts that come with matplotlib, and read like a user's pictures. Letters
with the shape of a digit, such as O and l, have a row of their own.
"""

import string
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tyro.conf import Positional

from jaxnaive import command, data, layers, networks, training
from jaxnaive.networks import fitting, handwriting

FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif",
    "DejaVuSerif-Bold", "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralItalic", "cmb10", "cmr10", "cmss10",
    "cmti10", "cmtt10",
)  # fmt: skip
LIKE_DIGITS = "DIOQSZbgiloqsz"
LETTERS = "".join(letter for letter in string.ascii_letters if letter not in LIKE_DIGITS)
DIGITS = tuple(string.digits)
SIDE, FONT_SIZE, PEN = 140, 90, 9  # pixels of a drawing
SCRIBBLES, NOISES = 300, 500
SURE = 0.9  # a probability
MOST_REFUSED, MOST_ACCEPTED = (
    0.03,
    {"letters": 0.4, "noise": 0.01, "noise, blurred": 0.01},
)  # what is promised


@dataclass(frozen=True)
class Options:
    """Measure how often a network is not sure."""

    run: Positional[Path | None] = None
    """folder of a finished run on MNIST, or a file that Network.save wrote; default: a network is trained"""
    seed: int = 0
    """decides scribbles and noise"""


class Row(NamedTuple):
    """What a network says to pictures of one kind."""

    count: int
    accepted: float  # the fraction it is not unsure of
    probable: float  # the fraction it says a digit to with a probability of 0.9 or more


def main(options: Options) -> dict[str, Row]:
    """Returns the rows of the table."""
    network = networks.load(options.run) if options.run else fitting.fit("mnist", validation=0)
    with command.usage():
        networks.check_takes_digits(network)
        if network.class_names != DIGITS:
            raise ValueError(f"run: got a network for {', '.join(network.class_names)}, expected digits")
    shown = pictures(np.random.default_rng(options.seed))
    rows = {name: measure(network, images) for name, images in shown.items()}
    print(f"{'pictures':24}{'number':>8}{'accepted':>10}{f'{SURE:.0%} probable':>15}")
    for name, row in rows.items():
        print(f"{name:24}{row.count:8,}{row.accepted:10.1%}{row.probable:15.1%}")
    check(rows)
    return rows


def check(rows: dict[str, Row]) -> None:
    """Raise ``MissedError`` unless the rates are as promised."""
    refused = 1 - rows["MNIST's test digits"].accepted
    if refused > MOST_REFUSED:
        raise command.MissedError(f"digits refused: got {refused:.1%}, expected {MOST_REFUSED:.0%} or less")
    for name, most in MOST_ACCEPTED.items():
        if rows[name].accepted > most:
            raise command.MissedError(
                f"{name} accepted: got {rows[name].accepted:.1%}, expected {most:.0%} or less"
            )


def measure(network: networks.Network, images: list[np.ndarray | None]) -> Row:
    """How many pictures are accepted; ``None``, in which no digit was found, is not."""
    found = np.stack([image for image in images if image is not None])
    seen = np.stack([handwriting.as_trained(image, network.rejection) for image in found])
    logits = training.predict(network.params, seen, network.model)
    accepted = ~network.is_unlike(seen)
    probable = np.asarray(layers.softmax(logits)).max(axis=1) >= SURE
    return Row(len(images), accepted.sum() / len(images), probable.sum() / len(images))


def pictures(rng: np.random.Generator) -> dict[str, list[np.ndarray | None]]:
    """Images as a network sees them, by what they are of."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(rng.normal(size=(NOISES, 28, 28)), (0, 2, 2))
    return {
        "MNIST's test digits": list(np.asarray(data.load("mnist").test.images)),
        "scikit-learn's digits": [see(enlarged(image)) for image in data.load("digits").test.images],
        "digits in fonts": in_fonts(string.digits),
        "letters": in_fonts(LETTERS),
        "letters like digits": in_fonts(LIKE_DIGITS),
        "scribbles": [see(scribble(rng)) for _ in range(SCRIBBLES)],
        "noise": list(rng.integers(0, 256, (NOISES, 28, 28), np.uint8)),
        "noise, blurred": list(np.clip(255 * smooth / smooth.std() / 2, 0, 255).astype(np.uint8)),
    }


def in_fonts(characters: str) -> list[np.ndarray | None]:
    """Each of some characters in each font."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    folder, images = Path(matplotlib.get_data_path()) / "fonts" / "ttf", []
    for font in (ImageFont.truetype(folder / f"{name}.ttf", FONT_SIZE) for name in FONTS):
        for character in characters:
            page = Image.new("L", (SIDE, SIDE), 255)
            ImageDraw.Draw(page).text((SIDE / 2, SIDE / 2), character, 0, font, anchor="mm")
            images.append(see(np.asarray(page) / 255))
    return images


def scribble(rng: np.random.Generator) -> np.ndarray:
    """One to three lines that mean nothing, in black on white."""
    from PIL import Image, ImageDraw

    page = Image.new("L", (SIDE, SIDE), 255)
    for _ in range(rng.integers(1, 4)):
        corners = rng.uniform(0.15 * SIDE, 0.85 * SIDE, (rng.integers(3, 8), 2))
        ImageDraw.Draw(page).line([*map(tuple, corners)], 0, PEN, joint="curve")
    return np.asarray(page) / 255


def enlarged(image: np.ndarray) -> np.ndarray:
    """A small image on a larger page."""
    from PIL import Image

    large = Image.fromarray(image).resize((SIDE // 2, SIDE // 2), Image.Resampling.BICUBIC)
    return np.pad(np.asarray(large) / 255, SIDE // 4)


def see(grey: np.ndarray) -> np.ndarray | None:
    """What a network sees of a picture; ``None`` if no digit is found in it."""
    try:
        return handwriting.normalise(handwriting.find_ink(grey))
    except ValueError:
        return None


if __name__ == "__main__":
    command.run(main, Options)
