"""Train over several processes, and compare with one.

    python experiments/distributed.py
    python experiments/distributed.py --processes 4 --dataset digits --batch-size 64

Started like this it starts the processes itself, on this machine's CPU. On a cluster, start it once for each
process, with a coordinator: `--coordinator auto` where JAX finds the others itself, such as under Slurm, or

    python experiments/distributed.py --coordinator 10.0.0.1:1234 --processes 2 --process-id 0

Every process trains with the devices that it sees, and reads its shard of the training examples alone. The
processes listen at the coordinator's address, and on CPUs also at that of the machine's name (Gloo), in both
places without a password.
"""

import atexit
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tyro.conf import OmitArgPrefixes

from jaxnaive import batches, command, data, layers, optimizers, parallel, training
from jaxnaive.command import datasets
from jaxnaive.command.options import DatasetName, Reading
from jaxnaive.disk import checkpoints, files
from jaxnaive.job import check_at_least, check_seed
from jaxnaive.layers import Params
from jaxnaive.runs import progress

TOLERANCE = 1e-5  # of the largest parameter of an array; sums in another order are rounded differently
DEAD_AFTER = 20  # seconds without a sign of life
PARAMS = "params.safetensors"
LOOPBACK = "127.0.0.1"
BIND_ADDRESS = "JAX_COORDINATOR_BIND_ADDRESS"
LAUNCHED = "JAXNAIVE_LAUNCHED"  # set where the launcher holds the other end of the standard input


@dataclass(frozen=True)
class Options:
    """Train a network over several processes, and compare with one."""

    dataset: DatasetName = None
    reading: OmitArgPrefixes[Reading] = field(default_factory=Reading)
    """how files of yours are read"""
    hidden: tuple[int, ...] = (512,)
    """units of the hidden layers, which are tanh"""
    epochs: int = 3
    """how often every example is seen"""
    batch_size: int = 256
    """examples an update, of all processes together"""
    learning_rate: float = 0.1
    """of nesterov"""
    seed: int = 0
    """decides the first parameters and the order of the examples"""
    processes: int = 2
    """how many"""
    port: int = 0
    """where the processes that are started here meet; 0 is a free one"""
    coordinator: str | None = None
    """be one process of many: ADDRESS:PORT, of process 0, where all meet; or auto, to let JAX find out under
    Slurm, Open MPI or Kubernetes. JAX_COORDINATOR_BIND_ADDRESS says where process 0 listens, if elsewhere"""
    process_id: int | None = None
    """number of this process, from 0, with a coordinator that is not auto"""
    out: Path = Path("runs/distributed")
    """folder for the parameters, and for what each process prints when it is started here"""


class Result(NamedTuple):
    """What a run comes to."""

    params: Params
    accuracy: float  # on the test set
    difference: float | None = None  # from the parameters of one process, if they were compared


def main(options: Options) -> Result | None:
    """Returns the result; or nothing, in a process of many that is not the first."""
    with command.usage():
        check(options)
        files.check_folder(options.out)
    return launch(options) if options.coordinator is None else work(options)


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    data.check_name(options.dataset, **vars(options.reading))
    optimizers.check_learning_rate(options.learning_rate)
    for name, value, least in (
        ("epochs", options.epochs, 1),
        ("batch size", options.batch_size, 1),
        ("processes", options.processes, 1),
        ("port", options.port, 0),
        *(("hidden units", units, 1) for units in options.hidden),
    ):
        check_at_least(name, value, least)
    check_seed(options.seed)
    if options.coordinator is None or options.coordinator == "auto":
        if options.process_id is not None:
            raise ValueError(f"process id: got {options.process_id}, expected none without --coordinator")
        return
    if not options.coordinator.rpartition(":")[2].isdecimal() or ":" not in options.coordinator:
        raise ValueError(f"coordinator: got {options.coordinator!r}, expected ADDRESS:PORT or auto")
    if options.process_id is None or not 0 <= options.process_id < options.processes:
        raise ValueError(f"process id: got {options.process_id}, expected 0 to {options.processes - 1}")


# --- one process of many -----------------------------------------------------------------------------


def work(options: Options) -> Result | None:
    """Train with the others."""
    # While this process waits for the others, in code of JAX, Python would only note the signal.
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if LAUNCHED in os.environ:
        threading.Thread(target=leave_with_the_launcher, daemon=True).start()
    connect(options)
    try:
        params, dataset, recipe = train(options)
        if jax.process_index():
            return None
        files.make_folder(options.out)
        checkpoints.save_params(options.out / PARAMS, params)
        return report(jax.process_count(), params, dataset, recipe)
    except BaseException as error:
        # JAX would wait at the exit for the others, and then end in a page of messages.
        atexit.register(os._exit, 2 if isinstance(error, command.UsageError) else 1)
        raise


def connect(options: Options) -> None:
    """Make the devices of all processes known to each other."""
    jax.config.update("jax_enable_preemption_service", False)  # it would keep SIGTERM from ending the process
    if options.coordinator and options.coordinator != "auto":
        os.environ.setdefault(BIND_ADDRESS, options.coordinator)  # or else JAX listens on all addresses
        try:
            jax.distributed.initialize(
                options.coordinator,
                options.processes,
                options.process_id,
                heartbeat_timeout_seconds=DEAD_AFTER,
            )
        except jax.errors.JaxRuntimeError as error:
            raise RuntimeError(
                f"coordinator: got {options.coordinator}, where the processes do not meet ({error}); where "
                f"process 0 has to listen elsewhere, {BIND_ADDRESS} says so"
            ) from error
        return
    try:
        jax.distributed.initialize(heartbeat_timeout_seconds=DEAD_AFTER)
    except ValueError as error:
        raise command.UsageError(f"coordinator: got auto, but JAX finds no cluster ({error})") from error


def train(options: Options) -> tuple[Params, data.Dataset, training.Recipe]:
    """The same parameters in every process."""
    mesh = parallel.mesh()
    dataset = datasets.load_classes(options.dataset, vars(options.reading), verify=False)
    recipe = make_recipe(options, dataset, mesh.size)
    examples = parallel.shard(dataset.train, mesh)
    mine = sum(len(shard.data) for shard in jnp.asarray(examples.labels).addressable_shards)
    print(f"process {jax.process_index()} of {jax.process_count()}: {mine:,} training examples", flush=True)
    try:
        params = train_epochs(options, examples, recipe, print_epoch)
        return jax.device_get(params), dataset, recipe
    except jax.errors.JaxRuntimeError as error:
        raise RuntimeError(f"training failed, as it does when another process ends: {error}") from error


def print_epoch(epoch: int) -> None:
    """Say how far the first process is; the launcher counts these lines."""
    if jax.process_index() == 0:
        print(f"epoch {epoch} is done", flush=True)


def leave_with_the_launcher() -> None:
    """End this process when the launcher has ended, however it did."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


# --- the launcher ------------------------------------------------------------------------------------


def launch(options: Options) -> Result:
    """Train over processes of this machine, then in this process alone, and compare."""
    with command.usage():
        port = free_port(options.port)
    dataset = datasets.load_classes(options.dataset, vars(options.reading))
    options = replace(options, dataset=dataset.name if options.dataset is None else options.dataset)
    recipe = make_recipe(options, dataset, options.processes)
    print(
        f"{dataset.name}: {len(dataset.train.labels):,} training, {len(dataset.test.labels):,} test examples"
    )
    print(f"{options.processes} processes meet at port {port}; logs in {options.out}/", flush=True)
    run_all(options, port)
    with jax.default_device(jax.devices("cpu")[0]):
        with progress.bar(options.epochs, "1 process", "epoch", hidden=None) as shown:
            params = train_epochs(options, dataset.train, recipe, lambda _: shown.update())
        many = checkpoints.load_params(options.out / PARAMS, params)
        result = report(options.processes, many, dataset, recipe)
        report(1, params, dataset, recipe)
    difference = largest_difference(many, params)
    print(f"largest difference: {difference:.1e} of the largest parameter of its array")
    if not difference <= TOLERANCE:
        raise command.MissedError(f"difference: got {difference:.1e}, expected {TOLERANCE:.0e} or less")
    return result._replace(difference=difference)


def run_all(options: Options, port: int) -> None:
    """Start the processes, and wait until all have done well; when one fails, end the others.

    Raises:
      RuntimeError: which one failed, and why.
    """
    files.make_folder(options.out)
    (options.out / PARAMS).unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment |= {
        LAUNCHED: "1",
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": "1",
        BIND_ADDRESS: f"{LOOPBACK}:{port}",
    }
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(options.processes):
            own = replace(options, coordinator=f"{LOOPBACK}:{port}", process_id=number, port=0)
            with log_of(options, number).open("wb") as log:
                processes.append(
                    subprocess.Popen(
                        [sys.executable, __file__, *arguments(own)], env=environment, stdin=subprocess.PIPE,
                        stdout=log, stderr=log, start_new_session=True,  # so that Ctrl-C comes here alone
                    )
                )  # fmt: skip
        statuses = wait(processes, options)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    logs = [log_of(options, number) for number in range(options.processes)]
    for log in logs:
        for line in re.findall(r"^process .*$", log.read_text(errors="replace"), re.MULTILINE):
            print(line, flush=True)
    failed = [status for status in statuses if status]
    if failed:  # a signal's number is negative: what was killed comes before what failed for want of it
        number = statuses.index(min(failed))
        raise RuntimeError(f"process {number} {describe(min(failed), logs[number])}")


def wait(processes: Sequence[subprocess.Popen[bytes]], options: Options) -> list[int | None]:
    """How the processes ended; that of those still running when one has failed is ``None``."""
    statuses: list[int | None] = [None]
    with progress.bar(options.epochs, f"{options.processes} processes", "epoch", hidden=None) as shown:
        while None in statuses and not any(statuses):
            time.sleep(0.1)
            statuses = [process.poll() for process in processes]
            log = log_of(options, 0).read_text(errors="replace")
            shown.update(len(re.findall(r"^epoch .*$", log, re.MULTILINE)) - shown.n)
    return statuses


def describe(status: int, log: Path) -> str:
    """How a process ended, and what its log says of it."""
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}, and the others with it; see {log}"
    said = re.findall(r"^jaxnaive: error: (.*)$", log.read_text(errors="replace"), re.MULTILINE)
    return f"failed, and the others were ended: {said[-1] if said else f'status {status}'}; see {log}"


def arguments(options: Options) -> list[str]:
    """Options as a command line has them."""
    given = asdict(options)
    given |= given.pop("reading")
    words = []
    for name, value in given.items():
        if value is None:
            continue
        words += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, tuple) else (value,))]
    return words


def log_of(options: Options, number: int) -> Path:
    """What a process that is started here prints."""
    return options.out / f"process-{number}.log"


def free_port(port: int) -> int:
    """The port, or a free one for 0.

    Raises:
      ValueError: it is taken, or may not be used.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError) as error:
            raise ValueError(
                f"port: got {port}, which cannot be had ({error}); 0 finds a free one"
            ) from error
        return probe.getsockname()[1]


# --- both --------------------------------------------------------------------------------------------


def make_recipe(options: Options, dataset: data.Dataset, shards: int) -> training.Recipe:
    """What the options mean for this dataset and so many devices."""
    with command.usage():
        batches.check_batch_size(options.batch_size, len(dataset.train.labels), shards)
    *hidden, last = pairwise((dataset.num_features, *options.hidden, len(dataset.class_names)))
    # Not relu, whose slope jumps: a unit that rounding puts on the other side of 0 learns something else, and
    # after three epochs of MNIST the runs differ by 5 %. So does one process from itself, if w is changed by
    # a ten-millionth.
    model = layers.sequential(*(layers.dense(*pair, jnp.tanh) for pair in hidden), layers.dense(*last))
    optimizer = optimizers.nesterov(options.learning_rate)
    return training.Recipe(model, optimizer, batch_size=options.batch_size, shards=shards)


def train_epochs(
    options: Options, examples: batches.Examples, recipe: training.Recipe, after_epoch: Callable[[int], Any]
) -> Params:
    """The trained parameters; the number of each epoch is told when it is done."""
    state = jax.jit(training.start, static_argnames="recipe")(jax.random.key(options.seed), recipe)
    for epoch in range(1, options.epochs + 1):
        state, _ = jax.block_until_ready(training.train_epoch(state, examples, recipe))
        after_epoch(epoch)
    return state.params


def report(processes: int, params: Params, dataset: data.Dataset, recipe: training.Recipe) -> Result:
    """Test the parameters, and say how well they do."""
    accuracy = float(training.evaluate(params, dataset.test, recipe).accuracy)
    print(f"{processes} process{'es' * (processes > 1)}: test accuracy {accuracy:.4f}", flush=True)
    return Result(params, accuracy)


def largest_difference(got: Params, expected: Params) -> float:
    """Of two parameters, relative to the largest one in their array."""
    relative = jax.tree.map(lambda a, b: np.abs(a - b).max() / np.abs(b).max(), got, expected)
    return float(max(jax.tree.leaves(relative)))


if __name__ == "__main__":
    command.run(main, Options)
