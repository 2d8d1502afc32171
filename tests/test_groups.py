"""The tests of a group share one worker, and so what is costly to make for them."""

import pytest


@pytest.mark.xdist_group("a group")
def test_the_tests_of_a_group_share_one_worker(request):
    """A worker knows the group by the name of the test, which has none with a pytest that is too new."""
    if not request.config.getoption("loadgroup", False):
        pytest.skip("no workers that share the tests by groups")
    assert request.node.nodeid.endswith("@a group")
