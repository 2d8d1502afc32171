"""A network that is handed on, in a process that has no jaxnaive, against its own ``forward``."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors

from experiments import export, mnist
from jaxnaive import batches, checkpoints, command, exports, layers, runs, trained

ROOT = Path(__file__).parent.parent
RUNTIMES = {"safetensors": ("torch",), "stablehlo": ("flatbuffers",), "onnx": ("onnx", "onnxruntime")}
BATCHES = 1, 7, 128
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
    out = tmp_path_factory.mktemp("runs") / "run"
    mnist.main(mnist.Options(dataset="digits", hidden=(24, 12), epochs=20, batch_size=100, out=out))
    return out


@pytest.fixture
def folder(finished, tmp_path):
    for name in ("config.json", "certificate.json", "params.safetensors"):
        shutil.copy(finished / name, tmp_path)
    return tmp_path


def assert_a_stranger_makes_the_same_logits(folder, to, images, sizes, tmp_path, capsys):
    """Run the printed lines where there is no jaxnaive."""
    capsys.readouterr()
    export.main(export.Options(folder, to, tmp_path / "a folder's"))
    _, code = capsys.readouterr().out.split("\n\n")
    network = trained.load(folder)
    x = np.asarray(batches.as_features(images))
    np.save(tmp_path / "x.npy", x)
    arguments = [tmp_path / "x.npy", code, tmp_path / "logits.npz", *map(str, sizes)]
    subprocess.run([sys.executable, "-W", "error", "-c", STRANGER, *arguments], cwd=tmp_path, check=True)
    with np.load(tmp_path / "logits.npz") as logits_of:
        assert len(logits_of) == len(sizes)
        for size in sizes:
            logits = logits_of[str(size)]
            assert logits.dtype == np.float32 and logits.shape == (size, len(network.class_names))
            expected = network.model.forward(network.params, x[:size])
            np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("to", RUNTIMES)
def test_the_printed_lines_make_the_same_logits_without_jaxnaive(finished, to, digits, tmp_path, capsys):
    need(to)
    sizes = *BATCHES, len(digits.test.labels)
    assert_a_stranger_makes_the_same_logits(finished, to, digits.test.images, sizes, tmp_path, capsys)


@pytest.fixture(scope="module")
def finished_on_mnist(tmp_path_factory, mnist: object):
    from experiments.mnist import Options, main

    out = tmp_path_factory.mktemp("runs") / "run"
    main(Options(dataset="mnist", epochs=1, out=out))
    return out


@pytest.mark.parametrize("to", RUNTIMES)
def test_all_test_images_of_mnist_have_the_same_logits(finished_on_mnist, to, mnist, tmp_path, capsys):
    need(to)
    images = mnist.test.images
    assert_a_stranger_makes_the_same_logits(finished_on_mnist, to, images, [10_000], tmp_path, capsys)


def random_network(*sizes):
    model = layers.mlp(*sizes)
    keys = iter(jax.random.split(jax.random.key(0), 2 * len(sizes)))
    params = jax.tree.map(lambda a: jax.random.normal(next(keys), a.shape), model.init(jax.random.key(1)))
    names = tuple(f"class {n}" for n in range(sizes[-1]))
    return trained.Trained(Path("run"), {}, model, params, (sizes[0],), names)


def test_the_safetensors_are_a_state_of_torch_s_sequential(tmp_path):
    network = random_network(5, 4, 3, 2)
    (tmp_path / "model.safetensors").write_bytes(exports.to_safetensors(network))
    with safetensors.safe_open(tmp_path / "model.safetensors", "np") as file:
        shapes = {name: file.get_tensor(name).shape for name in file.keys()}  # noqa: SIM118
        about = json.loads(file.metadata()["about"])
        np.testing.assert_array_equal(file.get_tensor("2.weight"), network.params[1]["w"].T)
        np.testing.assert_array_equal(file.get_tensor("4.bias"), network.params[2]["b"])
    assert shapes == {
        "0.weight": (4, 5), "0.bias": (4,), "2.weight": (3, 4), "2.bias": (3,), "4.weight": (2, 3),
        "4.bias": (2,),
    }  # fmt: skip
    assert about["class_names"] == ["class 0", "class 1"] and "float32 [batch, 5]" in about["x"]


def test_the_stablehlo_is_for_any_batch_and_device_in_full_precision_and_names_no_file():
    need("stablehlo")
    network = random_network(5, 4, 2)
    content = exports.to_stablehlo(network)
    exported = jax.export.deserialize(bytearray(content))
    assert str(exported.in_avals[0].shape) == "(batch, 5)" and str(exported.out_avals[0].shape) == "(batch, 2)"
    assert exported.platforms == ("cpu", "cuda", "tpu")
    products = re.findall(r"dot_general.*", exported.mlir_module())
    assert len(products) == 2 and all("[HIGHEST, HIGHEST]" in product for product in products)
    assert b".py" not in content and str(ROOT).encode() not in content
    assert exports.to_stablehlo(network) == content  # not where it was called from either


def test_the_onnx_is_one_that_old_runtimes_read():
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(exports.to_onnx(random_network(5, 4, 2)))
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Gemm", "Relu", "Gemm"]
    assert model.ir_version == 7 and model.opset_import[0].version == 13
    shapes = [
        [dim.dim_param or dim.dim_value for dim in end.type.tensor_type.shape.dim]
        for end in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [["batch", 5], ["batch", 2]]
    assert json.loads(model.metadata_props[0].value)["class_names"] == ["class 0", "class 1"]


def test_one_layer_is_a_network_too(tmp_path):
    onnx = pytest.importorskip("onnx")
    network = random_network(5, 2)
    assert [n.op_type for n in onnx.load_from_string(exports.to_onnx(network)).graph.node] == ["Gemm"]
    assert "Sequential(Linear(5, 2))" in export.code(network, "safetensors", tmp_path)


def refused(folder, error, message, to="safetensors", out=None):
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
        (".", "--to"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(tmp_path, arguments, message):
    result = subprocess.run(
        [sys.executable, ROOT / "experiments" / "export.py", *arguments.split()],
        env=os.environ | {"HOME": str(tmp_path)}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert re.fullmatch(rf"jaxnaive: error: .*{message}.*\n", result.stderr), result.stderr
