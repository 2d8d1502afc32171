"""Starts processes without their imports: each is a fork of one that has imported what they need.

Importing JAX and matplotlib takes longer than most of what the tests do with a process. A fork is a process
like any other: it has its own number, signals, limits and exit status. The server never starts JAX's backend,
whose threads a fork would lose.

python tests/processes/fork_server.py SOCKET
"""

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from jaxnaive.command import garbage

ROOT = Path(__file__).parent.parent.parent
IMPORTS = (
    "experiments.mnist",
    "experiments.sweep",
    "jaxnaive.networks",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "sklearn.datasets",
)
MAX_REQUEST = 2**16  # bytes


class Process:
    """A process that was forked for a test; a part of what :class:`subprocess.Popen` has."""

    def __init__(self, stdout: IO[str], stderr: IO[str], status: IO[str]) -> None:
        self.stdout = stdout
        self.pid = int(status.readline())
        self.returncode: int | None = None
        self._stderr = stderr
        self._status = status

    def poll(self) -> int | None:
        """The exit status; ``None`` if it still runs."""
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self) -> int:
        """The exit status, once there is one; of a signal it is negative."""
        if self.returncode is None:
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing happens if it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """Wait for its end. Returns what it still printed, and what it printed on standard error.

        Raises:
          TimeoutExpired: it did not end in so many seconds, and was killed.
        """
        late, errors = threading.Event(), []
        timer = threading.Timer(timeout, lambda: (late.set(), self.kill()))
        reader = threading.Thread(target=lambda: errors.append(self._stderr.read()))
        timer.start()
        reader.start()
        out = "" if self.stdout.closed else self.stdout.read()
        reader.join()
        self.wait()
        timer.cancel()
        self.stdout.close()
        self._stderr.close()
        if late.is_set():
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return out, errors[0]


class Server:
    """Starts processes; :func:`serve` makes it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._started: list[Process] = []

    def start(self, script: str | Path, *arguments: object) -> Process:
        """Start a script of this repository, as ``python SCRIPT ARGUMENTS`` would."""
        ours, its = zip(*(os.pipe() for _ in range(3)), strict=True)  # for stdout, stderr, the status
        request = json.dumps([str(ROOT / script), *map(str, arguments)]).encode()
        socket.send_fds(self._connection, [request], its)
        for descriptor in its:
            os.close(descriptor)
        process = Process(*map(os.fdopen, ours))
        self._started.append(process)
        return process

    def end(self) -> None:
        """End the processes that still run, as after a test that failed, and then itself."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()
        self._connection.close()


@contextlib.contextmanager
def serve(environment: Mapping[str, str]) -> Iterator[Server]:
    """A server whose processes have this environment."""
    ours, its = socket.socketpair()
    command = [sys.executable, __file__, str(its.fileno())]
    process = subprocess.Popen(command, env=environment, cwd=ROOT, pass_fds=[its.fileno()])
    its.close()
    client = Server(ours)
    try:
        yield client
    finally:
        client.end()
        process.wait()


# --- in the server -----------------------------------------------------------------------------------


def answer(connection: socket.socket) -> list[str]:
    """Start a process for each request. Returns in each of these processes, with what it has to run."""
    watchers: list[int] = []
    while True:
        request, (stdout, stderr, status) = receive(connection, watchers)
        if not (watcher := os.fork()):
            if not (pid := os.fork()):
                break
            for descriptor in (stdout, stderr):
                os.close(descriptor)
            watch(pid, status)
        watchers = [*(pid for pid in watchers if not os.waitpid(pid, os.WNOHANG)[0]), watcher]
        for descriptor in (stdout, stderr, status):
            os.close(descriptor)
    connection.close()
    os.close(status)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate((nothing, stdout, stderr)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    return request


def receive(connection: socket.socket, watchers: Sequence[int]) -> tuple[list[str], Sequence[int]]:
    """A request; when there will be no more, the server ends."""
    request, descriptors, _, _ = socket.recv_fds(connection, MAX_REQUEST, 3)
    if not request:
        for pid in watchers:
            os.waitpid(pid, 0)
        os._exit(0)
    return json.loads(request), descriptors


def watch(pid: int, status: int) -> None:
    """Say which process it is, and how it ended."""
    os.write(status, f"{pid}\n".encode())
    _, code = os.waitpid(pid, 0)
    os.write(status, f"{os.waitstatus_to_exitcode(code)}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    sys.path[:1] = [str(ROOT), str(ROOT / "tests")]
    for module in IMPORTS:
        importlib.import_module(module)
    garbage.freeze_imported_objects()  # or else each process copies their memory when it ends
    script, *arguments = answer(socket.socket(fileno=int(sys.argv[1])))
    sys.path[:2] = [str(Path(script).parent)]
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")
