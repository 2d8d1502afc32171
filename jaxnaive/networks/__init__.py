"""A trained network: to be looked at, used, handed on; and, in :mod:`networks.fitting`, trained."""

import logging
import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnaive import data, job, layers, losses, regression, rejection, runs
from jaxnaive.batches import Examples
from jaxnaive.data import schema
from jaxnaive.data.schema import Schema
from jaxnaive.disk import checkpoints
from jaxnaive.disk.files import StrPath
from jaxnaive.job import Job
from jaxnaive.layers import Layer, Params
from jaxnaive.networks import chunks, handwriting, measures
from jaxnaive.networks.measures import Measures
from jaxnaive.rejection import Rejection
from jaxnaive.runs import certificates
from jaxnaive.training import History

logger = logging.getLogger("jaxnaive")

EXPERIMENT = "mnist"  # as the configurations of all runs of jobs say, whatever the dataset
FORMAT = 1  # of a network in one file
OWN_MODEL = "own_model"  # in a configuration: the network is not that of the job
REJECTION = "rejection.safetensors"  # in the folder of a run; not where pictures are not as MNIST's
REJECTED = "rejection"  # in a file of Network.save: its arrays are there too


class Prediction(NamedTuple):
    """What a network says to examples."""

    values: np.ndarray  # names of the likeliest classes [examples]; targets [examples] or [examples, targets]
    probabilities: (
        np.ndarray
    )  # [examples, classes], in the order of ``class_names``; [examples, 0] for targets


class Network(NamedTuple):
    """A trained network, and what it takes to use it."""

    folder: Path | None  # of its run, if that is on disk
    job: Job  # that it was trained by
    config: dict[str, Any]  # of its run, as it is stored: the job and all else that the result depends on
    model: Layer  # forward(params, x [batch, features]) -> outputs [batch, outputs]
    params: Params  # with several seeds their axis is the first of each array
    schema: Schema  # of the dataset
    fingerprint: str  # of the dataset
    history: History | None = None  # of its training, if that is known
    seeds: int = 1
    rejection: Rejection | None = None  # which pictures it was not trained for, if its own are as MNIST's

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of one example, as the dataset has it: (28, 28)."""
        return self.schema.shape

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the classes; none in a regression."""
        return self.schema.class_names

    def __repr__(self) -> str:
        sizes = [self.schema.num_features, *self.job.hidden, len(self.schema.outputs.names)]
        what = "a model of one's own" if self.config.get(OWN_MODEL) else "-".join(map(str, sizes))
        parameters = f"{layers.count(self.params) // self.seeds:,} parameters"
        many = f", {self.seeds} seeds" if self.seeds > 1 else ""
        return f"Network: {what} on {Path(self.job.dataset or '').name}, {parameters}{many}"

    def _repr_png_(self) -> bytes | None:
        from jaxnaive.pictures import plots  # takes half a second

        return None if self.history is None else plots.curves_as_png(self.history, repr(self))

    def evaluate(self, examples: Any, labels: Any = None) -> Measures:
        """How it does on examples.

        Args:
          examples: of its dataset, such as ``dataset.test``; or inputs as :meth:`predict` takes them.
          labels: with such inputs, as the dataset's source has them.

        Raises:
          ValueError: they are not what the network was trained on.
        """
        if not isinstance(examples, Examples):
            if labels is None:
                raise ValueError(
                    "labels: got none, expected Examples, such as dataset.test; or inputs and labels"
                )
            from jaxnaive.data import unlabelled  # with the readers of all kinds of files

            examples = unlabelled.examples(examples, labels, self.schema)
        loss = (
            regression.squared_error
            if self.schema.is_regression
            else losses.smoothed_cross_entropy(self.job.label_smoothing)
        )
        return measures.measure(self._outputs(examples.images), examples.labels, self.schema, loss)

    def predict(self, inputs: Any) -> Prediction:
        """The names of the likeliest classes, and all probabilities; or the targets, in their own units.

        With several seeds it is the mean of what they say.

        Args:
          inputs: as the dataset's source has them: rows ``[examples, ...]``, or one of them; a data frame; a
            dictionary, or a list of them, with a value for each column; the path of a table or of pictures;
            or Examples, such as ``dataset.test``, which are scaled already.

        Raises:
          ValueError: they are not what the network was trained on.
          OSError: a file cannot be read.
        """
        from jaxnaive.data import unlabelled  # with the readers of all kinds of files

        own = isinstance(inputs, Examples)
        outputs = self._outputs(inputs.images if own else unlabelled.encode(inputs, self.schema))
        if isinstance(self.schema.outputs, schema.Targets):
            targets = schema.in_units(outputs.mean(axis=0), self.schema.outputs)
            values = targets[:, 0] if targets.shape[1] == 1 else targets
            return Prediction(values, np.zeros((len(targets), 0), np.float32))
        probabilities = np.asarray(layers.softmax(jnp.asarray(outputs))).mean(axis=0)
        places = probabilities.argmax(axis=1)
        return Prediction(schema.answers(places, self.schema.outputs), probabilities)

    def is_unlike(self, images: Any) -> np.ndarray:
        """Whether each picture is like nothing that the network was trained on: bool [examples].

        What it predicts for such a picture means nothing, however probable.

        Args:
          images: scaled already, ``[examples, ...]``: uint8, or floats from 0 to 1.

        Raises:
          ValueError: the network has no :attr:`rejection`.
        """
        if self.rejection is None:
            raise ValueError(
                f"{self.folder or 'network'}: got a network that cannot say what it does not know, expected "
                "one for pictures of MNIST's size; train it again if it is of an earlier version"
            )
        places = self._outputs(images).mean(axis=0).argmax(axis=1)
        return rejection.is_unlike(self.rejection, images, places)

    def save(self, path: StrPath) -> None:
        """Write all of it into one file, which :func:`load` reads.

        Other programs that read safetensors find the parameters in it, under names such as ``0.w``.

        Raises:
          OSError: the file cannot be written. What was at ``path`` is still there.
        """
        about = {
            "network": FORMAT,
            "config": self.config,
            "schema": schema.to_json(self.schema),
            "seeds": self.seeds,
        }
        known = {} if self.rejection is None else {REJECTED: True}
        checkpoints.save(Path(path).expanduser(), _in_one(self.params, self.rejection), about | known)

    def _outputs(self, images: Any) -> np.ndarray:
        """``[seeds, examples, outputs]``."""
        outputs = chunks.predict(self.params, images, self.model, self.seeds)
        return outputs if self.seeds > 1 else outputs[None]


def describe(dataset: data.Dataset) -> dict[str, Any]:
    """What a run's configuration has to say of its dataset, so that its network can be used without it."""
    told: dict[str, Any] = {
        "image_shape": dataset.schema.shape,
        "class_names": dataset.class_names,
        "fingerprint": data.fingerprint(dataset),
    }
    if dataset.schema != schema.of_grey(dataset.schema.shape, dataset.class_names):
        told["schema"] = schema.to_json(dataset.schema)
    return told | {name: value for name, value in dataset.source.items() if name != "dataset"}


def learn_rejection(examples: Examples, known: Schema) -> Rejection | None:
    """What is needed to say "not sure", from training examples; ``None`` unless they are as MNIST's."""
    if not (_is_of_grey_classes(known) and handwriting.has_size_of_mnist(known.shape)):
        return None
    return rejection.learn(examples.images, np.asarray(examples.labels), len(known.class_names))


def config_of(dataset: data.Dataset, own: Job, model: Layer | None = None) -> dict[str, Any]:
    """The configuration of a run of a job.

    Args:
      dataset: that it is trained on.
      own: the job, settled.
      model: if it is not that of the job.
    """
    own_model = {} if model is None else {OWN_MODEL: _program(model, dataset.num_features)}
    return {"experiment": EXPERIMENT} | job.to_json(own) | describe(dataset) | own_model


def load(path: StrPath, model: Any = None) -> Network:
    """A trained network.

    Args:
      path: the folder of a finished run; or a file that :meth:`Network.save` wrote.
      model: as it was given to :func:`jaxnaive.networks.fitting.fit`, if it was: a file holds no functions.

    Raises:
      RefusedError: there is no run or file, or the run did not come to its end.
      TypeError: the model has no ``init`` and ``forward``.
      DamagedError: its parameters are not those that were certified, or saved.
      ValueError: it is of a later format, or its configuration is not that of a job on a dataset.
      OSError: a file cannot be read.
    """
    path = Path(path).expanduser()
    if path.suffix and not path.exists():
        raise runs.RefusedError(f"{path}: there is no such file or folder")
    return _load_file(path, model) if path.is_file() else load_run(path, model)


def check_outputs(model: Layer, known: Schema) -> None:
    """Raise ``ValueError`` unless a model makes an output for each class, or target, of examples."""
    x = jax.ShapeDtypeStruct((2, known.num_features), np.float32)
    try:
        params = jax.eval_shape(model.init, jax.random.key(0))
        found = jax.eval_shape(model.forward, params, x).shape
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"model: got an error for x {x.shape} ({reason:.300})") from error
    if found != (2, len(known.outputs.names)):
        what = "targets" if known.is_regression else "classes"
        raise ValueError(
            f"model: got outputs of shape {found} for two examples, expected "
            f"{(2, len(known.outputs.names))}, one for each of the {what}"
        )


def load_run(folder: StrPath, model: Any = None) -> Network:
    """The network of a finished run, by its folder, as :func:`load` does it.

    Raises:
      RefusedError, DamagedError, ValueError, OSError: as in :func:`load`.
    """
    path = Path(folder).expanduser()
    config = runs.stored_config(path)
    certificate = certificates.read(path)
    again = f"fit(..., out={str(path)!r}) (--resume --out {path})"
    if certificate is None:
        raise runs.RefusedError(f"{path}: the run is not complete; finish it with {again}")
    if not certificates.holds(path, certificate):
        raise checkpoints.DamagedError(
            f"{path / certificates.PARAMS}: not what was certified; make it again with {again}"
        )
    network = _without_params(path / runs.CONFIG, config, model)
    params = checkpoints.load_params(path / certificates.PARAMS, network.params)
    kept = path / REJECTION
    learned = _as_numpy(checkpoints.load(kept, _blank(network.schema))[0]) if kept.exists() else None
    return network._replace(folder=path, params=params, rejection=learned)


def takes_digits(config: dict[str, Any]) -> bool:
    """Whether a run's configuration is that of a network of dense layers for images of MNIST's size.

    Raises:
      ValueError: the schema in it is damaged.
    """
    if config.get(OWN_MODEL):
        return False
    if "schema" not in config:
        return handwriting.has_size_of_mnist(config.get("image_shape", ()))
    known = schema.from_json(config["schema"])
    return _is_of_grey_classes(known) and handwriting.has_size_of_mnist(known.shape)


def check_takes_digits(network: Network) -> None:
    """Raise ``ValueError`` unless a network takes images of MNIST's size, and is one of dense layers."""
    check_is_dense(network)
    name = network.folder or "network"
    if not handwriting.has_size_of_mnist(network.image_shape):
        came = " x ".join(map(str, network.image_shape))
        raise ValueError(
            f"{name}: got a network for images of {came}, expected {handwriting.SIDE} x "
            f"{handwriting.SIDE}; train one on 'mnist' (--dataset mnist)"
        )
    if not _is_of_grey_classes(network.schema):
        raise ValueError(
            f"{name}: got a network that does not classify by grey values, expected one that does; train it "
            "with scaling='range' (--scaling range)"
        )


def check_is_dense(network: Network) -> None:
    """Raise ``ValueError`` unless a network is one, of dense layers, whose parameters say all of it."""
    name = network.folder or "network"
    if network.config.get(OWN_MODEL):
        raise ValueError(f"{name}: got a network with a model of one's own, expected one of dense layers")
    if network.seeds > 1:
        raise ValueError(
            f"{name}: got {network.seeds} networks that differ by their seed, expected one; fit with seeds=1"
        )


def load_dataset(
    network: Network, data_dir: StrPath | None = None, manual_dir: StrPath | None = None
) -> data.Dataset:
    """The dataset that a network was trained on, from where :func:`data.load` finds it.

    Raises:
      ValueError: what is there now is not what the network was trained on; or as in :func:`data.load`.
      ConnectionError, ImportError, OSError: as in :func:`data.load`.
    """
    given = {name: _as_given(network.config[name]) for name in data.OPTIONS if name in network.config}
    dataset = data.load(network.job.dataset, **given, data_dir=data_dir, manual_dir=manual_dir)
    found, expected = data.fingerprint(dataset), network.fingerprint
    if found != expected:
        trained = f"{network.folder or 'the network'} was trained on {expected}"
        raise ValueError(f"{network.job.dataset}: got the data {found}, but {trained}")
    return dataset


def as_layer(model: Any) -> Layer | None:
    """A model of any kind as a :class:`Layer`; ``None`` stays.

    Raises:
      TypeError: it has no ``init`` and ``forward``, and is no pair of functions.
    """
    if model is None or isinstance(model, Layer):
        return model
    if isinstance(model, tuple | list) and len(model) == 2:
        init, forward = model
    else:
        init, forward = getattr(model, "init", None), getattr(model, "forward", None)
    if isinstance(model, type) or not callable(init) or not callable(forward):
        raise TypeError(
            f"model: got {model!r:.80}, expected an object with init(key) and forward(params, x), or the pair"
        )
    return Layer(lambda key: init(key), lambda params, x: forward(params, x))


def _load_file(path: Path, model: Any) -> Network:
    try:
        about = checkpoints.about(path)
    except checkpoints.DamagedError as error:
        if path.name != certificates.PARAMS:
            raise
        raise ValueError(
            f"{path}: got the parameters of a run alone, expected its folder, {path.parent}"
        ) from error
    if "network" not in about:
        raise ValueError(f"{path}: got a checkpoint of a run, expected a file that Network.save wrote")
    if about["network"] != FORMAT:
        raise ValueError(
            f"{path}: format {about['network']}, expected {FORMAT}; another jaxnaive wrote this network"
        )
    network = _without_params(path, about["config"] | {"schema": about["schema"]}, model, about["seeds"])
    blank = _blank(network.schema) if about.get(REJECTED) else None
    arrays, _ = checkpoints.load(path, _in_one(network.params, blank))
    params, learned = (
        jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in _in_one(*pair)])
        for like, pair in ((network.params, (network.params, None)), (blank, ((), blank)))
    )
    return network._replace(params=params, config=about["config"], rejection=_as_numpy(learned))


def _in_one(params: Any, learned: Rejection | None) -> dict[str, Any]:
    """The arrays of both by the names they have in a file; parameters are named as if they were alone."""
    return dict(checkpoints.named_leaves(params) + checkpoints.named_leaves({REJECTED: learned}))


def _blank(known: Schema) -> Rejection:
    return rejection.blank(len(known.class_names), known.num_features)


def _as_numpy(learned: Any) -> Any:
    return jax.tree.map(np.asarray, learned)


def _without_params(path: Path, config: dict[str, Any], model: Any, seeds: int = 1) -> Network:
    """The network of a configuration, with the shapes of its parameters in their place."""
    given = as_layer(model)
    if config.get(OWN_MODEL) and model is None:
        raise ValueError(f"{path}: got a network with a model of one's own; load it with model=...")
    try:
        own = job.from_json(config)
        known = _schema_of(config)
        layer = given or job.make_model(own, known.num_features, len(known.outputs.names))
        init = layer.init if seeds == 1 else jax.vmap(layer.init)
        key = jax.random.key(0) if seeds == 1 else jax.random.split(jax.random.key(0), seeds)
        like = jax.eval_shape(init, key)
        fingerprint = config["fingerprint"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not of a run of this version ({error})") from error
    if model is not None and config.get(OWN_MODEL) != _program(layer, known.num_features):
        logger.warning("%s: the model is another than that which was trained, or JAX is", path)
    return Network(None, own, config, layer, like, known, fingerprint, None, seeds)


def _program(model: Layer, features: int) -> str:
    """Eight hexadecimal digits that change with what a model computes."""
    x = jax.ShapeDtypeStruct((1, features), np.float32)
    with jax.disable_jit(False):  # JAX_DISABLE_JIT would open the calls in it
        params = jax.eval_shape(model.init, jax.random.key(0))
        program = jax.make_jaxpr(model.forward)(params, x)
    text = re.sub(r" at 0x[0-9a-f]+", "", str(program))
    return f"{zlib.crc32(text.encode()):08x}"


def _schema_of(config: dict[str, Any]) -> Schema:
    if "schema" in config:
        return schema.from_json(config["schema"])
    return schema.of_grey(tuple(config["image_shape"]), tuple(config["class_names"]))


def _is_of_grey_classes(known: Schema) -> bool:
    """Whether a network classifies numbers of one kind: the lowest it gets as 0, and the highest as 1."""
    inputs = known.inputs
    return isinstance(inputs, schema.Scale) and inputs.is_range and not known.is_regression


def _as_given(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
