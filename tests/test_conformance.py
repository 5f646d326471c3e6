"""Proof of the conformance suite: a good plugin passes every rule, and with one fault it fails that rule only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scout_core.testing import RULES
from tests.conformance.mutations import ENTRIES, METADATA, MUTATIONS, PLUGIN, SUITE, Mutation
from tests.sizes import IS_FULL

HERE = Path(__file__).resolve().parent / "conformance"
ENTRY_POINTS = "[scout_core]\nshelf = scout_shelf\n"
TRIED = MUTATIONS if IS_FULL else list({mutation.rule: mutation for mutation in MUTATIONS}.values())
"""A mutation of each rule; the others in ``nox -s reliability``."""


def installed(folder: Path) -> Path:
    """Install the library, the plugin and its tests as in an environment."""
    folder.mkdir(exist_ok=True)
    shutil.copy(HERE / "shelf.py", folder)
    shutil.copy(HERE / "scout_shelf.py", folder / PLUGIN)
    shutil.copy(HERE / "suite.py", folder / SUITE)
    metadata = folder / "scout_shelf-1.2.3.dist-info"
    metadata.mkdir()
    shutil.copy(HERE / "METADATA", metadata / METADATA)
    (metadata / ENTRIES).write_text(ENTRY_POINTS, encoding="utf-8")
    return folder


def run_suite(folder: Path) -> dict[str, str | None]:
    """Map each test to its message; None if it passed."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("SCOUT_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--junit-xml=results.xml"]
    done = subprocess.run(
        [*command, SUITE],
        cwd=folder,
        env={**plain, "PYTHONPATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    messages: dict[str, str | None] = {}
    for case in ElementTree.parse(folder / "results.xml").iter("testcase"):
        failure = [child for child in case if child.tag in ("failure", "error")]
        messages[case.get("name", "")] = failure[0].text if failure else None
    return messages


def rule_of(test: str) -> str:
    return test.partition("[")[2].rstrip("]").partition("-")[0]


def test_a_good_plugin_passes_every_rule(tmp_path):
    messages = run_suite(installed(tmp_path / "good"))

    assert {} == {test: message for test, message in messages.items() if message is not None}
    assert set(RULES) == {rule_of(test) for test in messages}


@pytest.mark.parametrize("mutation", TRIED, ids=lambda mutation: f"{mutation.rule}-{mutation.name}")
def test_a_plugin_that_violates_one_rule_fails_only_that_rule(tmp_path, mutation: Mutation):
    folder = installed(tmp_path / "faulty")
    (faulty,) = folder.rglob(mutation.file)
    before = faulty.read_text(encoding="utf-8")
    assert 1 == before.count(mutation.old)
    faulty.write_text(before.replace(mutation.old, mutation.new), encoding="utf-8")
    messages = run_suite(folder)
    failed = {test: message for test, message in messages.items() if message is not None}

    assert {mutation.rule} == {rule_of(test) for test in failed}, failed
    assert mutation.evidence in "\n".join(failed.values())


def test_every_rule_has_a_mutation_that_can_be_made():
    assert set(RULES) == {mutation.rule for mutation in MUTATIONS}
    for mutation in MUTATIONS:
        assert (
            mutation.old
            in "".join(file.read_text(encoding="utf-8") for file in HERE.iterdir() if file.is_file()) + ENTRY_POINTS
        )
