"""Save a state again and again, each time dying one system call later.

python tests/processes/die_at_call.py FOLDER WRITER

Every attempt is a fork with a folder of its own, FOLDER/N; it dies before its N-th call, or in the middle of
it if that is a write. Prints how many attempts it took until one lived. The writer is ``run`` or ``naive``.
"""

import os
import shutil
import sys
from pathlib import Path

import numpy as np

from jaxnaive import runs

CALLS = ("open", "write", "fsync", "close", "replace", "rename", "unlink", "mkdir", "truncate")
CONFIG = {"epochs": 9}


def state(number):
    return {"w": np.full((3, 2), number, np.float32), "step": np.int32(number)}


def by_run(folder, numbers):
    with runs.open(folder, CONFIG) as run:
        run.restore(state(0))
        for number in numbers:
            run.save(state(number), [1.0 / number, 0.5 / number])


def by_naive(folder, numbers):
    for number in numbers:
        descriptor = os.open(folder / "state", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for leaf in state(number).values():
            os.write(descriptor, leaf.tobytes())
        os.close(descriptor)


def die_at(number):
    """Make the process die at its system call of this number."""
    count = 0

    def dying(call):
        def counted(*args, **kwargs):
            nonlocal count
            count += 1
            if count == number:
                if call.__name__ == "write":
                    call(args[0], args[1][: len(args[1]) // 2])
                os._exit(137)
            return call(*args, **kwargs)

        return counted

    for name in CALLS:
        setattr(os, name, dying(getattr(os, name)))


def main(base, writer):
    save = {"run": by_run, "naive": by_naive}[writer]
    (base / "0").mkdir(parents=True)
    save(base / "0", [1, 2, 3])
    number, status = 0, 137
    while status:
        number += 1
        shutil.copytree(base / "0", base / str(number))
        child = os.fork()
        if not child:
            die_at(number)
            save(base / str(number), [4])
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, 137), status
    print(number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
