"""A trained network as a file that runs without jaxnaive: in PyTorch, in JAX alone, or wherever ONNX runs.

All of them take ``x``, float32 of shape [batch, features], and give logits [batch, classes], as the network's
``forward`` does, for batches of any size; in a regression targets [batch, targets]. How ``x`` and targets are
scaled stands in the schema, which is in a file's metadata; a StableHLO file has none.

The safetensors file holds the parameters alone; it is the one to archive. The StableHLO file is a program,
which JAX promises to read for six months. The ONNX file is a program too, in the format of 2020, which later
runtimes also read.
"""

import contextlib
import json
from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from jaxnaive.data import schema
from jaxnaive.data.schema import GREY, Columns, Scale
from jaxnaive.disk import checkpoints
from jaxnaive.networks import Network, check_is_dense

PLATFORMS = ("cpu", "cuda", "tpu")
OPSET, IR_VERSION = 13, 7  # of ONNX 1.8; Gemm and Relu have not changed since
ABOUT = "about"  # the only key of the metadata, because safetensors writes several in no fixed order


def to_safetensors(network: Network) -> bytes:
    """The parameters as PyTorch has them in an ``nn.Sequential(Linear, ReLU, Linear, ...)``.

    Layer n of the network is module 2 n, with a ``weight`` [outputs, inputs], the transpose of ``w``, and a
    ``bias``. The metadata describes ``x`` and names the classes, as JSON. It holds the schema too, unless the
    network classifies by grey values.

    Raises:
      ValueError: the network is not one of dense layers, or is several that differ by their seed.
    """
    check_is_dense(network)
    tensors = {}
    for number, layer in enumerate(network.params):
        # In C order, because safetensors writes the memory as it is.
        tensors[f"{2 * number}.weight"] = np.ascontiguousarray(np.asarray(layer["w"]).T)
        tensors[f"{2 * number}.bias"] = np.asarray(layer["b"])
    return safetensors.numpy.save(tensors, {ABOUT: _about(network)})


def to_stablehlo(network: Network) -> bytes:
    """The network as ``jax.export`` writes it: a StableHLO program with the parameters in it.

    Raises:
      ImportError: flatbuffers is not installed; JAX needs it to write such a file and to read it.
      ValueError: as in :func:`to_safetensors`.
    """
    check_is_dense(network)
    forward = jax.jit(partial(network.model.forward, network.params))
    (batch,) = jax.export.symbolic_shape("batch")
    x = jax.ShapeDtypeStruct((batch, features(network)), jnp.float32)
    # In full precision: by default GPUs and TPUs round the factors of a product.
    with _without_paths(), jax.default_matmul_precision("highest"):
        return bytes(jax.export.export(forward, platforms=PLATFORMS)(x).serialize())


def to_onnx(network: Network) -> bytes:
    """The network as an ONNX graph: a Gemm for each layer, Relu between them, and safetensors' metadata.

    Raises:
      ImportError: onnx is not installed.
      ValueError: as in :func:`to_safetensors`.
    """
    check_is_dense(network)
    try:
        from onnx import TensorProto, helper, numpy_helper  # pyrefly: ignore[missing-import]
    except ImportError as error:
        raise ImportError(
            "writing ONNX needs the package onnx: python -m pip install -e '.[onnx]'"
        ) from error
    nodes, x, last, given = [], "x", len(network.params) - 1, name_of_outputs(network)
    for number in range(len(network.params)):
        y = given if number == last else f"{number}.sum"
        nodes.append(helper.make_node("Gemm", [x, f"{number}.w", f"{number}.b"], [y]))
        if number < last:
            x = f"{number}.relu"
            nodes.append(helper.make_node("Relu", [y], [x]))
    inputs, outputs = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in (("x", features(network)), (given, len(network.schema.outputs.names)))
    )
    named = checkpoints.named_leaves(network.params)
    arrays = [numpy_helper.from_array(np.asarray(leaf), name) for name, leaf in named]
    graph = helper.make_graph(nodes, "mlp", [inputs], [outputs], arrays)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="jaxnaive")
    helper.set_model_props(model, {ABOUT: _about(network)})
    return model.SerializeToString()


def features(network: Network) -> int:
    """The number of numbers in an example: 784 for 28 x 28 pixels."""
    return network.schema.num_features


def name_of_outputs(network: Network) -> str:
    """What an exported network gives: ``logits``, or in a regression ``targets``."""
    return "targets" if network.schema.is_regression else "logits"


def describe_x(network: Network) -> str:
    """What an exported network takes as ``x``."""
    shape = " x ".join(map(str, network.image_shape))
    scaled = _describe_scale(network.schema.inputs)
    return f"float32 [batch, {features(network)}], the {shape} numbers of an example in a row; {scaled}"


def _describe_scale(inputs: Scale | Columns) -> str:
    if isinstance(inputs, Columns):
        return (
            "column after column of the schema: (number - mean) / deviation, or nothing where the deviation "
            "is 0; of a text 1 for its category, and 0 for the others"
        )
    if not inputs.is_range:
        return "as they are"
    if (inputs.low, inputs.high) == (0.0, GREY):
        return "grey values divided by 255"
    return f"(number - {inputs.low:g}) / {inputs.high - inputs.low:g}"


def _about(network: Network) -> str:
    about = {"x": describe_x(network), "class_names": network.class_names}
    more = {} if network.schema.is_grey else {"schema": schema.to_json(network.schema)}
    return json.dumps(about | more)


@contextlib.contextmanager
def _without_paths() -> Iterator[None]:
    """Inside it JAX does not write into a program which lines of which files it was made from.

    They are of no use without the files, and show the names of this machine's folders.
    """
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)
