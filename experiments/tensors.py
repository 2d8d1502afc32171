"""What a tensor is, what real data looks like as one, and how it is sliced (rows S01 to S22 of the notes).

python experiments/tensors.py
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnaive import command, data, tensors
from jaxnaive.command.options import Figures
from jaxnaive.disk import files
from jaxnaive.pictures import drawings


@dataclass(frozen=True)
class Options:
    """Describe and slice tensors."""

    dataset: str | None = None
    """whose images are sliced; by default mnist, or digits when mnist cannot be had"""
    out: Figures = Path("runs/tensors")


def main(options: Options) -> dict[str, tensors.Description]:
    """Returns a description of each kind of data."""
    with command.usage():
        data.check_name(options.dataset)
        files.make_folder(options.out)
    dataset = data.load(options.dataset)
    images = np.asarray(dataset.train.images)
    if images.ndim != 3 or len(images) < 100:
        raise ValueError(f"{dataset.name}: got images of shape {images.shape}, expected 100 grey pictures")

    kinds = describe_kinds(dataset.name, images)
    print_table(
        ("data", "rank", "shape", "axes", "dtype", "bytes"),
        [(name, d.rank, d.shape, ", ".join(d.axes), d.dtype, f"{d.bytes:,}") for name, d in kinds.items()],
    )
    print(f"\nslices of {dataset.name}, x")
    print_table(("slice", "shape", "is"), slice_rows(images))
    print("\nwhere JAX is not NumPy")
    print_table(("x = [0 1 ... 9]", "NumPy", "JAX"), differences())

    drawings.slices(options.out / "slices.png", images[10:100], min(images.shape[1:]) // 2)
    print(f"\nsaved {options.out}/: slices.png")
    return kinds


def describe_kinds(name: str, images: np.ndarray) -> dict[str, tensors.Description]:
    """The notes' ranks 0 to 3, the five kinds of real data, and the dataset."""
    make = {
        "vectors": tensors.vectors,
        "time series": tensors.time_series,
        "text": tensors.text,
        "images": tensors.images,
        "video": tensors.video,
    }
    key = jax.random.key(0)
    return {
        "a number": tensors.describe(12),
        "a list": tensors.describe([12, 3, 6, 14, 7]),
        name: tensors.describe(images, ("samples", "height", "width")),
        # Of the video there is only the shape: it would be 106 MB.
        **{
            kind: tensors.describe(jax.eval_shape(make[kind], key), axes)
            for kind, axes in tensors.AXES.items()
        },
    }


def slice_rows(x: np.ndarray) -> list[tuple[str, Any, str]]:
    """The slices of the notes: as text, their shape, and what they are."""
    samples, height, width = x.shape
    half, last = min(height, width) // 2, -(-samples // 128) - 1
    a, b = (height - half) // 2, (width - half) // 2
    first = x[10:100]
    same = all(np.array_equal(first, other) for other in (x[10:100, :, :], x[10:100, 0:height, 0:width]))
    equal = "images 10 to 99" if same else "NOT the same"
    return [
        ("x[10:100]", first.shape, equal),
        ("x[10:100, :, :]", x[10:100, :, :].shape, equal),
        (f"x[10:100, 0:{height}, 0:{width}]", x[10:100, 0:height, 0:width].shape, equal),
        (f"x[:, {height - half}:, {width - half}:]", tensors.bottom_right(x, half).shape, "bottom right"),
        (
            f"x[:, {a}:{a + half - height}, {b}:{b + half - width}]",
            tensors.centre(x, half).shape,
            "centre",
        ),
        ("x[:128]", tensors.batch(x, 0).shape, "batch 0"),
        (f"x[{128 * last}:]", tensors.batch(x, last).shape, f"batch {last}, the last one"),
    ]


def differences() -> list[tuple[str, str, str]]:
    """The same asked of NumPy and of JAX, where the answers differ."""
    x = np.arange(10)
    y = jnp.asarray(x)
    return [
        (
            "x[8:12] / dynamic_slice(x, 8, 4)",
            answer(lambda: x[8:12]),
            answer(lambda: jax.lax.dynamic_slice(y, (8,), (4,))),
        ),
        ("x[[3, 12]]", answer(lambda: x[np.array([3, 12])]), answer(lambda: y[jnp.array([3, 12])])),
        ("array([0.1]).dtype", answer(lambda: np.array([0.1]).dtype), answer(lambda: jnp.array([0.1]).dtype)),
        (
            "array(['cat', 'dog']).dtype",
            answer(lambda: np.array(["cat", "dog"]).dtype),
            answer(lambda: jnp.array(["cat", "dog"]).dtype),
        ),
    ]


def answer(question: Callable[[], Any]) -> str:
    """What comes out, or the name of what is raised."""
    try:
        return str(question())
    except (IndexError, TypeError) as error:
        return type(error).__name__


def print_table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Columns as wide as their widest entry."""
    cells = [header, *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    command.run(main, Options)
