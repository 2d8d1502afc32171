"""The two halves: a functional core that reads from top to bottom, and a shell that it does not know."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jaxnaive

PACKAGE = Path(__file__).parent.parent / "jaxnaive"
CORE = (
    "tensors",
    "operations",
    "geometry",
    "graph",
    "backprop",
    "layers",
    "losses",
    "optimizers",
    "batches",
    "training",
    "ensembles",
    "parallel",
)  # in reading order: each imports from its left
SHELL = (
    "files",
    "array_cache",
    "downloads",
    "data",
    "checkpoints",
    "runs",
    "certificates",
    "trained",
    "exports",
    "handwriting",
    "pages",
    "playground",
    "figures",
    "plots",
    "drawings",
    "diagrams",
    "timing",
    "report",
    "compile_cache",
    "garbage",
    "choices",
    "command",
)
IMPURE = {
    "os",
    "sys",
    "io",
    "pathlib",
    "logging",
    "tempfile",
    "shutil",
    "time",
    "threading",
    "requests",
    "tqdm",
}
EXCEPTED = {"ensembles": {"os"}}  # for the number of cores


def imported(module):
    """The jaxnaive modules and the other top-level packages that a module imports."""
    ours, others = set(), set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            others |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.module == "jaxnaive":
                ours |= {name.name for name in node.names}
            elif node.module and node.module.startswith("jaxnaive."):
                ours.add(node.module.split(".")[1])
            else:
                others.add((node.module or "").split(".")[0])
    return ours, others


def test_every_module_has_its_place():
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", *CORE, *SHELL}


@pytest.mark.parametrize("module", CORE)
def test_the_core_is_pure_and_imports_only_what_stands_before_it(module):
    ours, others = imported(module)
    assert ours <= set(CORE[: CORE.index(module)])
    assert not (others & IMPURE) - EXCEPTED.get(module, set())
    calls = {
        node.func.id
        for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"print", "open", "input", "exec", "eval"}


@pytest.mark.parametrize("module", SHELL)
def test_the_shell_has_no_cycles(module):
    ours, _ = imported(module)
    assert ours <= {*CORE, *SHELL[: SHELL.index(module)]}


def modules_after(script):
    """The names of all modules that Python has imported after a script."""
    shown = f"import sys\n{script}\nprint(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", shown], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_importing_jaxnaive_imports_its_modules_where_they_are_used():
    alone, used = modules_after("import jaxnaive"), modules_after("import jaxnaive as jn\njn.training")
    assert not {name for name in alone if name.startswith(("jaxnaive.", "jax", "numpy"))} - {"jaxnaive"}
    needed = ("training", "batches", "losses", "layers", "optimizers", "operations")
    assert {name for name in used if name.startswith("jaxnaive.")} == {f"jaxnaive.{name}" for name in needed}
    with pytest.raises(AttributeError, match="module 'jaxnaive' has no attribute 'trainin'"):
        _ = jaxnaive.trainin
    assert set(CORE) <= set(jaxnaive.__all__) <= {*CORE, *SHELL}


def test_importing_all_of_jaxnaive_imports_nothing_heavy():
    modules = modules_after("import jaxnaive as jn\n[getattr(jn, name) for name in jn.__all__]")
    heavy = {
        "tensorflow",
        "tensorflow_datasets",
        "sklearn",
        "matplotlib",
        "optax",
        "tyro",
        "tqdm",
        "requests",
        "jinja2",
        "PIL",
    }
    assert {f"jaxnaive.{name}" for name in jaxnaive.__all__} <= modules
    assert not heavy & modules
