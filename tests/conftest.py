"""What all tests share: the order from quick to slow, and a count of each kind at the end."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

KINDS = ("unit", "model", "server", "haproxy", "cluster")
"""From quick to slow; a test without a marker of its own is a unit test."""

# How fast the machine is at this moment is no property of the code: nothing here may fail for it. In CI the same
# examples are tried each time, so that a red run is the change's doing; elsewhere new ones are looked for.
settings.register_profile(
    "asrpool", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("asrpool")


def _kind(item: pytest.Item) -> str:
    return next((kind for kind in KINDS if item.get_closest_marker(kind)), "unit")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew instead of comparing")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick kinds first: what breaks early is seen early."""
    items.sort(key=lambda item: KINDS.index(_kind(item)))
    for item in items:
        item.user_properties.append(("kind", _kind(item)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many tests of each kind ran, and how many of them passed."""
    ran: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for outcome in ("passed", "failed", "skipped", "error"):
        for report in terminalreporter.getreports(outcome):
            kind = dict(getattr(report, "user_properties", ())).get("kind")
            if kind is not None:
                ran[kind] += outcome != "skipped"
                passed[kind] += outcome == "passed"
    if ran:
        terminalreporter.section("tests by kind")
        for kind in KINDS:
            if ran[kind]:
                terminalreporter.write_line(f"{kind:8} {passed[kind]:5} of {ran[kind]:5} passed")
