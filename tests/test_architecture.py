"""The house: every file of ``jaxnaive`` is core and every folder shell, as the places of the files say."""

import ast
import io
import subprocess
import sys
import tokenize
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import jaxnaive

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "jaxnaive"
SOURCES = {path: path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}
CORE = [path for path in SOURCES if path.parent == PACKAGE and path.name != "__init__.py"]
SHELL = [path for path in SOURCES if path.parent != PACKAGE]
CORE_OF_THE_CORE = ("layers", "losses", "optimizers", "batches", "training")
OUTSIDE = {  # modules by which a program touches files, network, terminal, clock, threads or other processes
    "asyncio", "atexit", "concurrent", "ctypes", "datetime", "fcntl", "gc", "glob", "http", "io",
    "logging", "mmap", "multiprocessing", "os", "pathlib", "pickle", "platform", "random", "requests",
    "resource", "select", "shutil", "signal", "socket", "subprocess", "sys", "tempfile", "threading", "time",
    "tqdm", "tyro", "urllib", "warnings",
}  # fmt: skip
OUTSIDE_CALLS = {"print", "open", "input", "exec", "eval", "breakpoint", "__import__", "globals", "setattr"}


def short(path):
    return str(path.relative_to(ROOT))


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}


def imported(path):
    """The full names of all that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(SOURCES[path])):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{short(path)}: a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in MODULES else node.module)
    return names


def code_lines(source):
    """The numbers of the lines that are neither blank, nor comment, nor docstring."""
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            docstrings |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    layout = {
        tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
    }  # fmt: skip
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {
        line
        for token in tokens
        if token.type not in layout
        for line in range(token.start[0], token.end[0] + 1)
    }
    return lines - docstrings


def functions(path):
    """Every function of a file, with its number of code lines."""
    lines = code_lines(SOURCES[path])
    for node in ast.walk(ast.parse(SOURCES[path])):
        if isinstance(node, ast.FunctionDef):
            yield node.name, len(lines & set(range(node.lineno, (node.end_lineno or 0) + 1)))


@pytest.mark.parametrize("path", CORE, ids=short)
def test_a_core_file_imports_no_shell_and_nothing_that_touches_the_outside(path):
    names = imported(path)
    ours = {name for name in names if name.split(".")[0] == "jaxnaive"}
    assert {MODULES[name] for name in ours} <= set(CORE), ours
    assert not {name.split(".")[0] for name in names} & OUTSIDE


@pytest.mark.parametrize("path", CORE, ids=short)
def test_a_core_file_calls_nothing_that_touches_the_outside_and_changes_no_global(path):
    for node in ast.walk(ast.parse(SOURCES[path])):
        assert not isinstance(node, ast.Global)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in OUTSIDE_CALLS


@pytest.mark.parametrize("path", CORE, ids=short)
def test_no_function_of_a_core_file_changes_a_value_of_the_module(path):
    """Such as ``TABLE[key] = value``, ``TABLE.update(...)`` or ``TABLE.append(...)`` inside a function."""
    tree = ast.parse(SOURCES[path])
    module_values = {
        target.id
        for node in tree.body
        for target in getattr(node, "targets", [getattr(node, "target", None)])
        if isinstance(target, ast.Name)
    }
    changing = {"update", "append", "extend", "add", "insert", "pop", "clear", "setdefault", "remove"}
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
                changed = node.value
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                changed = node.func.value if node.func.attr in changing else None
            else:
                continue
            assert not (isinstance(changed, ast.Name) and changed.id in module_values), (
                f"{function.name}, line {node.lineno}"
            )


def test_imports_have_no_cycle_and_none_leads_to_the_experiments():
    names = {name: imported(path) for name, path in MODULES.items()}
    for name, others in names.items():
        assert not {other.split(".")[0] for other in others} & {"experiments", "tests"}, name
    ours = {
        name: {other for other in others if other in MODULES and other != "jaxnaive"}
        for name, others in names.items()
        if name != "jaxnaive"  # which names them all, for type checkers
    }
    assert list(TopologicalSorter(ours).static_order())  # raises CycleError


@pytest.mark.parametrize("path", CORE, ids=short)
def test_a_core_file_and_its_functions_are_short(path):
    assert len(code_lines(SOURCES[path])) <= 250
    assert not [(name, count) for name, count in functions(path) if count > 30]


@pytest.mark.parametrize("path", SHELL, ids=short)
def test_functions_of_the_shell_are_short_too(path):
    assert not [(name, count) for name, count in functions(path) if count > 30]


def test_the_core_of_the_core_is_read_in_one_sitting():
    assert sum(len(code_lines(SOURCES[PACKAGE / f"{name}.py"])) for name in CORE_OF_THE_CORE) <= 400


def test_the_rules_see_what_they_forbid(tmp_path):
    """The negative control of this file."""
    bad = PACKAGE / "bad.py"
    SOURCES[bad] = "import os\nfrom jaxnaive.disk import files\nT = {}\n\ndef f(x):\n    T[x] = print(x)\n"
    try:
        for test in (
            test_a_core_file_imports_no_shell_and_nothing_that_touches_the_outside,
            test_a_core_file_calls_nothing_that_touches_the_outside_and_changes_no_global,
            test_no_function_of_a_core_file_changes_a_value_of_the_module,
        ):
            with pytest.raises(AssertionError):
                test(bad)
    finally:
        del SOURCES[bad]


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
    needed = ("training", "batches", "checks", "losses", "layers", "optimizers", "operations", "products")
    assert {name for name in used if name.startswith("jaxnaive.")} == {f"jaxnaive.{name}" for name in needed}
    with pytest.raises(AttributeError, match="module 'jaxnaive' has no attribute 'trainin'"):
        _ = jaxnaive.trainin


def test_the_names_that_editors_see_are_those_of_the_files_and_folders():
    tree = ast.parse(SOURCES[PACKAGE / "__init__.py"])
    (listed,) = (
        node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "jaxnaive"
    )
    assert sorted([*(alias.name for alias in listed.names), *jaxnaive.SHORTCUTS]) == dir(jaxnaive)
    docstring = ast.get_docstring(tree) or ""
    assert all(f"``{name}``" in docstring for name in dir(jaxnaive))


def test_importing_all_of_jaxnaive_imports_nothing_heavy():
    modules = modules_after(
        "import importlib, pkgutil, jaxnaive\n"
        "for module in pkgutil.walk_packages(jaxnaive.__path__, 'jaxnaive.'):\n"
        "    if module.name != 'jaxnaive.command.options':\n"  # of command lines, written for tyro
        "        importlib.import_module(module.name)"
    )
    heavy = {
        "tensorflow", "tensorflow_datasets", "scipy", "sklearn", "matplotlib", "optax", "tyro", "tqdm",
        "requests", "jinja2", "PIL", "pyarrow", "pandas", "polars", "h5py",
    }  # fmt: skip
    assert set(MODULES) - {"jaxnaive.command.options"} <= modules
    assert not heavy & modules
