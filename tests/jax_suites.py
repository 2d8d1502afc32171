"""Runs JAX's own tests of reverse mode with ``jaxnaive.backprop`` in the place of JAX's.

python tests/jax_suites.py CHECKOUT [FILE ...]    # CHECKOUT: JAX's repository at the installed version

A test counts if it passes with JAX's reverse mode, and calls it. How many of these pass with ours is printed
for each file. Those that do not are printed too, with the reason if ``DIFFERENCES`` has one; the exit status
is 1 if one has none. It takes about 20 minutes on two cores. The files of JAX need absl-py and hypothesis.
"""

import functools
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

FILES = (
    "lax_autodiff_test.py",
    "nn_test.py",
    "lax_control_flow_test.py",
    "lax_numpy_indexing_test.py",
    "linalg_test.py",
    "api_test.py",
)
# Reason -> the names of the tests, or those with the class, as a regular expression.
DIFFERENCES = {
    "d/dx of x ** 0 at 0 is 0, the slope of a constant; JAX's test has NaN, with a note to mend it": (
        "testPowSecondDerivative"
    ),
    "catches in Python what an operation raises when it is run; JAX's gradient fails alike under jit": (
        "testDotProductAttention.*"
    ),
    "the branch of another platform has an operation without a derivative; JAX fails alike under jit": (
        "test_platform_dependent_with_non_existent_custom_call"
    ),
    "looks into JAX's own pullback: what it keeps, by what name, in which object": (
        "testSoftmaxGradFlag|testSwitchResidualsMerge|test_scan_vjp_forwards_extensive_residuals.*"
        "|test_saved_residuals.*|test_name_(allowlist|denylist|pytree|saveable_input|stack_annotation)"
        "|test_constants_not_hoisted|test_remat_of_jit_input_to_output_forwarding|test_remat_residual_logging"
        "|test_basic_.*vjp3|test_fsdp_.*|test_vjp3_.*|test_remat_grad_accum_refs"
    ),
    "an experimental checkpoint behind a flag of JAX; of the one without it the test passes": (
        "Remat3Test::test_no_cse_widget_on_primals.*"
    ),
    "counts operations before XLA removes what is there twice": (
        "test_remat_(checkpoint_dots|no_redundant_flops|scan|eval_counter|partial_cse_prevention).*"
    ),
    "counts compilations": "test_pmap_global_cache|test_grad_of_jit_compilation_caching.*|test_vjp_caching",
    "the error says the same in other words": (
        "test_bad_input|test_grad_(bad_input|tuple_output|unit_output|nonscalar_output|object_array_error"
        "|of_int_errors|complex_result_errors|and_aux_error|without_enough_args_error_message)"
        "|test_holomorphic_grad_of_float_errors|test_unimplemented_interpreter_rules|test_vjp_bad_cotangent_shape"
        "|test_vjp_mismatched_arguments|test_vjp_multiple_arguments_error_message|test_vjp_too_many_args"
    ),
    "integers are traced like floats, and so are not NumPy's when they are added to": "test_float0_reshape",
    "a primitive that JAX's tests make, with a linearization and no tangents": (
        "test_deferred_primal_with_direct_linearize"
    ),
    "what has no result, such as a print, is not in a graph": "test_scan_diff_of_print",
    "a token is no array": "test_grad_of_token_consuming_primitive",
    "a cotangent has the dtype of its value, also where a custom rule returns another": (
        "test_excess_precision_hell"
    ),
}


# --- the plugin of pytest ----------------------------------------------------------------------------

called: set[str] = set()  # tests that used reverse mode
results: dict[str, str] = {}  # by test: passed, failed or skipped
running = ""


def pytest_configure(config: pytest.Config) -> None:
    """Put one's own functions in the place of JAX's, each of which notes that the running test called it."""
    import jax
    from jax._src import api

    from jaxnaive import backprop

    module = backprop if os.environ["REVERSE_MODE"] == "ours" else api
    for name in ("vjp", "grad", "value_and_grad"):
        function = getattr(module, name)

        @functools.wraps(function)
        def noted(*args, function=function, **kwargs):
            called.add(running)
            return function(*args, **kwargs)

        setattr(jax, name, noted)
        setattr(api, name, noted)


def pytest_runtest_setup(item: pytest.Item) -> None:
    global running
    running = item.nodeid


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.outcome != "passed" or (report.when == "call" and results.get(report.nodeid) != "failed"):
        results[report.nodeid] = report.outcome


def pytest_sessionfinish(session: pytest.Session) -> None:
    found = {test: [outcome, test in called] for test, outcome in results.items()}
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    (Path(os.environ["RESULTS"]) / f"{worker}.json").write_text(json.dumps(found))


# --- the command -------------------------------------------------------------------------------------


def run(tests: Path, file: str, reverse_mode: str) -> dict[str, tuple[str, bool]]:
    """By test of a file: its outcome, and whether it called reverse mode."""
    here = Path(__file__).resolve()
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "REVERSE_MODE": reverse_mode,
            "RESULTS": folder,
            "PYTHONPATH": os.pathsep.join(map(str, (here.parent, here.parent.parent))),
        }
        options = ("-q", "-p", here.stem, "-p", "no:cacheprovider", "-n", "auto", "--rootdir", tests)
        subprocess.run(
            [sys.executable, "-m", "pytest", *options, file],
            cwd=tests, env=os.environ | settings, check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        found: dict[str, tuple[str, bool]] = {}
        for path in Path(folder).glob("*.json"):
            for test, (outcome, has_called) in json.loads(path.read_text()).items():
                found[test] = (outcome, has_called or found.get(test, ("", False))[1])
    if not found:
        sys.exit(f"{tests / file}: no test ran; try `{sys.executable} -m pytest {file}` in {tests}")
    return found


def reason(test: str) -> str | None:
    """Why a test of JAX does not pass, if that is known."""
    names = test.rsplit("::", 1)[-1], test.split("::", 1)[-1]  # without and with the class
    return next(
        (text for text, found in DIFFERENCES.items() if any(re.fullmatch(found, name) for name in names)),
        None,
    )


def check_version(checkout: Path) -> None:
    """Exit unless the checkout is of the JAX that is installed."""
    import jax

    try:
        text = (checkout / "jax" / "version.py").read_text()
    except OSError as error:
        sys.exit(f"{checkout}: expected a checkout of https://github.com/jax-ml/jax: {error}")
    found = re.search(r'^_version = "(.+)"', text, re.MULTILINE)
    if found is None or found[1] != jax.__version__:
        version = found[1] if found else "unknown"
        sys.exit(
            f"{checkout}: got JAX {version}, expected {jax.__version__}: git checkout jax-v{jax.__version__}"
        )


def main(checkout: Path, files: tuple[str, ...]) -> int:
    """Run the files, print the counts, and return the exit status."""
    check_version(checkout)
    unexplained = 0
    for file in files or FILES:
        by_jax, by_us = (run(checkout / "tests", file, mode) for mode in ("jax", "ours"))
        counting = [
            test for test, (outcome, has_called) in by_jax.items() if outcome == "passed" and has_called
        ]
        failing = [test for test in counting if by_us.get(test, ("missing",))[0] != "passed"]
        print(f"{file:28} {len(counting) - len(failing)} of {len(counting)}", flush=True)
        for test in failing:
            why = reason(test)
            unexplained += why is None
            print(f"    {test.split('::', 1)[-1]}: {why or 'NO REASON IS KNOWN'}", flush=True)
    return int(unexplained > 0)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]).resolve(), tuple(sys.argv[2:])))
