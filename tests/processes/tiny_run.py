"""A small run as a user would write it, for the tests to interrupt.

python tests/processes/tiny_run.py FOLDER EPOCHS [MODE]

The modes: ``slow`` makes every fsync take 0.2 s; ``paused`` adds 5 ms to every epoch; with ``short-log`` no
file can be longer than 1,500 bytes, which the log reaches first, and with ``no-room`` 700 after the first
epoch, which leaves room for the log and none for a checkpoint; ``two-devices`` makes two devices of the CPU;
``naive`` saves as most scripts do, and is there to fail.
"""

import os
import pickle
import resource
import sys
import time
from pathlib import Path

import jax
import numpy as np

from jaxnaive import batches, job, layers, optimizers, runs, training

SCHEDULE_EPOCHS = 1000  # not the number that is asked for, so that a longer run begins as a shorter one


def main(folder, epochs, mode):
    prepare(mode)
    rng = np.random.default_rng(0)
    images = rng.random((48, 4)).astype(np.float32)
    examples = batches.Examples(images, images[:, :2].argmax(axis=1).astype(np.int32))
    rate = job.make_schedule("linear", 0.01, SCHEDULE_EPOCHS * 6)
    recipe = training.Recipe(layers.mlp(4, 3, 2), optimizers.sgd(rate), batch_size=8)
    state = training.start(jax.random.key(0), recipe)
    if mode == "naive":
        naive(folder, state, examples, recipe, epochs)
        return
    with runs.open(folder, {"epochs": epochs}) as run:
        state = run.restore(state)
        for epoch in range(run.epoch, epochs):
            state, loss = training.train_epoch(state, examples, recipe)
            print(epoch, flush=True)
            run.save(state, loss)
            if mode == "paused":
                time.sleep(0.005)
            if mode == "no-room":
                limit_files(700)


def prepare(mode):
    if mode == "slow":
        fsync = os.fsync
        os.fsync = lambda fd: time.sleep(0.2) or fsync(fd)
    if mode == "short-log":
        limit_files(1500)
    if mode == "two-devices":
        jax.config.update("jax_num_cpu_devices", 2)


def limit_files(size):
    """No file can be longer than so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def naive(folder, state, examples, recipe, epochs):
    """No temporary file, no checksum, no lock: what a kill in the wrong moment destroys."""
    folder.mkdir(exist_ok=True)
    path, first = folder / "state.pickle", 0
    if path.exists():
        leaves, first = pickle.loads(path.read_bytes())
        key = jax.random.wrap_key_data(leaves.pop())
        state = jax.tree.unflatten(jax.tree.structure(state._replace(key=None)), leaves)._replace(key=key)
    for epoch in range(first, epochs):
        state, loss = training.train_epoch(state, examples, recipe)
        print(epoch, flush=True)
        with (folder / "metrics.jsonl").open("a") as log:
            log.writelines(f"{value}\n" for value in np.asarray(loss).tolist())
        arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(state._replace(key=None))]
        content = pickle.dumps(([*arrays, np.asarray(jax.random.key_data(state.key))], epoch + 1))
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(content), 100):
                file.write(content[start : start + 100])


if __name__ == "__main__":
    _, folder, epochs, mode = [*sys.argv, ""][:4]
    main(Path(folder), int(epochs), mode)
