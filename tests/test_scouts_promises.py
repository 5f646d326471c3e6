"""The table of what scout_apm for Python promises is complete, and its tests, options and defaults exist."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

from scout_core.config.foreign import FOREIGN
from scout_core.config.options import ALIASES, BY_KEY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PROMISES = tomllib.loads((ROOT / "tests" / "scout_promises.toml").read_text(encoding="utf-8"))
ROWS = {f"{part}: {name}": row for part, rows in PROMISES.items() for name, row in rows.items()}

# Source: the documentation of scout_apm for Python, and its configuration and ``scout_apm.api`` at 3.5.
KEYS = """
key name monitor hostname collect_remote_ip ignore ignore_endpoints ignore_jobs sample_rate endpoint_sample_rate
job_sample_rate sample_endpoints sample_jobs revision_sha scm_subdirectory application_root framework framework_version
app_server disabled_instruments shutdown_timeout_seconds shutdown_message_enabled uri_reporting log_payload_content
errors_enabled errors_host errors_batch_size errors_ignored_exceptions environment core_agent_dir core_agent_download
core_agent_launch core_agent_permissions core_agent_version core_agent_triple core_agent_full_name core_agent_log_level
core_agent_log_file core_agent_config_file core_agent_socket_path download_url logs_ingest_key logs_reporting_endpoint
log_level log_file config_file socket_path
"""
NAMES = """
api.install api.Config.set api.Config.unset api.Config.reset_all api.Config.value api.Config.log api.Context.add
api.instrument api.instrument.async_ api.WebTransaction api.WebTransaction.async_ api.WebTransaction.start
api.WebTransaction.stop api.BackgroundTransaction api.BackgroundTransaction.async_ api.ignore_transaction
api.rename_transaction api.Error.capture async_.starlette bottle celery.install cherrypy django django.middleware dramatiq
falcon fastmcp flask flask.sqlalchemy huey hug nameko pyramid rq.HerokuWorker rq.Worker rq.WorkerMixin sqlalchemy
"""


@cache
def functions(file):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


@pytest.mark.parametrize("row", ROWS)
def test_every_test_of_a_promise_exists(row):
    named = [test.split("::") for test in ROWS[row].get("tests", [])]

    assert [] == [(file, name) for file, name in named if name not in functions(file)]


def test_every_key_name_and_defect_has_a_row():
    names = [name.removeprefix("scout_apm.").partition("(")[0] for name in PROMISES["api"]]

    assert sorted(KEYS.split()) == sorted(PROMISES["keys"])
    assert sorted(NAMES.split()) == sorted(names)
    assert [f"W{number}" for number in range(1, 21)] == list(PROMISES["defects"])


def test_a_defect_has_tests_or_is_open():
    assert [] == [name for name, row in PROMISES["defects"].items() if ("tests" in row) == ("open" in row)]


@pytest.mark.parametrize("key", PROMISES["keys"])
def test_every_key_is_recognized_with_its_default(key):
    row = PROMISES["keys"][key]
    option = BY_KEY.get(ALIASES.get(key, key))

    assert ("without effect" in row["here"]) == (key in FOREIGN) == (option is None)
    if option is not None and "default" in row:
        default = list(option.default) if isinstance(option.default, tuple) else option.default
        assert row["default"] == default


def test_every_row_is_on_the_page():
    page = (ROOT / "docs" / "coming-from-scout.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)

    assert [name for part in ("api", "keys", "others") for name in PROMISES[part]] == shown
    assert [] == [row["scout"] for row in PROMISES["defects"].values() if row["scout"] not in page]
