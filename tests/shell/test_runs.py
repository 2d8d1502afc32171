"""Runs on disk: a run that was stopped ends as if it had not been."""

import errno
import json
import os
import signal
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_trees_close

from jaxnaive import job, layers, runs, training
from jaxnaive.disk import checkpoints, files

STATE = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.int32(7)}
CONFIG = {"epochs": 4, "rate": 0.1}


def recipe_with(optimizer):
    return training.Recipe(layers.mlp(6, 4, 3), optimizer, batch_size=10)


def saved(folder, epochs, config=CONFIG, first_loss=1.0):
    """A run of which so many epochs are saved."""
    with runs.open(folder, config) as run:
        run.restore(STATE)
        for epoch in range(run.epoch, epochs):
            run.save({**STATE, "count": np.int32(epoch + 1)}, [first_loss / (epoch + 1), 0.5])


def restored(folder, config=CONFIG):
    with runs.open(folder, config, resume=True) as run:
        return int(run.restore(STATE)["count"]), run.epoch, [loss.tolist() for loss in run.losses()]


def test_parts_are_computed_once_and_again_when_damaged_or_of_another_configuration(tmp_path, caplog):
    made = []

    def remembered(config=CONFIG, name="first"):
        with runs.open(tmp_path, config) as run:
            return run.remember("all", name, lambda: made.append(name) or {"loss": jnp.arange(3.0)}, like)

    like = {"loss": jax.ShapeDtypeStruct((3,), jnp.float32)}
    for _ in range(2):
        assert_trees_close(remembered(), {"loss": jnp.arange(3.0)})
    assert made == ["first"] and runs.stored_config(tmp_path) == CONFIG
    remembered(name="second")
    assert made == ["first", "second"]
    part = tmp_path / "parts" / "all" / "first.safetensors"
    part.write_bytes(part.read_bytes()[:-1])
    assert_trees_close(remembered(), {"loss": jnp.arange(3.0)})
    assert made == ["first", "second", "first"] and "computing it again" in caplog.text
    remembered({**CONFIG, "epochs": 5})  # what may grow may change a part all the same
    assert made == ["first", "second", "first", "first"]
    with pytest.raises(runs.RefusedError, match=r"rate: got 0.2, but the run in .* has 0.1"):
        remembered({**CONFIG, "epochs": 5, "rate": 0.2})


def test_a_signal_during_a_part_keeps_it_and_leaves(tmp_path, caplog):
    def compute():
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: run._received)
        return STATE

    with pytest.raises(runs.Stopped) as stopped, runs.open(tmp_path, CONFIG) as run:
        run.remember("all", "first", compute, STATE)
        pytest.fail("went on")
    assert (
        stopped.value.code == 143
        and f"stopped by SIGTERM; to go on, open {tmp_path} again (--resume --out {tmp_path})" in caplog.text
    )
    with runs.open(tmp_path, CONFIG) as run:
        run.remember("all", "first", lambda: pytest.fail("computed again"), STATE)


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def content(folder):
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_last_two_and_the_best_are_kept(tmp_path):
    with runs.open(tmp_path, CONFIG) as run:
        run.restore(STATE)
        for loss in (3.0, 1.0, 2.0, 2.5, 2.2):
            run.save(STATE, loss)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == [f"epoch-00000{epoch}.safetensors" for epoch in (2, 4, 5)]
    saved(tmp_path, 6, first_loss=30.0)  # the best is still known in a process that did not see it
    assert (tmp_path / "checkpoints" / "epoch-000002.safetensors").exists()


def test_a_run_is_its_config_its_log_and_its_checkpoints(tmp_path):
    saved(tmp_path, 2)
    assert json.loads((tmp_path / "config.json").read_text()) == {"format": runs.FORMAT} | CONFIG
    assert runs.stored_config(tmp_path) == CONFIG
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[2] == {"epoch": 1, "step": 0, "loss": 0.5} and len(lines) == 4
    about = checkpoints.about(tmp_path / "checkpoints" / "epoch-000002.safetensors")
    assert about["config"] == CONFIG and about["epoch"] == 2 and about["loss"] == 0.5
    assert restored(tmp_path) == (2, 2, [[1.0, 0.5], [0.5, 0.5]])


def test_the_damaged_newest_is_named_and_the_one_before_used(tmp_path, caplog):
    saved(tmp_path, 3)
    newest = tmp_path / "checkpoints" / "epoch-000003.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    assert restored(tmp_path) == (2, 2, [[1.0, 0.5], [0.5, 0.5]])
    assert "epoch-000003.safetensors: not a whole checkpoint" in caplog.text
    assert newest.with_suffix(".damaged").exists()
    saved(tmp_path, 3)
    assert restored(tmp_path)[:2] == (3, 3)


@pytest.mark.parametrize("damage", ["all damaged", "empty", "none", "no folder"])
def test_without_a_readable_checkpoint_a_run_is_not_resumed_from_nothing(tmp_path, damage):
    saved(tmp_path, 2)
    for path in (tmp_path / "checkpoints").iterdir():
        if damage == "all damaged":
            path.write_bytes(path.read_bytes()[:-1])
        elif damage == "empty":
            path.write_bytes(b"")
        else:
            path.unlink()
    if damage == "no folder":
        (tmp_path / "checkpoints").rmdir()
    with pytest.raises(ValueError, match="no readable checkpoint"):
        restored(tmp_path)


def test_another_run_is_not_overwritten(tmp_path):
    saved(tmp_path, 2)
    before = content(tmp_path)
    with pytest.raises(runs.RefusedError, match="holds a run"), runs.open(tmp_path, CONFIG, resume=False):
        pass
    with pytest.raises(runs.RefusedError, match=r"rate: got 0.2, but the run in .* has 0.1"):
        saved(tmp_path, 4, {**CONFIG, "rate": 0.2})
    with pytest.raises(runs.RefusedError, match=r"epochs: got 3, but the run in .* has 4"):
        saved(tmp_path, 4, {**CONFIG, "epochs": 3})
    with pytest.raises(runs.RefusedError, match=r"seed: got 1, but the run in .* has None"):
        saved(tmp_path, 4, {**CONFIG, "seed": 1})
    with pytest.raises(runs.RefusedError, match="there is no run"), runs.open(tmp_path / "b", CONFIG, True):
        pass
    assert content(tmp_path) == before


def test_a_configuration_in_the_types_of_other_libraries_is_the_one_in_python_s(tmp_path):
    given = {
        "epochs": np.int64(4), "rate": jnp.float32(0.5), "data": Path("my/data"), "sizes": (np.uint8(3), 2),
        "grid": np.array([0.5, 0.25]), "more": {"on": np.True_, "none": None},
    }  # fmt: skip
    plain = {
        "epochs": 4, "rate": 0.5, "data": "my/data", "sizes": [3, 2], "grid": [0.5, 0.25],
        "more": {"on": True, "none": None},
    }  # fmt: skip
    saved(tmp_path, 2, given)
    assert runs.stored_config(tmp_path) == plain
    assert restored(tmp_path, given)[1] == restored(tmp_path, plain)[1] == 2


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "rate: got nan, expected a finite number"),
        (np.float32("inf"), "rate: got inf, expected a finite number"),
        ([1.0, np.nan], "rate: got nan, expected a finite number"),
        ({"of": {1, 2}}, r"rate.of: got \{1, 2\}, expected a number, a text, or a list of them"),
        (object, "rate: got <class 'object'>, expected a number"),
    ],
)
def test_what_json_cannot_hold_is_refused_by_name_and_no_folder_is_made(tmp_path, value, message):
    with pytest.raises(ValueError, match=f"^{message}"), runs.open(tmp_path / "run", {"rate": value}):
        pass
    assert not (tmp_path / "run").exists()


def test_more_epochs_may_be_asked_for(tmp_path):
    saved(tmp_path, 4)
    saved(tmp_path, 6, {**CONFIG, "epochs": 6})
    assert restored(tmp_path, {**CONFIG, "epochs": 6})[1] == 6
    assert runs.stored_config(tmp_path)["epochs"] == 6


def test_a_run_that_is_complete_is_left_as_it_is(tmp_path):
    saved(tmp_path, 4)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.name != ".lock"}
    saved(tmp_path, 4)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.name != ".lock"}


def test_a_run_of_no_epochs_goes_on_and_is_not_overwritten(tmp_path):
    saved(tmp_path, 0)
    with pytest.raises(runs.RefusedError, match="holds a run"), runs.open(tmp_path, CONFIG, resume=False):
        pass
    assert restored(tmp_path) == (7, 0, [])


@pytest.mark.parametrize("resume", [None, True])
def test_when_all_is_damaged_trying_again_destroys_nothing(tmp_path, resume):
    saved(tmp_path, 3)
    for path in (tmp_path / "checkpoints").iterdir():
        path.write_bytes(b"damaged")
    before = content(tmp_path)
    for _ in range(2):
        with (
            pytest.raises(ValueError, match="no readable checkpoint"),
            runs.open(tmp_path, CONFIG, resume) as run,
        ):
            run.restore(STATE)
    assert content(tmp_path) == before


def test_what_others_left_in_a_folder_is_not_overwritten(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("mine")
    with pytest.raises(runs.RefusedError), runs.open(tmp_path, CONFIG):
        pass
    assert (tmp_path / "metrics.jsonl").read_text() == "mine"


def test_restore_comes_first_and_once(tmp_path):
    with runs.open(tmp_path, CONFIG) as run:
        with pytest.raises(RuntimeError, match="call restore"):
            run.save(STATE, 1.0)
        run.restore(STATE)
        with pytest.raises(RuntimeError, match="called before"):
            run.restore(STATE)
        with pytest.raises(ValueError, match="loss: got none"):
            run.save(STATE, [])


def test_strangers_among_the_checkpoints_are_passed_over(tmp_path, caplog):
    saved(tmp_path, 2)
    folder = tmp_path / "checkpoints"
    (folder / "epoch-best.safetensors").write_bytes(b"?")
    (folder / "epoch-000009.safetensors").write_bytes((folder / "epoch-000002.safetensors").read_bytes())
    (folder / "epoch-000008.safetensors").symlink_to(folder / "nowhere")
    assert restored(tmp_path)[:2] == (2, 2)
    assert "000009.safetensors: not the checkpoint of epoch 9" in caplog.text


def test_a_line_of_the_log_that_is_damaged_is_named(tmp_path):
    saved(tmp_path, 2)
    log = tmp_path / "metrics.jsonl"
    log.write_bytes(log.read_bytes().replace(b'{"epoch": 1, "step": 0', b'?"epoch": 1, "step": 0'))
    with pytest.raises(ValueError, match=r"metrics.jsonl: line 3 is damaged"):
        restored(tmp_path)


def test_a_log_that_becomes_shorter_is_not_padded(tmp_path):
    with runs.open(tmp_path, CONFIG) as run:
        run.restore(STATE)
        run.save(STATE, 1.0)
        run.log.write_text("")
        with pytest.raises(ValueError, match="got 0 bytes"):
            run.save(STATE, 1.0)


def test_content_reaches_the_disk_before_the_name_and_then_the_name(tmp_path, monkeypatch):
    calls = []

    def recorded(name):
        call = getattr(os, name)

        def record(*args):
            what = f"/proc/self/fd/{args[0]}" if name == "fsync" else args[0]
            calls.append((name, "folder" if Path(what).is_dir() else "file"))
            return call(*args)

        monkeypatch.setattr(os, name, record)

    for name in ("fsync", "replace"):
        recorded(name)
    files.write(tmp_path / "a", b"content")
    assert calls == [("fsync", "file"), ("replace", "file"), ("fsync", "folder")]
    calls.clear()
    files.append(tmp_path / "a", b"more")
    assert calls == [("fsync", "file")]


@pytest.mark.parametrize("fails", range(1, 4))
def test_whichever_fsync_of_a_save_fails_the_run_goes_on_from_what_was_saved(tmp_path, monkeypatch, fails):
    calls, fsync = [], os.fsync

    def failing(descriptor):
        calls.append(descriptor)
        if len(calls) == fails:
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    saved(tmp_path, 1)
    with runs.open(tmp_path, CONFIG) as run:
        run.restore(STATE)
        monkeypatch.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match="Input/output error"):
            run.save({**STATE, "count": np.int32(2)}, [0.5, 0.5])
        monkeypatch.undo()
    count, epoch, losses = restored(tmp_path)
    assert count == epoch == len(losses) and epoch in (1, 2)


def test_a_signal_at_the_end_of_the_block_is_heard(tmp_path):
    with pytest.raises(runs.Stopped), runs.open(tmp_path, CONFIG) as run:
        run.restore(STATE)
        os.kill(os.getpid(), signal.SIGTERM)


def test_signals_of_others_are_not_taken(tmp_path):
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
    ignored = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with runs.open(tmp_path, CONFIG) as run:
            run.restore(STATE)
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGTERM)
            run.save(STATE, 1.0)
    finally:
        signal.signal(signal.SIGUSR1, before)
        signal.signal(signal.SIGTERM, ignored)
    assert heard == [1]


def test_a_log_that_was_cut_is_named(tmp_path):
    saved(tmp_path, 2)
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"metrics.jsonl: got 0 bytes, expected the \d+ of epoch 2"):
        restored(tmp_path)


def test_what_is_not_finite_is_named_and_not_saved(tmp_path):
    with runs.open(tmp_path, CONFIG) as run:
        run.restore(STATE)
        run.save(STATE, 1.0)
        before = content(tmp_path)
        bad = {**STATE, "w": np.array([[1, np.nan, np.inf]])}
        message = (
            r"loss is not finite from step 2 of epoch 1 \(w has 2 of 3\); the last good .*000001.safetensors;"
        )
        with pytest.raises(FloatingPointError, match=message):
            run.save(bad, [1.0, 2.0, np.nan])
        with pytest.raises(FloatingPointError, match=r"values are not finite after epoch 1 \(w has 2 of 3\)"):
            run.save(bad, 1.0)
        assert content(tmp_path) == before


def test_leftovers_of_a_killed_save_are_removed_and_nothing_else(tmp_path):
    saved(tmp_path, 2)
    leftover = tmp_path / "checkpoints" / f".epoch-000003.{'0' * 32}.safetensors"
    other = tmp_path / "checkpoints" / ".epoch-000003.mine.safetensors"
    leftover.touch()
    other.touch()
    restored(tmp_path)
    assert not leftover.exists() and other.exists()


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_broken_disk_keeps_the_old_checkpoint_and_a_second_attempt_repairs_the_log(
    tmp_path, monkeypatch, call
):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    with runs.open(tmp_path, CONFIG) as run:
        run.restore(STATE)
        run.save(STATE, 1.0)
        monkeypatch.setattr(os, call, broken)
        with pytest.raises(OSError, match="Input/output error"):
            run.save(STATE, 0.5)
        monkeypatch.undo()
        names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
        assert names == ["epoch-000000.safetensors", "epoch-000001.safetensors"]
        run.save(STATE, 0.25)
        assert [loss.tolist() for loss in run.losses()] == [[1.0], [0.25]]


def test_a_folder_that_disappears_is_an_error_and_not_a_loop(tmp_path):
    with runs.open(tmp_path / "run", CONFIG) as run:
        run.restore(STATE)
        (tmp_path / "run").rename(tmp_path / "moved")
        with pytest.raises(FileNotFoundError, match=r"metrics\.jsonl"):
            run.save(STATE, 1.0)


@pytest.mark.parametrize("name", ["with spaces", "zeichen-ü", "two\nlines", "bad-\udcff-byte", "x" * 255])
def test_folders_of_any_name(tmp_path, name):
    saved(tmp_path / name, 2)
    assert restored(tmp_path / name)[1] == 2


def test_in_another_thread_signals_are_left_alone(tmp_path):
    before, after = signal.getsignal(signal.SIGINT), []

    def work():
        with runs.open(tmp_path, CONFIG) as run:
            run.restore(STATE)
            run.save(STATE, 1.0)
            after.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert after == [before]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_save_and_handlers_come_back(tmp_path, caplog, number):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(runs.Stopped) as stopped, runs.open(tmp_path, CONFIG) as run:
        run.restore(STATE)
        os.kill(os.getpid(), number)
        wait_until(lambda: run._received)
        run.save(STATE, 1.0)
    assert stopped.value.code == 128 + number
    assert f"stopped by {number.name} after epoch 1; to go on, open" in caplog.text
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert restored(tmp_path)[1] == 1


def test_a_second_ctrl_c_is_an_interrupt_that_leaves_the_process_and_what_was_saved(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), runs.open(tmp_path, CONFIG) as run:
        run.restore(STATE)
        run.save(STATE, 1.0)
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
        pytest.fail("went on")
    assert signal.getsignal(signal.SIGINT) == before
    assert restored(tmp_path)[1] == 1


def test_folders_are_numbered_and_the_last_run_of_a_kind_is_found(tmp_path, caplog):
    first, second = runs.new_folder(tmp_path, "mnist"), runs.new_folder(tmp_path, "mnist")
    assert (first.name, second.name) == ("mnist-1", "mnist-2")
    (tmp_path / "mnist-10").mkdir()
    (tmp_path / "mnist-x").mkdir()
    assert runs.new_folder(tmp_path, "mnist").name == "mnist-11"

    def last(kind):
        return runs.last_folder(tmp_path, lambda config: config.get("kind") == kind, kind)

    with pytest.raises(runs.RefusedError, match="there is no run of a"):
        last("a")
    saved(second, 1, {**CONFIG, "kind": "a"})
    saved(first, 1, {**CONFIG, "kind": "a"})
    saved(tmp_path / "other", 1, {**CONFIG, "kind": "b"})
    os.utime(second / "config.json", (1, 1))
    assert last("a") == first and last("b") == tmp_path / "other"
    (first / "config.json").write_text("{")
    assert last("a") == second and "mnist-1/config.json: not a configuration" in caplog.text


@pytest.mark.parametrize("optimizer", job.OPTIMIZERS)
def test_stopped_after_any_epoch_a_run_ends_with_the_same_bits(tmp_path, toy, optimizer):
    rate = job.make_schedule("one-cycle", 0.05, 20)
    recipe = recipe_with(job.find_optimizer(optimizer)(rate))

    def go_on(folder, epochs):
        with runs.open(folder, {"optimizer": optimizer}) as run:
            state = run.restore(training.start(jax.random.key(0), recipe))
            for _ in range(run.epoch, epochs):
                state, loss = training.train_epoch(state, toy, recipe)
                run.save(state, loss)

    go_on(tmp_path / "straight", 4)
    for stop in range(1, 4):
        go_on(tmp_path / str(stop), stop)
        go_on(tmp_path / str(stop), 4)
        for name in ("metrics.jsonl", "checkpoints/epoch-000004.safetensors"):
            assert (tmp_path / str(stop) / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()
