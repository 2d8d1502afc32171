"""One process at a time, also where the kernel's locks are refused."""

import errno
import fcntl
import json
import os
import platform
import threading
from pathlib import Path

import pytest

from jaxnaive import runs
from jaxnaive.disk import files
from jaxnaive.runs import locks

REFUSALS = ("ENOSYS", "ENOLCK", "EOPNOTSUPP")  # Lustre, NFS, FUSE and CIFS


def failing(name):
    number = getattr(errno, name)

    def call(*_):
        raise OSError(number, os.strerror(number))

    return call


@pytest.fixture
def no_flock(monkeypatch):
    monkeypatch.setattr(fcntl, "flock", failing("ENOLCK"))


def leave(folder, **changed):
    """The file of a process that is killed in the folder: this one, but for what is changed."""
    with locks.hold(folder):
        holder = json.loads((folder / locks.HOLDER).read_text())
    left = locks.Process(*holder)._replace(**changed)
    (folder / locks.HOLDER).write_text(json.dumps(left))
    return left


@pytest.mark.parametrize("refusal", REFUSALS)
def test_without_flock_two_processes_are_kept_apart_by_a_file_which_is_said(
    tmp_path, monkeypatch, caplog, refusal
):
    monkeypatch.setattr(fcntl, "flock", failing(refusal))
    with runs.open(tmp_path, {"epochs": 1}):
        [said] = caplog.messages
        assert "no locks" in said
        with pytest.raises(BlockingIOError, match=f"in use by process {os.getpid()} on {platform.node()}; "):
            runs.open(tmp_path, {"epochs": 1}).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == [locks.LOCK]
    with locks.hold(tmp_path):
        pass


def test_another_error_of_flock_is_not_taken_for_a_missing_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", failing("EIO"))
    with pytest.raises(OSError, match="Input/output"), locks.hold(tmp_path):
        pass
    assert not (tmp_path / locks.HOLDER).exists()


@pytest.mark.parametrize(
    "changed", [{"number": 2**22 + 1}, {"started": "1"}], ids=["ended", "its number again"]
)
def test_the_file_of_a_killed_process_is_replaced(tmp_path, no_flock, changed):
    leave(tmp_path, **changed)
    with locks.hold(tmp_path):
        assert json.loads((tmp_path / locks.HOLDER).read_text())[0] == os.getpid()


def test_a_process_of_another_host_keeps_the_folder_until_someone_removes_its_file(tmp_path, no_flock):
    leave(tmp_path, host="elsewhere", number=2**22 + 1)
    path = tmp_path / locks.HOLDER
    with pytest.raises(BlockingIOError, match=f"on elsewhere; .* remove {path}"), locks.hold(tmp_path):
        pass
    path.unlink()
    with locks.hold(tmp_path):
        pass


def test_a_file_without_a_process_is_not_taken_for_a_free_folder(tmp_path, no_flock, monkeypatch):
    monkeypatch.setattr(locks, "PAUSE", 0)
    (tmp_path / locks.HOLDER).write_text("")
    with pytest.raises(BlockingIOError, match=r"names no process; .* remove"), locks.hold(tmp_path):
        pass


def test_of_many_that_find_a_killed_process_one_gets_the_folder(tmp_path, no_flock):
    threads, taken, refused = 8, [], []
    for round_ in range(30):
        leave(tmp_path, started="1")
        at_once, all_tried = threading.Barrier(threads), threading.Barrier(threads)

        def enter(round_=round_, at_once=at_once, all_tried=all_tried):
            at_once.wait()
            try:
                with locks.hold(tmp_path):
                    taken.append(round_)
                    all_tried.wait()
            except BlockingIOError:
                refused.append(round_)
                all_tried.wait()

        several = [threading.Thread(target=enter) for _ in range(threads)]
        for thread in several:
            thread.start()
        for thread in several:
            thread.join()
    assert taken == list(range(30))
    assert len(refused) == 30 * (threads - 1)


def test_a_file_that_another_process_made_meanwhile_stays(tmp_path, no_flock):
    path = tmp_path / locks.HOLDER
    other = json.dumps(locks.Process(1, "elsewhere", ""))
    with locks.hold(tmp_path):
        path.write_text(other)
    assert path.read_text() == other


@pytest.mark.parametrize("refusal", ["EINVAL", "ENOTSUP", "ENOSYS"])
def test_a_file_system_that_cannot_wait_for_the_disk_is_said_once(tmp_path, monkeypatch, caplog, refusal):
    files._say_cannot_sync.cache_clear()
    monkeypatch.setattr(os, "fsync", failing(refusal))
    for name in ("a", "b"):
        files.write(tmp_path / name, b"content")
        assert (tmp_path / name).read_bytes() == b"content"
    [said] = caplog.messages
    assert "power cut" in said


def test_a_folder_that_cannot_be_opened_does_not_stop_a_save(tmp_path, monkeypatch, caplog):
    real_open = os.open

    def of_files_alone(path, *args):
        if Path(path).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        return real_open(path, *args)

    files._say_cannot_sync.cache_clear()
    monkeypatch.setattr(os, "open", of_files_alone)
    files.write(tmp_path / "a", b"content")
    assert (tmp_path / "a").read_bytes() == b"content"
    assert len(caplog.messages) == 1
