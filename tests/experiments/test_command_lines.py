"""Wrong command lines, made at random: each is one line and exit 2, before anything is written."""

import dataclasses
import importlib
import random
import signal

import pytest

SCRIPTS = (
    "mnist", "sweep", "tuned", "optimizers", "batch_sizes", "distributed", "predict", "export", "report",
    "playground", "notes", "claims", "race/race", "race/gradients", "race/growth",
)  # fmt: skip
INTEGER, NUMBER = ("x", "1.5", "", "nan", "1e3"), ("x", "", "nan", "inf", "-1", "1,5")
TOO_SMALL = ("-1", "0", "-99999999999999999999")
NOT_CHOICES = ("x", "", "Constant", "常数", "a\nb")
NEVER = {  # by the name of an option: values that no script takes
    "dataset": ("", "no-such", "mnistt", "emnist/../x", "a\nb", "数.csv", "no/such.npz"),
    "hidden": (*INTEGER, *TOO_SMALL),
    "optimizer": (*NOT_CHOICES, "optax", "optax.", "optax.no_such", "optax.lbfgs", "os.system"),
    "learning_rate": (*NUMBER, "0"),
    "decay": (*NUMBER, "1", "1.5"),
    "schedule": NOT_CHOICES,
    "precision": (*NOT_CHOICES, "float64"),
    "label_smoothing": (*NUMBER, "1", "1.1"),
    "weight_decay": NUMBER,
    "epochs": (*INTEGER, "-1", "-99999999999999999999"),
    "updates": (*INTEGER, "-1"),
    "batch_size": (*INTEGER, *TOO_SMALL),
    "seed": (*INTEGER, "-1", "4294967296"),
    "seeds": (*INTEGER, *TOO_SMALL),
    "validation": (*NUMBER, "1", "1.5"),
    "patience": (*INTEGER, *TOO_SMALL),
    "target": ("x", "", "nan", "inf", "-1", "1.5"),
    "stop_at_loss": ("x", "", "nan"),
    "memory": (*INTEGER, *TOO_SMALL),
    "budget": ("x", "", "-1", "5 parsecs", "nan", "0s"),
    "metric": ("x", "", "a\nb"),
    "processes": (*INTEGER, *TOO_SMALL),
    "port": (*INTEGER, "-1", "65536", "99999999999999999999"),
    "coordinator": ("x", "", "localhost", ":x", "a\nb:1"),
    "process_id": (*INTEGER, "-1", "0", "7"),
    "rounds": (*INTEGER, *TOO_SMALL),
    "peers": (*NOT_CHOICES, "tensorflow2"),
    "programs": NOT_CHOICES,
    "axes": NOT_CHOICES,
    "depth": (*INTEGER, *TOO_SMALL),
    "examples": (*INTEGER, *TOO_SMALL),
    "seconds": NUMBER,
    "only": NOT_CHOICES,
    "language": (*NOT_CHOICES, "de", "ZH"),
    "to": (*NOT_CHOICES, "pickle"),
    "run": ("", "no/such", "no-such.safetensors", "a\nb"),
    "names": NOT_CHOICES,
    "task": (*NOT_CHOICES, "clustering"),
    "scaling": (*NOT_CHOICES, "minmax"),
    "size": ("x", "0 0", "-1 5", "28", "28 28"),
    "label": ("no-such", "a\nb"),  # a dataset with a name has none
    "test": ("no-such", "1.5"),
}
FLAWS = (["--no-such"], ["--no-such", "1"], ["extra\nline"], ["--seed"], ["--epochs"], ["--", "--hidden"])
SECONDS = 20  # for a command line that ought to end at once


def options_of(script):
    """The fields of a script's options, with those of what is nested in them."""
    module = importlib.import_module(f"experiments.{script.replace('/', '.')}")

    def fields(cls):
        for field in dataclasses.fields(cls):
            default = getattr(field, "default_factory", dataclasses.MISSING)
            if dataclasses.is_dataclass(default):
                yield from fields(default)
            else:
                yield field.name

    return list(fields(module.Options))


def wrong_command_line(chance):
    """A script, and arguments of which at least one is impossible."""
    script = chance.choice(SCRIPTS)
    known = [name for name in options_of(script) if name in NEVER]
    arguments, wrong = [], chance.sample(known, min(len(known), chance.choice((1, 1, 2, 3))))
    for name in wrong:
        values = chance.choice(NEVER[name]).split(" ") if name == "size" else [chance.choice(NEVER[name])]
        arguments.append([f"--{name.replace('_', '-')}", *values])
    if not wrong or chance.random() < 0.2:
        arguments.append(chance.choice(FLAWS))
    if "dataset" in options_of(script) and "dataset" not in wrong:
        arguments.append(["--dataset", "digits"])
    if "out" in options_of(script) and chance.random() < 0.5:
        arguments.append(["--out", chance.choice(("out", "a\nb", "结果", "deep/er/out"))])
    chance.shuffle(arguments)
    return script, [word for words in arguments for word in words]


def violations(call, folder, script, arguments):
    """What is wrong with the answer to a wrong command line."""
    before = sorted(folder.rglob("*"))
    signal.alarm(SECONDS)
    try:
        done = call(f"{script}.py", *arguments)
    except BaseException as error:
        return [f"a traceback: {error!r:.300}"]
    finally:
        signal.alarm(0)
    lines = done.err.splitlines()
    checks = {
        f"exit {done.code}": done.code == 2,
        f"{len(lines)} lines": len(lines) == 1,
        "no error named": lines[-1:] and lines[-1].startswith("jaxnaive: error: "),
        "something printed": not done.out,
        "something written": sorted(folder.rglob("*")) == before,
    }
    return [f"{what}: {done.err[-300:]}" for what, is_right in checks.items() if not is_right]


def fuzz(call, folder, seed, cases):
    def stop(*_):
        raise AssertionError("it did not end")

    chance, found, handler = random.Random(seed), [], signal.signal(signal.SIGALRM, stop)
    try:
        for _ in range(cases):
            script, arguments = wrong_command_line(chance)
            found += [(script, arguments, what) for what in violations(call, folder, script, arguments)]
    finally:
        signal.signal(signal.SIGALRM, handler)
    return found


def test_forty_wrong_command_lines_are_one_line_and_exit_2(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not fuzz(call, tmp_path, 0, 40)


@pytest.mark.slow
def test_three_hundred_wrong_command_lines_are_one_line_and_exit_2(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not fuzz(call, tmp_path, 1, 300)
