"""Faults as they happen: real signals, real kills, a real full disk, against whole processes.

``faults.md`` beside this file says which test stands for which fault.
"""

import functools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import assert_trees_close
from processes import fork_server
from processes.xla_flags import COMPILE_FAST

from jaxnaive import data, layers, optimizers, runs, training
from jaxnaive.disk import checkpoints

HERE = Path(__file__).parent
TESTS, ROOT = HERE.parent, HERE.parent.parent
TINY, MNIST, SWEEP = "tests/processes/tiny_run.py", "experiments/mnist.py", "experiments/sweep.py"
SMALL = ("--dataset", "digits", "--hidden", 8, "--batch-size", 100)  # options of the main job
EPOCHS = 100  # of it
TABLE = re.findall(
    r"^\| (\d+) \| ([ABC]) \| .*? \| (.*?) \|$", (HERE / "faults.md").read_text(), re.MULTILINE
)

pytestmark = pytest.mark.xdist_group("faults")  # one worker has the server and the complete runs


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A home with a compile cache for all these processes; one thread, so that equal runs are equal."""
    home = tmp_path_factory.mktemp("home")
    settings = {
        "XLA_FLAGS": COMPILE_FAST,
        "PJRT_NPROC": "1",
        "JAX_COMPILATION_CACHE_DIR": str(home / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return os.environ | settings | {"HOME": str(home), "TFDS_DATA_DIR": str(home)}


@pytest.fixture(scope="session")
def server(home):
    """Starts processes in that home."""
    with fork_server.serve(home) as server:
        yield server


def start(home, script, *arguments):
    """Start a process that does its imports itself."""
    command = [sys.executable, ROOT / script, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=home, text=True, cwd=ROOT, stdout=pipe, stderr=pipe)


def finish(process, timeout=120):
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, out, err


def kill(process):
    process.kill()
    process.communicate()


def tiny(server, folder, epochs, mode=""):
    return server.start(TINY, folder, epochs, mode)


def mnist(server, *arguments):
    return server.start(MNIST, *arguments)


def wait_for_epoch(process, epoch):
    for line in process.stdout:
        if line.strip() == str(epoch):
            return
    pytest.fail(f"ended before epoch {epoch}: {process.communicate()[1]}")


def wait_for_file(process, folder, pattern):
    while not (found := list(folder.glob(pattern))):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    return found


def result(folder, epochs):
    """What a run comes to: its last checkpoint and its log."""
    name = f"checkpoints/epoch-{epochs:06d}.safetensors"
    return (folder / name).read_bytes(), (folder / "metrics.jsonl").read_bytes()


@pytest.fixture(scope="session")
def straight(server, tmp_path_factory):
    """What the small run comes to after so many epochs, if nothing happens to it."""

    @functools.cache
    def straight(epochs):
        folder = tmp_path_factory.mktemp("straight")
        assert finish(tiny(server, folder, epochs), 600)[0] == 0
        return result(folder, epochs)

    return straight


@pytest.fixture(scope="session")
def complete(server, tmp_path_factory):
    """The folder of a run of the main job, if nothing happens to it."""
    folder = tmp_path_factory.mktemp("complete") / "run"
    assert finish(mnist(server, *SMALL, "--epochs", EPOCHS, "--out", folder))[0] == 0
    return folder


def test_every_fault_that_has_to_be_survived_has_a_test_that_exists():
    assert [int(row) for row, _, _ in TABLE] == list(range(1, len(TABLE) + 1))
    sources = {path.name: path.read_text() for path in TESTS.rglob("test_*.py")}
    for row, priority, tests in TABLE:
        named = re.findall(r"`(test_\w+\.py)::(\w+)`", tests)
        assert named or (priority != "A" and len(tests) > 20), f"row {row} has neither test nor reason"
        for file, test in named:
            assert f"def {test}(" in sources[file], (row, test)


# --- kills -------------------------------------------------------------------------------------------


def kill_until_done(server, folder, epochs, seed, kills, mode="", within=0.5):
    """Start a run again and again, kill it at random moments, and let it end; the status and the errors."""
    moments = random.Random(seed)
    for kills_before in range(kills):
        process = tiny(server, folder, epochs, mode)
        process.stdout.readline()  # until then there is nothing new to lose
        time.sleep(moments.uniform(0, within))
        process.kill()
        code, _, err = finish(process)
        if code != -signal.SIGKILL:
            assert code, f"done after {kills_before} kills; more epochs are needed"
            return code, err
    code, _, err = finish(tiny(server, folder, epochs, mode), 600)
    return code, err


def test_kills_at_random_moments_change_nothing(server, straight, tmp_path):
    epochs = 500
    code, err = kill_until_done(server, tmp_path, epochs, seed=0, kills=3, within=0.15)
    assert code == 0, err
    assert result(tmp_path, epochs) == straight(epochs)


def test_kills_destroy_the_run_of_a_naive_writer(server, tmp_path):
    """The negative control: the moments of these kills are chosen well enough to be seen."""
    epochs, updates = 3000, 6
    for seed in range(5):
        folder = tmp_path / str(seed)
        code, _ = kill_until_done(server, folder, epochs, seed, 3, "naive")
        if code:
            return  # it could not go on
        if len((folder / "metrics.jsonl").read_text().splitlines()) != epochs * updates:
            return
    pytest.fail("no kill hurt")


@pytest.mark.slow
def test_a_hundred_kills_at_random_moments_change_nothing(server, straight, tmp_path):
    epochs = 10_000
    code, err = kill_until_done(server, tmp_path, epochs, seed=1, kills=100, within=0.25)
    assert code == 0, err
    assert result(tmp_path, epochs) == straight(epochs)


def files_of(folder):
    """The content of all files that have a name to stay, but for what says when it was made."""
    paths = (
        path for path in folder.rglob("*") if path.is_file() and path.suffix in (".safetensors", ".json")
    )
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in paths
        if not path.name.startswith(".") and path.name != "timings.json"
    }


@pytest.mark.slow
@pytest.mark.parametrize("doing", ["sweep", "export", "report", "data"])
def test_fifty_kills_of_what_else_writes_lose_nothing(server, complete, tmp_path, doing):
    """Each file is always that of an undisturbed process, or not there; and the next process ends well."""
    sweep = (*SMALL[:2], "--hidden", 4, 8, "--batch-size", 100, 200, "--epochs", 2, "--seeds", 4)
    starts = {
        "sweep": lambda folder, again: server.start(SWEEP, *sweep, "--out", folder, *["--resume"] * again),
        "export": lambda folder, _: server.start(
            "experiments/export.py", complete, "--to", "safetensors", "--out", folder / "network.safetensors"
        ),
        "report": lambda folder, _: server.start(
            "experiments/report.py", complete, "--out", folder / "report.html"
        ),
        "data": lambda folder, _: server.start("tests/processes/prepare_digits.py", folder),
    }
    start, moments, number = starts[doing], random.Random(2), 0
    began = time.perf_counter()
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    code, said, err = finish(start(undisturbed, False))
    assert code == 0, err
    takes, expected = time.perf_counter() - began, files_of(undisturbed)
    assert expected or doing in ("report", "data")
    for _ in range(50):
        folder = tmp_path / str(number)
        folder.mkdir(exist_ok=True)
        process = start(folder, (folder / "config.json").exists())
        time.sleep(moments.uniform(0, takes))
        process.kill()
        code, _, err = finish(process)
        assert code in (0, -signal.SIGKILL), err
        found = files_of(folder)
        assert found == {name: expected.get(name) for name in found}
        pages = list(folder.glob("*.html"))
        assert all(page.read_text().rstrip().endswith("</html>") for page in pages)
        number += code == 0  # the next one begins anew
    code, again, err = finish(start(folder, (folder / "config.json").exists()))
    assert code == 0, err
    assert files_of(folder) == expected
    assert again.split()[-1:] == said.split()[-1:] or doing != "data"
    assert doing == "report" or number < 45


def die_at_every_call(server, folder, writer):
    code, out, err = finish(server.start("tests/processes/die_at_call.py", folder, writer))
    assert code == 0, err
    return int(out)


def test_dying_at_any_system_call_of_a_save_leaves_the_old_or_the_new(server, tmp_path):
    attempts = die_at_every_call(server, tmp_path, "run")
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


def test_a_naive_writer_does_not_survive_that(server, tmp_path):
    attempts = die_at_every_call(server, tmp_path, "naive")
    whole = {np.full((3, 2), n, np.float32).tobytes() + np.int32(n).tobytes() for n in (3, 4)}
    assert {(tmp_path / str(n) / "state").read_bytes() for n in range(1, attempts + 1)} - whole


# --- signals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_epoch_saves_and_leaves(server, straight, tmp_path, number, status):
    process = tiny(server, tmp_path, 150, "paused")
    wait_for_epoch(process, 3)
    process.send_signal(number)
    code, _, err = finish(process)
    assert code == status and err.count("\n") == 1 and "Traceback" not in err
    (epoch,) = re.findall(rf"stopped by {number.name} after epoch (\d+); to go on, open", err)
    assert 4 <= int(epoch) < 150
    assert finish(tiny(server, tmp_path, 150))[0] == 0
    assert result(tmp_path, 150) == straight(150)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_save_lets_it_finish(server, tmp_path, number):
    process = tiny(server, tmp_path, 50, "slow")
    wait_for_epoch(process, 1)
    time.sleep(0.3)  # a save takes 0.6 s
    process.send_signal(number)
    code, _, err = finish(process)
    assert code == 128 + number and "after epoch 2;" in err
    assert checkpoints.about(tmp_path / "checkpoints" / "epoch-000002.safetensors")["epoch"] == 2


def test_a_second_ctrl_c_leaves_at_once(server, tmp_path):
    process = tiny(server, tmp_path, 50, "slow")
    wait_for_epoch(process, 2)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    before = time.perf_counter()
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (
        time.perf_counter() - before < 1 and code == -signal.SIGINT and err.endswith("\nKeyboardInterrupt\n")
    )
    with runs.open(tmp_path, {"epochs": 50}) as run:
        assert run.resumed
    assert checkpoints.about(tmp_path / "checkpoints" / "epoch-000002.safetensors")["epoch"] == 2


@pytest.mark.parametrize("doing", ["imports", "data", "compiling", "training"])
def test_an_early_ctrl_c_leaves_nothing_half_written(home, server, complete, tmp_path, doing):
    hidden = ("--hidden", 4) if doing == "compiling" else ()  # for the others it was compiled before
    arguments = (*SMALL, *hidden, "--epochs", EPOCHS, "--out", tmp_path)
    started = start(home, MNIST, *arguments) if doing == "imports" else server.start(MNIST, *arguments)
    if doing == "compiling":
        wait_for_file(started, tmp_path, ".lock")
    if doing == "training":
        wait_for_file(started, tmp_path, "checkpoints/epoch-*")
    time.sleep(0.3 if doing == "imports" else 0.1)
    started.send_signal(signal.SIGINT)
    code, _, _ = finish(started)
    allowed = [130, -signal.SIGINT, 1, 0]  # 1: Python was still importing; 0: it was done
    if doing == "imports":  # an extension of NumPy or jaxlib that is interrupted while it starts may crash
        allowed += [-signal.SIGABRT, -signal.SIGSEGV]
    assert code in allowed
    for path in tmp_path.glob("checkpoints/*"):
        checkpoints.about(path)


# --- disks and folders -------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["short-log", "no-room"])
def test_a_full_disk_keeps_what_was_saved_and_the_run_goes_on_when_there_is_room(
    server, straight, tmp_path, mode
):
    expected = straight(8)
    code, _, err = finish(tiny(server, tmp_path, 8, mode))
    assert code == 1 and "OSError: [Errno 27] File too large" in err
    assert ("checkpoints.py" in err) == (mode == "no-room")
    saved = sorted((tmp_path / "checkpoints").iterdir())
    assert saved and all(checkpoints.about(path)["epoch"] == int(path.stem[-6:]) for path in saved)
    assert not list(tmp_path.glob("checkpoints/.*"))
    assert finish(tiny(server, tmp_path, 8))[0] == 0
    assert result(tmp_path, 8) == expected


def in_a_mount(home, options, command, folder):
    """Run a shell command in a mount namespace where ``folder`` is mounted with options."""
    script = f"mount {options} {folder} && {command}"
    unshare = ["unshare", "-m", "sh", "-c", script]
    return subprocess.run(unshare, env=home, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def disk(home, tmp_path):
    """A folder to mount something on."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not shutil.which("unshare") or in_a_mount(home, "-t tmpfs tmpfs", "true", folder).returncode:
        pytest.skip("mounting is not permitted here")
    return folder


def test_a_full_file_system_is_one_line_and_what_was_saved_is_there(home, complete, disk):
    arguments = " ".join(map(str, (*SMALL, "--epochs", EPOCHS, "--out", disk / "run")))
    command = (
        f"{sys.executable} {MNIST} {arguments}; status=$?; ls -A {disk}/run/checkpoints >&2; exit $status"
    )
    done = in_a_mount(home, "-t tmpfs -o size=32k tmpfs", command, disk)  # room for two checkpoints
    assert done.returncode == 1 and "No space left on device" in done.stderr
    assert re.search(r"^epoch-00000[12].safetensors$", done.stderr, re.MULTILINE)
    assert not re.search(r"^\.", done.stderr, re.MULTILINE)


def test_a_read_only_folder_is_refused_before_anything_starts(home, disk):
    command = f"{sys.executable} {MNIST} --dataset digits --out {disk}"
    done = in_a_mount(home, "-t tmpfs -o ro tmpfs", command, disk)
    assert done.returncode == 1 and "compile" not in done.stdout
    assert re.fullmatch(r"jaxnaive: error: .*: the folder cannot be written to\n", done.stderr)


def test_another_file_system_behind_a_link_is_fine(home, disk, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(disk)
    command = f"{sys.executable} {TINY} {link}/run 3 && ls {link}/run/checkpoints"
    done = in_a_mount(home, "-t tmpfs tmpfs", command, disk)
    assert done.returncode == 0 and "epoch-000003.safetensors" in done.stdout, done.stderr


def test_two_runs_do_not_share_a_folder_and_a_killed_one_frees_it(server, tmp_path):
    first = tiny(server, tmp_path, 50, "slow")
    wait_for_epoch(first, 1)
    code, _, err = finish(tiny(server, tmp_path, 50))
    assert code == 1 and f"in use by process {first.pid} on " in err
    wait_for_epoch(first, 2)  # unharmed
    kill(first)
    assert finish(tiny(server, tmp_path, 50))[0] == 0


@pytest.mark.parametrize("delay", [0, 0.03, 0.1])
def test_a_dataset_that_was_being_prepared_when_the_process_was_killed_is_prepared_again(
    server, tmp_path, digits, delay
):
    process = server.start("tests/processes/prepare_digits.py", tmp_path)
    process.stdout.readline()  # it begins
    time.sleep(delay)
    kill(process)
    code, out, err = finish(server.start("tests/processes/prepare_digits.py", tmp_path))
    assert (code, out.split()[-1], err) == (0, data.fingerprint(digits), "")


def test_a_run_goes_on_with_another_number_of_devices(server, straight, tmp_path):
    assert finish(tiny(server, tmp_path, 3))[0] == 0
    code, out, _ = finish(tiny(server, tmp_path, 8, "two-devices"))
    assert code == 0 and out.startswith("3\n")
    assert result(tmp_path, 8) == straight(8)


# --- the main job ------------------------------------------------------------------------------------


def test_the_main_job_is_resumed_refused_extended_and_left_alone(server, complete, call, tmp_path):
    stopped = tmp_path / "stopped"
    process = mnist(server, *SMALL, "--epochs", EPOCHS, "--out", stopped)
    wait_for_file(process, stopped, "checkpoints/epoch-*")
    process.terminate()
    code, _, err = finish(process)
    assert code == 143 and f"(--resume --out {stopped})" in err and "Traceback" not in err

    refusals = {
        "": r"holds a run; go on with it by resume=True \(--resume\)",
        "--resume --batch-size 50": "batch_size: got 50, but the run in .* has 100",
        "--resume --learning-rate 0.1": "learning_rate: got 0.1, but the run in .* has 0.6",
        "--resume --seed 1": "seed: got 1, but the run in .* has 0",
        "--resume --optimizer adam": "optimizer: got adam, but the run in .* has nesterov",
        "--resume --hidden 9": r"hidden: got \[9\], but the run in .* has \[8\]",
        "--resume --epochs 3": f"epochs: got 3, but the run in .* has {EPOCHS}",
    }
    for arguments, message in refusals.items():
        code, _, err = call("mnist.py", *SMALL[:2], *arguments.split(), "--out", stopped)
        assert code == 2 and re.fullmatch(f"jaxnaive: error: .*{message}.*\n", err), err

    code, out, err = finish(mnist(server, "--resume", "--out", stopped))
    assert code == 0, err
    last = f"checkpoints/epoch-{EPOCHS:06d}.safetensors"
    for name in ("params.safetensors", "metrics.jsonl", "config.json", last):
        assert (stopped / name).read_bytes() == (complete / name).read_bytes(), name
    (accuracy,) = re.findall("test accuracy .*", out)

    before = {path: path.stat().st_mtime_ns for path in stopped.rglob("*") if path.name != ".lock"}
    code, out, _ = finish(mnist(server, "--resume", "--out", stopped))
    assert code == 0 and "already complete" in out and accuracy in out
    assert before == {path: path.stat().st_mtime_ns for path in stopped.rglob("*") if path.name != ".lock"}

    (stopped / "params.safetensors").write_bytes(b"damaged")
    assert finish(mnist(server, "--resume", "--out", stopped))[0] == 0
    assert (stopped / "params.safetensors").read_bytes() == (complete / "params.safetensors").read_bytes()

    code, out, _ = finish(mnist(server, "--resume", "--epochs", EPOCHS + 2, "--out", stopped))
    assert code == 0
    assert json.loads((stopped / "certificate.json").read_text())["epochs"] == EPOCHS + 2
    (_, end), again, more = (
        process["epochs"] for process in json.loads((stopped / "timings.json").read_text())
    )
    assert (end, again, more) == (EPOCHS, [EPOCHS, EPOCHS], [EPOCHS, EPOCHS + 2])


def test_a_sweep_is_resumed_and_refused(server, call, tmp_path):
    def sweep(*arguments):
        return server.start(SWEEP, *arguments)

    stopped, straight = tmp_path / "stopped", tmp_path / "straight"
    digits = ("--dataset", "digits")
    grid = (*digits, "--hidden", 4, "--optimizer", "sgd", "--seeds", 4, "--epochs", 30)
    grid += ("--batch-size", 128)
    grid += ("--memory", 400_000)  # 16 parts
    process = sweep(*grid, "--out", stopped)
    parts = wait_for_file(process, stopped, "parts/*/[!.]*")
    process.terminate()
    code, _, err = finish(process)
    assert code == 143 and f"stopped by SIGTERM; to go on, open {stopped} again (--resume" in err, err
    saved = {path: path.stat().st_mtime_ns for path in parts}

    for arguments, message in {
        "": r"holds a run; go on with it by resume=True \(--resume\)",
        "--resume --seeds 5": "seeds: got 5, but the run in .* has 4",
    }.items():
        code, _, err = call("sweep.py", *digits, *arguments.split(), "--out", stopped)
        assert code == 2 and re.fullmatch(f"jaxnaive: error: .*{message}.*\n", err), err
    code, _, err = call("mnist.py", "--resume", "--out", stopped)
    assert code == 2 and "got a run of sweep, expected one of mnist" in err

    assert finish(sweep("--resume", "--out", stopped))[0] == 0
    assert finish(sweep(*grid, "--out", straight))[0] == 0
    assert len(list(stopped.glob("parts/*/*"))) > len(saved)
    assert saved == {path: path.stat().st_mtime_ns for path in saved}
    assert (stopped / "sweep.json").read_bytes() == (straight / "sweep.json").read_bytes()


def test_other_data_is_not_what_the_run_was_on(server, complete, digits, tmp_path):
    path, out = tmp_path / "my.npz", tmp_path / "out"
    images, labels = np.asarray(digits.train.images), np.asarray(digits.train.labels)
    np.savez(path, images=images, labels=labels)
    process = mnist(server, "--dataset", path, *SMALL[2:], "--epochs", EPOCHS, "--out", out)
    wait_for_file(process, out, "config.json")
    kill(process)
    np.savez(path, images=images, labels=(labels + 1) % 10)
    code, _, err = finish(mnist(server, "--resume", "--out", out))
    assert code == 2 and re.search(r"fingerprint: got \w{8}, but the run in .* has \w{8}", err)


@pytest.mark.parametrize("what", ["no run", "no checkpoint", "not a config"])
def test_there_has_to_be_a_run_to_resume(server, complete, tmp_path, what):
    folder = tmp_path / "run"
    if what != "no run":
        shutil.copytree(complete, folder)
        shutil.rmtree(folder / "checkpoints")
    if what == "not a config":
        (folder / "config.json").write_text("[1, 2")
    code, _, err = finish(mnist(server, "--resume", "--out", folder))
    assert code == (2 if what == "no run" else 1)
    assert (
        re.search("there is no run|no readable checkpoint|not a configuration", err) and err.count("\n") == 1
    )


def test_a_reader_that_has_enough_does_not_disturb_the_run(server, tmp_path):
    process = mnist(server, *SMALL, "--epochs", EPOCHS, "--out", tmp_path)
    process.stdout.readline()
    process.stdout.close()
    code, _, err = finish(process)
    assert code == 141 and "BrokenPipe" not in err and "Traceback" not in err
    for path in tmp_path.glob("checkpoints/*"):
        checkpoints.about(path)


def test_a_damaged_compile_cache_is_no_obstacle(home, straight, tmp_path):
    expected, cache = straight(2), tmp_path / "cache"
    shutil.copytree(home["JAX_COMPILATION_CACHE_DIR"], cache)
    for path in cache.iterdir():
        path.write_bytes(b"garbage")
    damaged = home | {"JAX_COMPILATION_CACHE_DIR": str(cache)}
    assert finish(start(damaged, TINY, tmp_path / "run", 2))[0] == 0
    assert result(tmp_path / "run", 2) == expected


def test_a_device_that_is_not_there_is_one_line(home, tmp_path):
    process = start(home | {"JAX_PLATFORMS": "tpu"}, MNIST, *SMALL, "--out", tmp_path)
    code, _, err = finish(process)
    assert (
        code == 1
        and re.search(r"^jaxnaive: error: .*tpu.*\n\Z", err, re.MULTILINE)
        and "Traceback" not in err
    )


def test_with_all_threads_a_resumed_run_is_equal_to_a_hundred_thousandth(digits, tmp_path):
    recipe = training.Recipe(layers.mlp(64, 512, 10), optimizers.nesterov(0.1), batch_size=100)

    def params_after(epochs, folder):
        with runs.open(tmp_path / folder, {"epochs": epochs}) as run:
            state = run.restore(training.start(jax.random.key(0), recipe))
            for _ in range(run.epoch, epochs):
                state, loss = training.train_epoch(state, digits.train, recipe)
                run.save(state, loss)
        return state.params

    straight = params_after(8, "straight")
    params_after(3, "stopped")
    assert_trees_close(params_after(8, "stopped"), straight, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_closed_and_full_standard_streams_end_no_run(home, tmp_path, streams):
    command = [sys.executable, MNIST, *SMALL, "--epochs", 2, "--out", tmp_path / "run"]
    done = subprocess.run(
        ["bash", "-c", f'"$@" {streams}', "bash", *map(str, command)], cwd=ROOT, env=home, capture_output=True
    )
    assert done.returncode == 0, done
    assert (tmp_path / "run" / "certificate.json").exists()
    written = b"".join(path.read_bytes() for path in (tmp_path / "run").glob("*.*"))
    assert b"test accuracy" not in written  # what is printed does not get into a file with a stream's number


def test_a_terminal_of_ascii_ends_no_run_on_names_in_other_scripts(home, tmp_path):
    rows = [f"{k % 3}.{k},{('猫', 'été', 'dog')[k % 3]}" for k in range(60)]
    (tmp_path / "动物.csv").write_text("\n".join(["length,label", *rows]) + "\n", encoding="utf-8")
    command = [sys.executable, ROOT / MNIST, "--dataset", "动物.csv", "--hidden", "8", "--epochs", "9"]
    done = subprocess.run(
        command, cwd=tmp_path, env=home | {"PYTHONIOENCODING": "ascii:strict"}, capture_output=True
    )
    assert done.returncode == 0, done
    assert (tmp_path / "runs" / "动物-1" / "certificate.json").exists()
    assert b"3 classes: dog, \\xe9t\\xe9, \\u732b" in done.stdout
    assert b"train: 100%|##########|" in done.stderr
