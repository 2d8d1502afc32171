"""Datasets of command lines."""

from collections.abc import Mapping
from typing import Any

from jaxnaive import command, data
from jaxnaive.data import Dataset


def load(name: str | None, reading: Mapping[str, Any], **more: Any) -> Dataset:
    """A dataset, as :func:`jaxnaive.data.load` gives it; what is wrong with an option is a wrong usage.

    Args:
      name: of a dataset, or the path of yours; ``None``: the default.
      reading: how files of yours are read.
      more: other arguments of :func:`jaxnaive.data.load`.

    Raises:
      UsageError: the name, or an option, is impossible.
      ValueError, OSError, ImportError: as in :func:`jaxnaive.data.load`.
    """
    try:
        return data.load(name, **reading, **more)
    except ValueError as error:
        if str(error).partition(":")[0] in ("dataset", *data.OPTIONS):
            raise command.UsageError(str(error)) from error
        raise


def load_classes(name: str | None, reading: Mapping[str, Any], verify: bool = True) -> Dataset:
    """A dataset with classes.

    Args:
      name: or path, as :func:`jaxnaive.data.load` takes it.
      reading: how files of yours are read: options of :func:`jaxnaive.data.load`.
      verify: as in :func:`jaxnaive.data.load`.

    Raises:
      UsageError: as in :func:`load`; or it is a regression.
      ValueError, OSError, ImportError: as in :func:`jaxnaive.data.load`.
    """
    dataset = load(name, reading, verify=verify)
    if dataset.schema.is_regression:
        raise command.UsageError(
            "dataset: got a regression, expected classes; experiments/mnist.py trains one"
        )
    return dataset


def describe(dataset: Dataset, name: str | None) -> dict[str, Any]:
    """What the configuration of a run has to say of its dataset.

    Args:
      dataset: of the run.
      name: by which the options ask for it. With ``None`` a resumed run asks for the default again; a path
        is stored so that it is found from any folder.
    """
    found_by = {} if name is None else dataset.source
    return {"fingerprint": data.fingerprint(dataset)} | found_by
