"""Tests of Huey that it installs, without and with the plugin: those that need no server, and do not wait."""

from __future__ import annotations

import pytest

from scout_core.testing.upstream.installed import compare_installed

TESTS = ("--pyargs", *(f"huey.tests.test_{name}" for name in ("api", "immediate", "priority", "signals")))


@pytest.mark.parametrize("outside", [False, True], ids=["inside a transaction", "outside"])
def test_its_own_tests_have_the_same_outcomes(tmp_path, outside):
    comparison = compare_installed(TESTS, plugin="huey", folder=tmp_path, outside=outside)

    assert [] == comparison.problems()
    assert comparison.summary()["passed"] > 100
