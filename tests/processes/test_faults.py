"""Faults as they happen: real signals, real kills, a real full disk, against whole processes.

``faults.md`` beside this file says which test stands for which fault.
"""

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxnaive import runs
from jaxnaive.disk import checkpoints

TESTS = Path(__file__).parent
ROOT = TESTS.parent
TABLE = re.findall(
    r"^\| (\d+) \| ([ABC]) \| .*? \| (.*?) \|$", (TESTS / "faults.md").read_text(), re.MULTILINE
)


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A home with a compile cache for all these processes; one thread, so that equal runs are equal."""
    home = tmp_path_factory.mktemp("home")
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(home / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return os.environ | cache | {"HOME": str(home), "TFDS_DATA_DIR": str(home), "PJRT_NPROC": "1"}


def start(home, script, *arguments, **more):
    command = [sys.executable, str(ROOT / script), *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=home, text=True, cwd=ROOT, stdout=pipe, stderr=pipe, **more)


def finish(process, timeout=120):
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, out, err


def kill(process):
    process.kill()
    process.communicate()


def tiny(home, folder, epochs, *more, **options):
    return start(home, "tests/tiny_run.py", folder, epochs, *more, **options)


def mnist(home, *arguments, **options):
    return start(home, "experiments/mnist.py", *arguments, **options)


def wait_for_epoch(process, epoch):
    for line in process.stdout:
        if line.strip() == str(epoch):
            return
    pytest.fail(f"ended before epoch {epoch}: {process.stderr.read()}")


def result(folder, epochs):
    """What a run comes to: its last checkpoint and its log."""
    name = f"checkpoints/epoch-{epochs:06d}.safetensors"
    return (folder / name).read_bytes(), (folder / "metrics.jsonl").read_bytes()


def test_every_fault_that_has_to_be_survived_has_a_test_that_exists():
    assert [int(row) for row, _, _ in TABLE] == list(range(1, 71))
    sources = {path.name: path.read_text() for path in TESTS.glob("test_*.py")}
    for row, priority, tests in TABLE:
        named = re.findall(r"`(test_\w+\.py)::(\w+)`", tests)
        assert named or (priority != "A" and len(tests) > 20), f"row {row} has neither test nor reason"
        for file, test in named:
            assert f"def {test}(" in sources[file], (row, test)


# --- kills -------------------------------------------------------------------------------------------


def kill_until_done(home, folder, epochs, seed, kills, *more):
    """Start a run again and again, and kill it at random moments; how often that was, once it is done."""
    moments, killed = random.Random(seed), 0
    while True:
        process = tiny(home, folder, epochs, *more)
        if killed == kills:
            code, _, err = finish(process, 600)
            assert code == 0, err
            return killed
        assert process.stdout is not None
        process.stdout.readline()  # until then there is nothing new to lose
        time.sleep(moments.uniform(0, 0.5))
        kill(process)
        assert process.returncode == -signal.SIGKILL, f"done after {killed} kills; more epochs are needed"
        killed += 1


def test_kills_at_random_moments_change_nothing(home, tmp_path):
    epochs = 1500
    assert finish(tiny(home, tmp_path / "straight", epochs))[0] == 0
    kill_until_done(home, tmp_path / "killed", epochs, seed=0, kills=3)
    assert result(tmp_path / "killed", epochs) == result(tmp_path / "straight", epochs)


def test_kills_destroy_the_run_of_a_naive_writer(home, tmp_path):
    """The negative control: the moments of these kills are chosen well enough to be seen."""
    straight = tmp_path / "straight"
    assert finish(tiny(home, straight, 3000, "sgd", "naive"))[0] == 0
    whole = (straight / "metrics.jsonl").read_bytes()
    for seed in range(5):
        folder = tmp_path / str(seed)
        try:
            kill_until_done(home, folder, 3000, seed, 3, "sgd", "naive")
        except AssertionError:
            return  # it could not even start again
        if (folder / "metrics.jsonl").read_bytes() != whole:
            return
    pytest.fail("no kill hurt")


@pytest.mark.slow
def test_fifty_kills_at_random_moments_change_nothing(home, tmp_path):
    epochs = 10_000
    assert finish(tiny(home, tmp_path / "straight", epochs), 600)[0] == 0
    kill_until_done(home, tmp_path / "killed", epochs, seed=1, kills=50)
    assert result(tmp_path / "killed", epochs) == result(tmp_path / "straight", epochs)


def die_at_every_call(home, folder, writer):
    command = [sys.executable, TESTS / "die_at_call.py", folder, writer]
    out = subprocess.run(command, env=home, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return int(out)


def test_dying_at_any_system_call_of_a_save_leaves_the_old_or_the_new(home, tmp_path):
    attempts = die_at_every_call(home, tmp_path, "run")
    assert attempts > 15
    like = {"w": np.zeros((3, 2), np.float32), "step": np.int32(0)}
    found, leftovers = [], 0
    for number in range(1, attempts + 1):
        folder = tmp_path / str(number)
        leftovers += len(list(folder.glob("checkpoints/.*")))
        with runs.open(folder, {"epochs": 9}, resume=True) as run:
            state = run.restore(like)
            assert (np.asarray(state["w"]) == run.epoch).all() and state["step"] == run.epoch
            np.testing.assert_allclose(
                run.losses(), [[1 / n, 0.5 / n] for n in range(1, run.epoch + 1)], 1e-6
            )
            run.save(state, [0.1, 0.2])
        found.append(run.epoch - 1)
        assert not list(folder.glob("checkpoints/.*"))
    assert set(found) == {3, 4} and found == sorted(found)  # first the old one, from some call on the new one
    assert leftovers  # it also died between writing and renaming


def test_a_naive_writer_does_not_survive_that(home, tmp_path):
    attempts = die_at_every_call(home, tmp_path, "naive")
    whole = {np.full((3, 2), n, np.float32).tobytes() + np.int32(n).tobytes() for n in (3, 4)}
    assert {(tmp_path / str(n) / "state").read_bytes() for n in range(1, attempts + 1)} - whole


# --- signals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_epoch_saves_and_leaves(home, tmp_path, number, status):
    assert finish(tiny(home, tmp_path / "straight", 2000))[0] == 0
    process = tiny(home, tmp_path / "stopped", 2000)
    wait_for_epoch(process, 3)
    process.send_signal(number)
    code, _, err = finish(process)
    assert code == status and err.count("\n") == 1 and "Traceback" not in err
    (epoch,) = re.findall(rf"stopped by {number.name} after epoch (\d+); resume with", err)
    assert 4 <= int(epoch) < 2000
    assert finish(tiny(home, tmp_path / "stopped", 2000))[0] == 0
    assert result(tmp_path / "stopped", 2000) == result(tmp_path / "straight", 2000)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_save_lets_it_finish(home, tmp_path, number):
    process = tiny(home, tmp_path, 50, "sgd", "slow")
    wait_for_epoch(process, 1)
    time.sleep(0.45)  # a save takes 0.9 s
    process.send_signal(number)
    code, _, err = finish(process)
    assert code == 128 + number and "after epoch 2;" in err
    assert checkpoints.about(tmp_path / "checkpoints" / "epoch-000002.safetensors")["epoch"] == 2


def test_a_second_ctrl_c_leaves_at_once(home, tmp_path):
    process = tiny(home, tmp_path, 50, "sgd", "slow")
    wait_for_epoch(process, 2)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    before = time.perf_counter()
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert time.perf_counter() - before < 1 and code == 130 and "interrupted twice" in err
    with runs.open(tmp_path, {"epochs": 50, "optimizer": "sgd"}) as run:
        assert run.resumed
    assert checkpoints.about(tmp_path / "checkpoints" / "epoch-000002.safetensors")["epoch"] == 2


@pytest.mark.parametrize("delay", [0.3, 1.0, 1.5, 2.0])
def test_an_early_ctrl_c_leaves_nothing_half_written(home, tmp_path, delay):
    process = mnist(home, "--dataset", "digits", "--hidden", 4, "--epochs", 9, "--out", tmp_path / "out")
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    code, _, _ = finish(process)
    assert code in (130, -signal.SIGINT, 1, 0)  # 1: Python was still importing; 0: it was done
    for path in (tmp_path / "out").glob("checkpoints/*"):
        checkpoints.about(path)


# --- disks and folders -------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["log", "checkpoint"])
def test_a_full_disk_keeps_what_was_saved_and_the_run_goes_on_when_there_is_room(home, tmp_path, what):
    assert finish(tiny(home, tmp_path / "straight", 8))[0] == 0
    folder = tmp_path / "full"
    process = tiny(home, folder, 8, "sgd", "full" if what == "checkpoint" else "")
    if what == "log":
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1500, 1500))  # bytes a file can have
    code, _, err = finish(process)
    assert code == 1 and "OSError: [Errno 27] File too large" in err
    saved = sorted((folder / "checkpoints").iterdir())
    assert saved and all(checkpoints.about(path)["epoch"] for path in saved)
    assert not list(folder.glob("checkpoints/.*"))
    assert finish(tiny(home, folder, 8))[0] == 0
    assert result(folder, 8) == result(tmp_path / "straight", 8)


def in_a_mount(options, command, folder):
    """Run a shell command in a mount namespace where ``folder`` is mounted with options."""
    script = f"mount {options} {folder} && {command}"
    return subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False)


def needs_mounts(folder):
    if not shutil.which("unshare") or in_a_mount("-t tmpfs tmpfs", "true", folder).returncode:
        pytest.skip("mounting is not permitted here")


def test_a_full_file_system_is_one_line_and_what_was_saved_is_there(home, tmp_path):
    needs_mounts(tmp_path)
    (tmp_path / "disk").mkdir()
    arguments = "--dataset digits --hidden 512 --epochs 9 --batch-size 1442"
    command = (
        f"{sys.executable} {ROOT}/experiments/mnist.py {arguments} --out {tmp_path}/disk/run; status=$?;"
    )
    command += f"ls -A {tmp_path}/disk/run/checkpoints >&2; exit $status"
    done = in_a_mount(
        "-t tmpfs -o size=800k tmpfs", f"export HOME={home['HOME']}; {command}", tmp_path / "disk"
    )
    assert done.returncode == 1 and "No space left on device" in done.stderr
    assert re.search(r"^epoch-00000[12].safetensors$", done.stderr, re.MULTILINE)
    assert not re.search(r"^\.", done.stderr, re.MULTILINE)


def test_a_read_only_folder_is_refused_before_anything_starts(home, tmp_path):
    needs_mounts(tmp_path)
    (tmp_path / "disk").mkdir()
    command = f"{sys.executable} {ROOT}/experiments/mnist.py --dataset digits --out {tmp_path}/disk"
    done = in_a_mount("-t tmpfs -o ro tmpfs", f"export HOME={home['HOME']}; {command}", tmp_path / "disk")
    assert done.returncode == 1 and "compile" not in done.stdout
    assert re.fullmatch(r"jaxnaive: error: .*: the folder cannot be written to\n", done.stderr)


def test_another_file_system_behind_a_link_is_fine(home, tmp_path):
    needs_mounts(tmp_path)
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    command = (
        f"{sys.executable} {TESTS}/tiny_run.py {tmp_path}/link/run 3 && ls {tmp_path}/link/run/checkpoints"
    )
    done = in_a_mount("-t tmpfs tmpfs", f"export HOME={home['HOME']}; {command}", tmp_path / "disk")
    assert done.returncode == 0 and "epoch-000003.safetensors" in done.stdout, done.stderr


def test_two_runs_do_not_share_a_folder_and_a_killed_one_frees_it(home, tmp_path):
    first = tiny(home, tmp_path, 50, "sgd", "slow")
    wait_for_epoch(first, 1)
    code, _, err = finish(tiny(home, tmp_path, 50))
    assert code == 1 and f"in use by process {first.pid} on " in err
    wait_for_epoch(first, 2)  # unharmed
    kill(first)
    assert finish(tiny(home, tmp_path, 50))[0] == 0


@pytest.mark.parametrize("delay", [0.8, 1.6, 2.4])
def test_a_dataset_that_was_being_prepared_when_the_process_was_killed_is_prepared_again(
    home, tmp_path, delay
):
    home = home | {"TFDS_DATA_DIR": str(tmp_path)}
    script = "from jaxnaive import data; print(data.fingerprint(data.load('digits')))"
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(command, env=home, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    time.sleep(delay)
    kill(process)
    again = subprocess.run(command, env=home, cwd=ROOT, capture_output=True, text=True, check=True)
    home["TFDS_DATA_DIR"] = str(tmp_path / "fresh")
    fresh = subprocess.run(command, env=home, cwd=ROOT, capture_output=True, text=True, check=True)
    assert again.stdout == fresh.stdout and not again.stderr


def test_a_run_goes_on_with_another_number_of_devices(home, tmp_path):
    assert finish(tiny(home, tmp_path / "straight", 6))[0] == 0
    assert finish(tiny(home, tmp_path / "moved", 3))[0] == 0
    more = home | {"JAX_NUM_CPU_DEVICES": "2"}
    assert finish(tiny(more, tmp_path / "moved", 6))[0] == 0
    assert result(tmp_path / "moved", 6) == result(tmp_path / "straight", 6)


# --- the main job ------------------------------------------------------------------------------------

SMALL = ("--dataset", "digits", "--hidden", 8, "--batch-size", 100)


def test_the_main_job_is_resumed_refused_extended_and_left_alone(home, tmp_path):
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert finish(mnist(home, *SMALL, "--epochs", 400, "--out", straight))[0] == 0
    process = mnist(home, *SMALL, "--epochs", 400, "--out", stopped)
    while not list(stopped.glob("checkpoints/epoch-*")):
        time.sleep(0.01)
    process.terminate()
    code, _, err = finish(process)
    assert code == 143 and f"resume with --resume --out {stopped}" in err and "Traceback" not in err

    refusals = {
        "": "holds a run; go on with it by --resume",
        "--resume --batch-size 50": "batch_size: got 50, but the run in .* has 100",
        "--resume --learning-rate 0.1": "learning_rate: got 0.1, but the run in .* has 0.6",
        "--resume --seed 1": "seed: got 1, but the run in .* has 0",
        "--resume --optimizer adam": "optimizer: got adam, but the run in .* has nesterov",
        "--resume --hidden 9": r"hidden: got \[9\], but the run in .* has \[8\]",
        "--resume --epochs 3": "epochs: got 3, but the run in .* has 400",
    }
    for arguments, message in refusals.items():
        code, _, err = finish(mnist(home, *SMALL[:2], *arguments.split(), "--out", stopped))
        assert code == 2 and re.fullmatch(f"jaxnaive: error: .*{message}.*\n", err), err

    code, out, err = finish(mnist(home, "--resume", "--out", stopped))
    assert code == 0, err
    for name in (
        "params.safetensors",
        "metrics.jsonl",
        "config.json",
        "checkpoints/epoch-000400.safetensors",
    ):
        assert (stopped / name).read_bytes() == (straight / name).read_bytes(), name
    (accuracy,) = re.findall("test accuracy .*", out)

    before = {path: path.stat().st_mtime_ns for path in stopped.rglob("*") if path.name != ".lock"}
    code, out, _ = finish(mnist(home, "--resume", "--out", stopped))
    assert code == 0 and "already complete" in out and accuracy in out
    assert before == {path: path.stat().st_mtime_ns for path in stopped.rglob("*") if path.name != ".lock"}

    (stopped / "params.safetensors").write_bytes(b"damaged")
    assert finish(mnist(home, "--resume", "--out", stopped))[0] == 0
    assert (stopped / "params.safetensors").read_bytes() == (straight / "params.safetensors").read_bytes()

    code, out, _ = finish(mnist(home, "--resume", "--epochs", 402, "--out", stopped))
    assert code == 0 and json.loads((stopped / "certificate.json").read_text())["epochs"] == 402
    (_, end), again, more = (
        process["epochs"] for process in json.loads((stopped / "timings.json").read_text())
    )
    assert (end, again, more) == (400, [400, 400], [400, 402])


def test_a_sweep_is_resumed_and_refused(home, tmp_path):
    stopped, straight = tmp_path / "stopped", tmp_path / "straight"
    grid = ("--dataset", "digits", "--hidden", 16, "--seeds", 12, "--epochs", 100, "--memory", 2_000_000)
    process = start(home, "experiments/sweep.py", *grid, "--out", stopped)
    while not (parts := list(stopped.glob("parts/*/[!.]*"))) and process.poll() is None:
        time.sleep(0.01)
    process.terminate()
    code, _, err = finish(process)
    assert code == 143 and f"stopped by SIGTERM; resume with --resume --out {stopped}" in err, err
    kept = {path: path.stat().st_mtime_ns for path in parts}

    for arguments, message in {
        "": "holds a run; go on with it by --resume",
        "--resume --seeds 5": "seeds: got 5, but the run in .* has 12",
    }.items():
        code, _, err = finish(start(home, "experiments/sweep.py", *arguments.split(), "--out", stopped))
        assert code == 2 and re.fullmatch(f"jaxnaive: error: .*{message}.*\n", err), err
    code, _, err = finish(mnist(home, "--resume", "--out", stopped))
    assert code == 2 and "got a run of sweep, expected one of mnist" in err

    assert finish(start(home, "experiments/sweep.py", "--resume", "--out", stopped))[0] == 0
    assert finish(start(home, "experiments/sweep.py", *grid, "--out", straight))[0] == 0
    assert len(list(stopped.glob("parts/*/*"))) > len(kept)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert (stopped / "sweep.json").read_bytes() == (straight / "sweep.json").read_bytes()


def test_other_data_is_not_what_the_run_was_on(home, tmp_path):
    path, out = tmp_path / "my.npz", tmp_path / "out"
    images, labels = np.random.default_rng(0).random((20, 4)), np.arange(20) % 2
    np.savez(path, images=images, labels=labels)
    arguments = ("--dataset", path, "--batch-size", 4, "--hidden", 2)
    assert finish(mnist(home, *arguments, "--epochs", 1, "--out", out))[0] == 0
    np.savez(path, images=images, labels=1 - labels)
    code, _, err = finish(mnist(home, "--resume", "--epochs", 2, "--out", out))
    assert code == 2 and re.search(r"fingerprint: got \w{8}, but the run in .* has \w{8}", err)


@pytest.mark.parametrize("what", ["no run", "no checkpoint", "not a config"])
def test_there_has_to_be_a_run_to_resume(home, tmp_path, what):
    if what != "no run":
        assert finish(mnist(home, *SMALL, "--epochs", 1, "--out", tmp_path))[0] == 0
        shutil.rmtree(tmp_path / "checkpoints")
    if what == "not a config":
        (tmp_path / "config.json").write_text("[1, 2")
    code, _, err = finish(mnist(home, "--resume", "--out", tmp_path))
    assert code == (2 if what == "no run" else 1)
    assert (
        re.search("there is no run|no readable checkpoint|not a configuration", err) and err.count("\n") == 1
    )


def test_a_reader_that_has_enough_does_not_disturb_the_run(home, tmp_path):
    command = (
        f"{sys.executable} {ROOT}/experiments/mnist.py --dataset digits --epochs 3 --out {tmp_path} | head -1"
    )
    done = subprocess.run(["sh", "-c", command], env=home, capture_output=True, text=True, check=False)
    assert "BrokenPipe" not in done.stderr and "Traceback" not in done.stderr
    for path in tmp_path.glob("checkpoints/*"):
        checkpoints.about(path)


def test_a_damaged_compile_cache_is_no_obstacle(home, tmp_path):
    cache = tmp_path / "cache"
    home = home | {"JAX_COMPILATION_CACHE_DIR": str(cache)}
    assert finish(tiny(home, tmp_path / "a", 2))[0] == 0
    for path in cache.iterdir():
        path.write_bytes(b"garbage")
    assert finish(tiny(home, tmp_path / "b", 2))[0] == 0
    assert result(tmp_path / "a", 2) == result(tmp_path / "b", 2)


def test_a_device_that_is_not_there_is_one_line(home, tmp_path):
    code, _, err = finish(mnist(home | {"JAX_PLATFORMS": "tpu"}, *SMALL, "--out", tmp_path))
    assert (
        code == 1
        and re.search(r"^jaxnaive: error: .*tpu.*\n\Z", err, re.MULTILINE)
        and "Traceback" not in err
    )


def test_with_all_threads_a_resumed_run_is_equal_to_a_hundred_thousandth(home, tmp_path):
    home = {name: value for name, value in home.items() if name != "PJRT_NPROC"}
    for folder, stops in (("straight", [8]), ("stopped", [3, 8])):
        for epochs in stops:
            resume = ["--resume"] if epochs != stops[0] else []
            options = ("--schedule", "constant", "--learning-rate", 0.1, "--hidden", 512)
            code, _, err = finish(
                mnist(home, *SMALL, *options, "--epochs", epochs, *resume, "--out", tmp_path / folder)
            )
            assert code == 0, err
    like = {
        f"{n}.{p}": s
        for n, (i, o) in enumerate([(64, 512), (512, 10)])
        for p, s in (("w", (i, o)), ("b", (o,)))
    }
    a, b = (
        checkpoints.load_params(
            tmp_path / folder / "params.safetensors",
            {name: np.zeros(shape, np.float32) for name, shape in like.items()},
        )
        for folder in ("straight", "stopped")
    )
    for name in like:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-5, atol=1e-6)
