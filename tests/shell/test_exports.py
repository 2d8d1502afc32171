"""A network that is handed on, in a process that has no jaxnaive, against its own ``forward``."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors

from experiments import export
from jaxnaive import batches, command, job, layers, networks, runs
from jaxnaive.data import schema
from jaxnaive.disk import checkpoints, files
from jaxnaive.job import Job
from jaxnaive.networks import exports
from jaxnaive.runs import certificates

ROOT = Path(__file__).parent.parent.parent
RUNTIMES = {"safetensors": ("torch",), "stablehlo": ("flatbuffers",), "onnx": ("onnx", "onnxruntime")}
BATCHES = 1, 7, 128, 10_000
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
def finished(tmp_path_factory, digits):
    """The folder of a run on digits that came to its end without an epoch."""
    out = tmp_path_factory.mktemp("runs") / "run"
    network = random_network(64, 32, 16, 10)
    settled = job.settle(replace(network.job, dataset="digits", epochs=0), "digits", 1442)
    out.mkdir()
    files.write_json(out / runs.CONFIG, {"format": 1} | job.to_json(settled) | networks.describe(digits))
    checkpoints.save_params(out / certificates.PARAMS, network.params)
    content = (out / certificates.PARAMS).read_bytes()
    described = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    nothing = {"epochs": 0, "times_scheduled": [], "evaluated": 0, "non_finite": 0, "compiles": {}}
    certificates.write(out, nothing | {"params": described})
    return out


@pytest.fixture(scope="module")
def x_and_logits(finished, digits):
    network = networks.load(finished)
    x = jnp.resize(batches.as_features(digits.test.images), (max(BATCHES), 64))
    return np.asarray(x), np.asarray(network.model.forward(network.params, x))


@pytest.fixture
def folder(finished, tmp_path):
    for name in ("config.json", "certificate.json", "params.safetensors"):
        shutil.copy(finished / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("to", RUNTIMES)
def test_the_printed_lines_make_the_same_logits_where_there_is_no_jaxnaive(
    finished, x_and_logits, to, tmp_path, capsys
):
    need(to)
    x, expected = x_and_logits
    capsys.readouterr()
    export.main(export.Options(finished, to, tmp_path / "a folder's"))
    _, code = capsys.readouterr().out.split("\n\n")

    np.save(tmp_path / "x.npy", x)
    arguments = [tmp_path / "x.npy", code, tmp_path / "logits.npz", *map(str, BATCHES)]
    subprocess.run([sys.executable, "-W", "error", "-c", STRANGER, *arguments], cwd=tmp_path, check=True)

    with np.load(tmp_path / "logits.npz") as logits_of:
        for size in BATCHES:
            logits = logits_of[str(size)]
            assert logits.dtype == np.float32 and logits.shape == (size, 10)
            # Each runtime adds up in its own order.
            np.testing.assert_allclose(logits, expected[:size], rtol=1e-6, atol=1e-5)


def random_network(*sizes, known=None):
    rng = np.random.default_rng(0)
    params = tuple(
        {"w": rng.normal(size=(inputs, units)) / inputs**0.5, "b": rng.normal(size=units)}
        for inputs, units in pairwise(sizes)
    )
    params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), params)
    names = tuple(f"class {number}" for number in range(sizes[-1]))
    own = Job("random", sizes[1:-1])
    known = known or schema.of_grey(sizes[:1], names)
    return networks.Network(Path("run"), own, {}, layers.mlp(*sizes), params, known, "00000000")


def regression(deviation=2.0, mean=10.0):
    """A network with a number, a text of two categories, and two targets."""
    age, town = schema.Column("age", 40.0, 8.0), schema.Column("town", categories=("Bonn", "Ulm"))
    targets = schema.Targets(("price", "a\nb"), (mean, 0.0), (deviation, 1.0))
    return random_network(3, 16, 2, known=schema.Schema(schema.Columns((age, town)), targets))


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


def test_a_regression_is_exported_with_its_schema_and_gives_targets(tmp_path):
    onnx = pytest.importorskip("onnx", reason="what it writes is read by onnx")
    network = regression()
    (tmp_path / "file").write_bytes(exports.to_safetensors(network))
    with safetensors.safe_open(tmp_path / "file", "np") as file:
        about = json.loads(file.metadata()["about"])
    assert schema.from_json(about["schema"]) == network.schema and about["class_names"] == []
    assert "column after column of the schema: (number - mean) / deviation" in about["x"]
    model = onnx.load_from_string(exports.to_onnx(network))
    onnx.checker.check_model(model, full_check=True)
    (output,) = model.graph.output
    assert output.name == "targets" and output.type.tensor_type.shape.dim[1].dim_value == 2
    assert json.loads(model.metadata_props[0].value) == about


def test_the_printed_lines_give_targets_in_their_units(tmp_path, monkeypatch, capsys):
    need("stablehlo")
    network = regression()
    monkeypatch.setattr(networks, "load", lambda path: network._replace(folder=None))
    path = export.main(export.Options(tmp_path / "network.safetensors", "stablehlo"))
    assert path == tmp_path / "export" / "model.stablehlo"
    _, code = capsys.readouterr().out.split("\n\n")
    ran: dict[str, Any] = {"x": np.eye(3, dtype=np.float32)}
    exec(code, ran)
    of_rows = [{"age": 48.0, "town": None}, {"age": 40.0, "town": "Bonn"}, {"age": 40.0, "town": "Ulm"}]
    assert len(np.unique(ran["targets"][:, 0])) == 3
    np.testing.assert_allclose(ran["targets"], network.predict(of_rows).values, rtol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "described"),
    [
        (schema.Scale((5,)), "the 5 numbers of an example in a row; grey values divided by 255"),
        (schema.Scale((5,), -1.0, 1.0), r"in a row; \(number - -1\) / 2"),
        (schema.Scale((5,), 0.0, 1.0, is_range=False), "in a row; as they are"),
    ],
)
def test_how_x_is_scaled_is_said(inputs, described):
    known = schema.Schema(inputs, schema.Classes(("no", "yes")))
    network = random_network(5, 2, known=known)
    assert re.search(f"{described}$", exports.describe_x(network))
    assert ("schema" in json.loads(exports._about(network))) == (not known.is_grey)


@pytest.mark.parametrize("write", export.WRITERS.values())
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"config": {"own_model": True}},
            "run: got a network with a model of one's own, expected",
        ),
        ({"seeds": 2}, "run: got 2 networks that differ by their seed, expected one"),
    ],
)
def test_a_network_that_is_not_one_of_dense_layers_is_refused(write, change, message):
    with pytest.raises(ValueError, match=message):
        write(random_network(5, 2)._replace(**change))


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
    content = params.read_bytes()
    params.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused(folder, checkpoints.DamagedError, "not what was certified")


def test_a_file_in_the_folder_s_place_is_refused(folder):
    refused(folder, command.UsageError, "expected a folder", out=folder / "config.json")
    (folder / "export").write_text("")
    with pytest.raises(command.UsageError, match="expected a folder"):
        export.main(export.Options(folder, "safetensors"))


@pytest.mark.parametrize(
    ("missing", "to", "message"),
    [
        ("onnx", "onnx", r"python -m pip install -e '\.\[onnx\]'"),
        ("flatbuffers", "stablehlo", "'flatbuffers'"),
    ],
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
def test_wrong_usage_is_one_line_and_exit_2(call, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = call("export.py", *arguments.split())
    assert result.code == 2
    assert re.fullmatch(rf"jaxnaive: error: .*{message}.*\n", result.err), result.err
