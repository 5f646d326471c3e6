"""The tests of ``sqlite3`` that come with Python, without and with the plugin."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from scout_core.testing.upstream.installed import compare_installed

SUITE = "test.test_sqlite3"
TABLE = Path(__file__).parent.parent / "pyproject.toml"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="not on Python 3.10, which has them elsewhere")
def test_the_tests_of_python_have_the_same_outcomes(tmp_path):
    import tomllib

    if find_spec("test") is None or find_spec(SUITE) is None:
        pytest.skip("not with a Python that is installed without its tests")
    expected = tomllib.loads(TABLE.read_text(encoding="utf-8"))["tool"]["scout-upstream"]["differences"]
    comparison = compare_installed(["--pyargs", SUITE], plugin="sqlite3", folder=tmp_path, expected=expected)

    assert [] == comparison.problems()
    assert comparison.evidence.spans["SQL"] > 1_000
