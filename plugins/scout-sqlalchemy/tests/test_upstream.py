"""Tests of SQLAlchemy that it installs, for dialects, without and with the plugin; they run here with SQLite."""

from __future__ import annotations

from scout_core.testing.upstream.installed import compare_installed

FILES = {
    "setup.cfg": "[sqla_testing]\nrequirement_cls = requirements:Requirements\nprofile_file = profiles.txt\n",
    "requirements.py": "from sqlalchemy.testing.requirements import SuiteRequirements as Requirements\n",
    "conftest.py": "from sqlalchemy.testing.plugin.pytestplugin import *\n",
    "test_dialect.py": """
from sqlalchemy.testing.suite import (
    ExistsTest, FetchLimitOffsetTest, InsertBehaviorTest, LastrowidTest, OrderByLabelTest, RowFetchTest, SimpleUpdateDeleteTest,
)
""",
}


def test_its_tests_of_dialects_have_the_same_outcomes(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    arguments = ["-Wignore::pytest.PytestUnknownMarkWarning", "--dburi=sqlite:///shop.db", "test_dialect.py"]
    comparison = compare_installed(arguments, plugin="sqlalchemy", folder=tmp_path)

    assert [] == comparison.problems()
    assert comparison.summary()["passed"] > 30
    assert comparison.evidence.spans["SQL"] > 100
