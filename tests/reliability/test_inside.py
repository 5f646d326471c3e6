"""A fault in each function of the agent, one after the other, under an application: what the application sees of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.sizes import size
from tests.workbench import run_app

pytest.importorskip("scout_flask", reason="not with the core only: scout-flask is missing")

FOLDER = Path(__file__).parent / "inside"


PASSED_BY_EVERY_CALL = ("scout_core.boundary.", "scout_core.recording.")
"""Packages with the wrappers, guards and spans that a call of the application passes through: nothing stands around them."""


def test_a_fault_in_a_function_of_the_agent_is_contained(sink, tmp_path, record_property):
    """
    Each function is made to raise, in a child of its own, while Flask, coroutines and jobs are recorded.

    Only functions that the agent's own functions call: those that the application calls are replaced as a whole.
    """
    for name in ("wares.py", "wares_plugin.py"):
        shutil.copy(FOLDER / name, tmp_path)
    source = (FOLDER / "app.py").read_text(encoding="utf-8")
    done = run_app(source, tmp_path / "state", seconds=size(300, 3_600), EVERY=str(size(20, 1)))
    assert 0 == done.code, done.err
    results = json.loads(done.out)
    assert {} == {name: seen for name, seen in results.items() if "failed" in seen}

    def outcome(kind: str) -> list[str]:
        return sorted(name for name, seen in results.items() if seen[kind])

    record_property(
        "faults",
        f"{len(results)} functions; {len(outcome('reached the application'))} faults reached the application, "
        f"{len(outcome('unbalanced'))} upset the counters, {len(outcome('ended the sending'))} ended the sending",
    )
    assert len(outcome("raised")) > 0.9 * len(results)
    assert [] == outcome("changed later requests")
    assert [] == outcome("ended the sending")
    assert [] == outcome("unbalanced")
    assert [] == [name for name in outcome("reached the application") if not name.startswith(PASSED_BY_EVERY_CALL)]
