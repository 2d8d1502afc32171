"""A pytest plugin for CI: a skip is a failure, unless ``allowed_skips.md`` beside this file has its reason.

PYTHONPATH=tests python -m pytest -p no_skips
"""

import re
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("allowed_skips.md")
ALLOWED = re.findall(r"^\| `(.*?)` \|", LIST.read_text(), re.MULTILINE)


def is_allowed(reason: str) -> bool:
    """Whether a skip with this reason is on the list."""
    return any(text in reason for text in ALLOWED)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session if a test was skipped for another reason."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # a worker of pytest-xdist
        return
    skipped = reporter.stats.get("skipped", [])
    refused = [report for report in skipped if not is_allowed(str(report.longrepr))]
    if refused:
        reporter.ensure_newline()
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    for report in refused:
        reporter.write_line(f"SKIPPED, and not on the list: {report.nodeid}: {report.longrepr}")
