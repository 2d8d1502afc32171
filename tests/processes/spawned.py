"""Train on four virtual devices, here and in a process that multiprocessing spawns, and say what came out.

XLA_FLAGS=--xla_force_host_platform_device_count=4 PYTHONPATH=tests python tests/processes/spawned.py
"""

import json
import multiprocessing

import jax
import optax
from processes.eight_devices import difference, recipe_with, toy

from jaxnaive import parallel, training


def trained(seed):
    """Parameters and losses of a run whose examples are on all devices; and how many these are."""
    examples = parallel.shard(toy(), parallel.mesh())
    run = training.train(seed, examples, recipe_with(optax.adam(0.01), shards=4), 2)
    return jax.device_get(run), jax.device_count()


def main():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (there, devices), (here, _) = pool.map(trained, [3])[0], trained(3)
    alone = training.train(3, toy(), recipe_with(optax.adam(0.01), shards=4), 2)
    print(json.dumps([devices, difference(there, here), difference(there, alone)]))


if __name__ == "__main__":
    main()
