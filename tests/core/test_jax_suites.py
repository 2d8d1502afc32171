"""JAX's own tests of reverse mode, with ours in its place: where a checkout of JAX is given."""

import os
import re
from pathlib import Path

import jax
import jax_suites
import pytest


@pytest.mark.slow
def test_jax_s_own_tests_pass_or_differ_for_a_reason(capsys):
    checkout = os.environ.get("JAXNAIVE_JAX_CHECKOUT")
    if not checkout:
        pytest.skip("JAXNAIVE_JAX_CHECKOUT does not name a checkout of JAX")
    assert jax_suites.main(Path(checkout), ()) == 0, capsys.readouterr().out


def test_a_checkout_of_another_version_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="expected a checkout of"):
        jax_suites.check_version(tmp_path)
    (tmp_path / "jax").mkdir()
    version = tmp_path / "jax" / "version.py"
    version.write_text('_version = "0.0.1"\n')
    with pytest.raises(SystemExit, match=f"got JAX 0.0.1, expected {re.escape(jax.__version__)}: git"):
        jax_suites.check_version(tmp_path)
    version.write_text(f'_version = "{jax.__version__}"\n')
    jax_suites.check_version(tmp_path)


def test_a_difference_has_the_reason_of_the_test_with_this_name():
    assert "NaN" in (
        jax_suites.reason("lax_autodiff_test.py::LaxAutodiffTest::testPowSecondDerivative") or ""
    )
    assert jax_suites.reason("api_test.py::APITest::test_grad") is None
