"""Hand a trained network on: write that of a finished run as a file that runs without jaxnaive.

python experiments/export.py runs/mnist-1 --to safetensors
python experiments/export.py runs/mnist-1 --to stablehlo
python experiments/export.py runs/mnist-1 --to onnx

The lines that it prints load the file and run it, in PyTorch, in JAX alone, or in onnxruntime.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from jaxnaive import command, networks
from jaxnaive.data.schema import Targets
from jaxnaive.disk import files
from jaxnaive.networks import exports

WRITERS = {
    "safetensors": exports.to_safetensors,
    "stablehlo": exports.to_stablehlo,
    "onnx": exports.to_onnx,
}
CODE = {
    "safetensors": """\
import safetensors.torch, torch
from torch.nn import Linear, ReLU
network = torch.nn.Sequential({modules})
network.load_state_dict(safetensors.torch.load_file({path!r}))
{outputs} = network(torch.tensor(x)).detach().numpy()""",
    "stablehlo": """\
import jax, pathlib
network = jax.export.deserialize(pathlib.Path({path!r}).read_bytes())
{outputs} = network.call(x)""",
    "onnx": """\
import onnxruntime
network = onnxruntime.InferenceSession({path!r})
({outputs},) = network.run(None, {{"x": x}})""",
}


@dataclass(frozen=True)
class Options:
    """Write the network of a finished run as a file that runs without jaxnaive."""

    run: Positional[Path]
    """folder of the run, such as runs/mnist-1, or a file that Network.save wrote"""
    to: Literal["safetensors", "stablehlo", "onnx"]
    """safetensors for PyTorch, stablehlo for JAX, onnx for onnxruntime and others"""
    out: Path | None = None
    """folder for the file; by default export/ in the run's"""


def main(options: Options) -> Path:
    """Returns the file."""
    network = networks.load(options.run)
    content = WRITERS[options.to](network)
    folder = options.out or (network.folder or options.run.parent) / "export"
    path = folder / f"model.{options.to}"
    with command.usage():
        files.make_folder(path.parent)
    files.write(path, content)
    print(f"saved {path}: {len(content):,} bytes\n")
    print(f"# x: {exports.describe_x(network)}")
    print(code(network, options.to, path))
    if isinstance(network.schema.outputs, Targets):
        print(in_units(network.schema.outputs))
    return path


def code(network: networks.Network, to: str, path: Path) -> str:
    """Lines that load an exported network and make logits, or a regression's targets, of ``x``."""
    sizes = [exports.features(network), *(layer["b"].size for layer in network.params)]
    modules = ", ReLU(), ".join(f"Linear({inputs}, {outputs})" for inputs, outputs in pairwise(sizes))
    outputs = exports.name_of_outputs(network)
    return CODE[to].format(modules=modules, path=str(path), outputs=outputs)


def in_units(outputs: Targets) -> str:
    """Lines that give a regression's targets their units."""
    deviation, mean, names = map(list, (outputs.deviation, outputs.mean, outputs.names))
    return f"import numpy\ntargets = numpy.asarray(targets) * {deviation} + {mean}  # {names}"


if __name__ == "__main__":
    command.run(main, Options)
