"""A network that is handed on, in a process that has no jaxnaive, against its own ``forward``."""

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors

from experiments import export, mnist
from jaxnaive import batches, command, layers, networks, runs
from jaxnaive.disk import checkpoints
from jaxnaive.networks import exports

ROOT = Path(__file__).parent.parent.parent
RUNTIMES = {"safetensors": ("torch",), "stablehlo": ("flatbuffers",), "onnx": ("onnx", "onnxruntime")}
BATCHES = 1, 7, 128, 10_000  # the last are all the test images
STRANGER = """\
import sys
sys.modules["jaxnaive"] = None  # so that importing it fails
import numpy as np
examples, code, out = np.load(sys.argv[1]), sys.argv[2], sys.argv[3]
logits_of = {}
for size in map(int, sys.argv[4:]):
    x = examples[:size]
    exec(code)
    logits_of[str(size)] = logits
np.savez(out, **logits_of)
"""


def need(to):
    for name in RUNTIMES[to]:
        pytest.importorskip(name, reason=f"--to {to} is run by {' and '.join(RUNTIMES[to])}")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run on MNIST, or on the digits where it is not."""
    out = tmp_path_factory.mktemp("runs") / "run"
    mnist.main(mnist.Options(hidden=(128, 32), epochs=1, out=out))
    return out


@pytest.fixture
def folder(finished, tmp_path):
    for name in ("config.json", "certificate.json", "params.safetensors"):
        shutil.copy(finished / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("to", RUNTIMES)
def test_the_printed_lines_make_the_same_logits_where_there_is_no_jaxnaive(finished, to, tmp_path, capsys):
    need(to)
    capsys.readouterr()
    export.main(export.Options(finished, to, tmp_path / "a folder's"))
    _, code = capsys.readouterr().out.split("\n\n")

    network = networks.load(finished)
    x = batches.as_features(networks.load_dataset(network).test.images)
    np.save(tmp_path / "x.npy", x)
    arguments = [tmp_path / "x.npy", code, tmp_path / "logits.npz", *map(str, BATCHES)]
    subprocess.run([sys.executable, "-W", "error", "-c", STRANGER, *arguments], cwd=tmp_path, check=True)

    with np.load(tmp_path / "logits.npz") as logits_of:
        for size in BATCHES:
            expected = network.model.forward(network.params, x[:size])
            logits = logits_of[str(size)]
            assert logits.dtype == np.float32 and logits.shape == (min(size, len(x)), 10)
            # Each runtime adds up in its own order, and a float32 near 30 has steps of 2e-6.
            np.testing.assert_allclose(logits, expected, rtol=1e-6, atol=1e-5)


def random_network(*sizes):
    rng = np.random.default_rng(0)
    params = tuple({"w": rng.normal(size=pair), "b": rng.normal(size=pair[1])} for pair in pairwise(sizes))
    params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), params)
    names = tuple(f"class {number}" for number in range(sizes[-1]))
    return networks.Network(Path("run"), {}, layers.mlp(*sizes), params, sizes[:1], names)


def test_the_safetensors_are_a_state_of_torch_s_sequential(tmp_path):
    network = random_network(5, 4, 3, 2)
    (tmp_path / "model.safetensors").write_bytes(exports.to_safetensors(network))
    with safetensors.safe_open(tmp_path / "model.safetensors", "np") as file:
        shapes = {name: file.get_tensor(name).shape for name in file.keys()}  # noqa: SIM118  (no mapping: it cannot be iterated)
        about = json.loads(file.metadata()["about"])
        np.testing.assert_array_equal(file.get_tensor("2.weight"), network.params[1]["w"].T)
        np.testing.assert_array_equal(file.get_tensor("4.bias"), network.params[2]["b"])
    assert shapes == {
        "0.weight": (4, 5), "0.bias": (4,), "2.weight": (3, 4), "2.bias": (3,), "4.weight": (2, 3),
        "4.bias": (2,),
    }  # fmt: skip
    assert about["class_names"] == ["class 0", "class 1"] and "float32 [batch, 5]" in about["x"]


def test_the_printed_modules_are_those_of_the_network():
    for sizes, modules in (((5, 2), "Linear(5, 2)"), ((5, 4, 2), "Linear(5, 4), ReLU(), Linear(4, 2)")):
        assert f"Sequential({modules})\n" in export.code(random_network(*sizes), "safetensors", Path("file"))


def test_the_stablehlo_is_for_any_batch_and_device_in_full_precision_and_names_no_file():
    need("stablehlo")
    network = random_network(5, 4, 2)
    content = exports.to_stablehlo(network)
    exported = jax.export.deserialize(bytearray(content))
    assert [str(a.shape) for a in (*exported.in_avals, *exported.out_avals)] == ["(batch, 5)", "(batch, 2)"]
    assert exported.platforms == ("cpu", "cuda", "tpu")
    products = re.findall(r"stablehlo.dot_general .*", exported.mlir_module())
    assert len(products) == 2 * 3 and all("[HIGHEST, HIGHEST]" in product for product in products)
    assert b".py" not in content and str(ROOT).encode() not in content
    assert exports.to_stablehlo(network) == content  # not where it was called from either


@pytest.mark.parametrize(("sizes", "nodes"), [((5, 2), ["Gemm"]), ((5, 4, 2), ["Gemm", "Relu", "Gemm"])])
def test_the_onnx_is_one_that_old_runtimes_read(sizes, nodes):
    onnx = pytest.importorskip("onnx", reason="what it writes is read by onnx")
    model = onnx.load_from_string(exports.to_onnx(random_network(*sizes)))
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == nodes
    assert model.ir_version == 7 and model.opset_import[0].version == 13
    shapes = [
        [dim.dim_param or dim.dim_value for dim in end.type.tensor_type.shape.dim]
        for end in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [["batch", 5], ["batch", 2]]
    assert json.loads(model.metadata_props[0].value)["class_names"] == ["class 0", "class 1"]


def refused(folder, error, message, to: Any = "safetensors", out=None):
    with pytest.raises(error, match=message):
        export.main(export.Options(folder, to, out))
    assert not (folder / "export").exists()


def test_what_is_no_finished_run_is_refused_and_nothing_is_written(folder, tmp_path):
    refused(tmp_path / "nothing", runs.RefusedError, "there is no run")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(json.dumps(json.loads(config) | {"format": 2}))
    refused(folder, ValueError, "got a run of format 2, expected 1")
    (folder / "config.json").write_text(config)
    params = folder / "params.safetensors"
    params.write_bytes(params.read_bytes()[:-1] + b"?")
    refused(folder, checkpoints.DamagedError, "not what was certified")


def test_a_file_in_the_folder_s_place_is_refused(folder):
    refused(folder, command.UsageError, "expected a folder", out=folder / "config.json")
    (folder / "export").write_text("")
    with pytest.raises(command.UsageError, match="expected a folder"):
        export.main(export.Options(folder, "safetensors"))


@pytest.mark.parametrize(
    ("missing", "to", "message"),
    [("onnx", "onnx", r"pip install 'jaxnaive\[onnx\]'"), ("flatbuffers", "stablehlo", "'flatbuffers'")],
)
def test_a_missing_package_is_named_and_nothing_is_written(folder, monkeypatch, missing, to, message):
    for name in [name for name in sys.modules if name.startswith(("jax._src.export.serialization", missing))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    refused(folder, ImportError, message, to)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (". --to onnxx", "invalid choice 'onnxx' .*'safetensors', 'stablehlo', 'onnx'"),
        (". --to onnx", r"\.: there is no run"),
        (".", r"Missing from .*export.py: --to \{safetensors,stablehlo,onnx\} \w"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(tmp_path, arguments, message):
    result = subprocess.run(
        [sys.executable, ROOT / "experiments" / "export.py", *arguments.split()],
        env=os.environ | {"HOME": str(tmp_path)}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert re.fullmatch(rf"jaxnaive: error: .*{message}.*\n", result.stderr), result.stderr
