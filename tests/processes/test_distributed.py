"""One run on many devices and in many processes: the same as on one, and no worse to stop."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tyro
from processes.xla_flags import COMPILE_FAST, EIGHT_DEVICES

from experiments import distributed
from jaxnaive import data
from jaxnaive.command.options import Reading
from jaxnaive.disk import arrays

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "experiments" / "distributed.py"
SMALL = ("--dataset", "digits", "--hidden", "8", "--batch-size", "64")
OWN = Reading(label="-1", ignore=("a", "b"), size=(8, 6), test="others.npz")
FOR_EVER = (*SMALL, "--epochs", "1000000")

pytestmark = pytest.mark.xdist_group("distributed")  # one worker has the eight devices


@pytest.fixture(scope="session")
def environment(tmp_path_factory, digits):
    """What the processes share: a home, and a proxy that nobody may use."""
    home = tmp_path_factory.mktemp("home")
    more = {"HOME": str(home), "TFDS_DATA_DIR": str(home), "http_proxy": "http://127.0.0.1:9"}
    return os.environ | more | {"XLA_FLAGS": COMPILE_FAST}


# --- eight devices -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def eight(environment):
    """What a process with eight devices says."""
    flags = {"XLA_FLAGS": f"{EIGHT_DEVICES} {COMPILE_FAST}", "JAX_PLATFORMS": "cpu"}
    result = subprocess.run(
        [sys.executable, ROOT / "tests" / "processes" / "eight_devices.py"], env=environment | flags,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(result.stdout)


def test_any_number_of_devices_gives_the_parameters_and_losses_of_one(eight):
    assert eight["devices"] == 8 and eight["moved"] > 0.1
    assert eight["differences"].keys() == {"4", "8"}
    assert max(eight["differences"].values()) < 1e-5
    assert eight["replicated"]


def test_a_spawned_process_with_four_devices_trains_to_the_same_parameters(environment):
    path = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    flags = {"XLA_FLAGS": f"{EIGHT_DEVICES[:-1]}4 {COMPILE_FAST}", "JAX_PLATFORMS": "cpu", "PYTHONPATH": path}
    result = subprocess.run(
        [sys.executable, ROOT / "tests" / "processes" / "spawned.py"], env=environment | flags,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    devices, from_here, from_one_device = json.loads(result.stdout)
    assert (devices, from_here) == (4, 0) and from_one_device < 1e-5


def test_two_runs_on_eight_devices_are_equal_to_the_bit(eight):
    assert eight["again"] == 0


def test_each_device_holds_its_shard_and_nothing_else_was_read(eight):
    assert eight["shapes"] == [[12, 5, 5]] and eight["holders"] == 8
    assert eight["read"] == [[12 * device, 12 * device + 12] for device in range(8)]


def test_devices_exchange_sums_of_floats_and_no_examples(eight):
    assert {kind for _, kind in eight["collectives"]} == {"all-reduce"}
    assert all(re.findall(r"[a-z]\w*(?=\[)", shape).count("f32") for shape, _ in eight["collectives"])
    numbers = [
        int(np.prod([int(n) for n in dims.split(",") if n]))
        for shape, _ in eight["collectives"]
        for dims in re.findall(r"\w+\[([\d,]*)\]", shape)
    ]
    # The gradients, the sum of the losses and that of the weights.
    assert sorted(numbers) == sorted([25 * 16, 16, 16 * 3, 3, 1, 1])


def test_devices_that_do_not_divide_the_examples_are_refused(eight):
    assert eight["refused"] == "examples: got 96, expected a multiple of 5, the number of devices"


# --- several processes -------------------------------------------------------------------------------


@pytest.fixture
def start(environment):
    """Start the experiment; whatever happens, it does not outlive the test."""
    started = []

    def start(*arguments, **more):
        variables = {name: value for name, value in (environment | more).items() if value is not None}
        process = subprocess.Popen(
            [sys.executable, SCRIPT, *map(str, arguments)], env=variables,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def children(process):
    """Process numbers by what they are started as: ``{0: 4711, 1: 4712}``."""
    columns = ["-o", "ppid=", "-o", "pid=", "-o", "args="]
    listed = subprocess.run(["ps", "-A", "-ww", *columns], capture_output=True, text=True, check=True).stdout
    rows = re.findall(rf"^ *{process.pid} +(\d+) .*--process-id (\d+)", listed, re.MULTILINE)
    return {int(number): int(pid) for pid, number in rows}


def is_running(pid):
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


def listens(address, port):
    with socket.socket() as probe:
        return not probe.connect_ex((address, port))


def trains(log):
    return log.exists() and "training examples" in log.read_text()


def test_two_processes_give_the_parameters_of_one(start, tmp_path):
    process = start(*SMALL, "--epochs", 2, "--out", tmp_path)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert "process 0 of 2: 721 training examples\nprocess 1 of 2: 721 training examples\n" in out
    two, one = re.findall(r"^\d process(?:es)?: test accuracy ([\d.]+)$", out, re.MULTILINE)
    assert abs(float(two) - float(one)) < 0.003 and float(one) > 0.5
    (difference,) = re.findall(r"^largest difference: (\S+) of", out, re.MULTILINE)
    assert float(difference) <= distributed.TOLERANCE


def test_a_difference_is_a_failure():
    one, other = {"w": np.array([1.0, -4.0])}, {"w": np.array([1.0, -4.04])}
    assert distributed.largest_difference(other, one) == pytest.approx(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_killed_ends_the_others_and_the_launcher_says_which(start, tmp_path, number):
    launcher = start(*FOR_EVER, "--out", tmp_path)
    wait_until(lambda: trains(tmp_path / "process-0.log") and trains(tmp_path / "process-1.log"))
    pids = children(launcher)
    assert pids.keys() == {0, 1}
    time.sleep(1)
    os.kill(pids[0], number)
    _, err = launcher.communicate(timeout=30)
    assert launcher.returncode == 1
    log = tmp_path / "process-0.log"
    assert (
        err == f"jaxnaive: error: process 0 was ended by {number.name}, and the others with it; see {log}\n"
    )
    assert not any(map(is_running, pids.values()))


def test_without_a_launcher_too_a_process_that_is_killed_ends_the_others(start, environment, tmp_path):
    there = ("--coordinator", f"127.0.0.1:{distributed.free_port(0)}", "--out", tmp_path)
    alike = {"JAX_PLATFORMS": "cpu"} | {name: None for name in environment if "proxy" in name.lower()}
    both = [start(*FOR_EVER, *there, "--process-id", number, **alike) for number in (0, 1)]
    for process in both:
        assert "721 training examples" in process.stdout.readline()
    time.sleep(3)
    both[1].kill()
    _, err = both[0].communicate(timeout=30)
    both[1].communicate()
    # Where the survivor waits for the dead, it is JAX that notices, within 20 s, and aborts with a page.
    ours = "jaxnaive: error: training failed, as it does when another process ends: "
    theirs = "another task died"
    assert both[0].returncode in (1, -signal.SIGABRT)
    assert err.startswith(ours) and err.count("\n") == 1 if both[0].returncode == 1 else theirs in err, err
    assert not is_running(both[0].pid)


def test_a_process_that_waits_for_the_others_listens_where_it_was_told_and_ends_at_ctrl_c(start, tmp_path):
    port = distributed.free_port(0)
    there = ("--coordinator", f"127.0.0.1:{port}", "--out", tmp_path)
    process = start(*FOR_EVER, *there, "--process-id", 0, JAX_PLATFORMS="cpu")
    wait_until(lambda: listens("127.0.0.1", port))
    assert not listens("127.0.0.2", port)  # as does whoever listens on all addresses
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=5)
    assert process.returncode == -signal.SIGINT  # a shell's 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_launcher(start, tmp_path, number):
    launcher = start(*FOR_EVER, "--out", tmp_path)
    pids = wait_until(lambda: len(found := children(launcher)) == 2 and found)
    launcher.send_signal(number)
    _, err = launcher.communicate(timeout=30)
    if number == signal.SIGINT:
        assert (launcher.returncode, err) == (130, "jaxnaive: interrupted\n")
    wait_until(lambda: not any(map(is_running, pids.values())), 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"processes": 0}, "processes: got 0, expected 1 or more"),
        ({"processes": 5}, "batch size: got 64, expected a multiple of 5"),
        ({"processes": 4}, "examples: got 1442, expected a multiple of 4"),
        ({"batch_size": 63}, "batch size: got 63, expected a multiple of 2, the number of shards"),
        ({"port": 70000}, "port: got 70000, which cannot be had"),
        ({"process_id": 1}, "process id: got 1, expected none without --coordinator"),
        ({"coordinator": "here", "process_id": 0}, "coordinator: got 'here', expected ADDRESS:PORT"),
        ({"coordinator": "here:1", "process_id": 2}, "process id: got 2, expected 0 to 1"),
        ({"coordinator": "here:1"}, "process id: got None, expected 0 to 1"),
    ],
)
def test_wrong_usage_is_refused_before_anything_starts(monkeypatch, tmp_path, environment, options, message):
    monkeypatch.setenv("TFDS_DATA_DIR", environment["TFDS_DATA_DIR"])
    monkeypatch.setattr(subprocess, "Popen", None)
    given = {"dataset": "digits", "batch_size": 64, "out": tmp_path} | options
    with pytest.raises(distributed.command.UsageError, match=re.escape(message)):
        distributed.main(distributed.Options(**given))


@pytest.mark.parametrize("reading", [Reading(), OWN])
def test_the_processes_get_the_options_of_the_launcher(reading):
    there = {"coordinator": "here:1", "process_id": 1}
    given = distributed.Options("own.npz", reading, hidden=(3, 4), learning_rate=1e-5, **there)
    assert tyro.cli(distributed.Options, args=distributed.arguments(given)) == given


def test_a_port_that_is_taken_is_refused():
    with distributed.socket.socket() as taken:
        taken.bind((distributed.LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port: got {port}, which cannot be had .*in use"):
            distributed.free_port(port)


def test_a_process_does_not_read_all_to_compare_hashes(monkeypatch, tmp_path):
    whole = data.load("digits", data_dir=tmp_path)
    monkeypatch.setattr(arrays, "sha256", None)
    mapped = data.load("digits", data_dir=tmp_path, verify=False)
    assert isinstance(mapped.train.images, np.memmap)
    np.testing.assert_array_equal(mapped.train.images, whole.train.images)
