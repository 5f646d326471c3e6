"""The conformance suite on generators, context managers, results that are awaited later, and response bodies."""

from __future__ import annotations

import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest

LIBRARY = '''
"""A library whose calls return before their work is done."""

import asyncio
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager


class MissingError(Exception):
    pass


class Response:
    def __init__(self, body):
        self.body = body


def rows(key):
    for number in range(2):
        yield key, number


async def rows_async(key):
    for number in range(2):
        await asyncio.sleep(0)
        yield key, number


def failing(key):
    yield key
    raise MissingError


@contextmanager
def locked(key):
    yield key


@asynccontextmanager
async def locked_async(key):
    await asyncio.sleep(0)
    yield key


def later(key):
    async def work():
        await asyncio.sleep(0)
        return key

    return work()


def submitted(key):
    return Future()


def respond(key):
    return Response(rows(key))
'''

PLUGIN = '''
"""Calls of the library as spans, and its responses until they have been sent."""

from scout_core import hookimpl, span


@hookimpl
def instrument(wrap):
    for name in ("rows", "rows_async", "failing", "locked", "locked_async", "later", "submitted"):
        wrap(f"streamlib:{name}", describe)
    wrap("streamlib:respond", respond)


def describe(key):
    return span("Stream/Call")


def respond(key):
    described = span("Stream/Respond")
    response = yield described
    response.body = described.stream(response.body)
'''

SUITE = """
import streamlib

from scout_core.testing import Call, conformance, hostile


def iterates():
    key = hostile("a")
    assert [0, 1] == [number for _, number in streamlib.rows(key)]


async def iterates_async():
    assert [("a", 0), ("a", 1)] == [pair async for pair in streamlib.rows_async("a")]


def fails():
    list(streamlib.failing("a"))


def enters():
    with streamlib.locked("a") as key:
        assert "a" == key


async def enters_async():
    async with streamlib.locked_async("a") as key:
        assert "a" == key


async def awaits():
    assert "a" == await streamlib.later("a")


def submits():
    future = streamlib.submitted("a")
    future.set_result("a")
    assert "a" == future.result()


def responds():
    assert [("a", 0), ("a", 1)] == list(streamlib.respond("a").body)


test_conformance = conformance(
    "scout_streamlib",
    iterates, iterates_async, Call(fails, raises=streamlib.MissingError), enters, enters_async, awaits, submits, responds,
    packaged=False,
)
"""

FAULTS = {
    "replaces the body": (
        "described.stream(response.body)",
        "(row for row in response.body)",
        "changes body of a Response",
    ),
    "changes something else": (
        "described.stream(response.body)",
        "described.stream(response.body); response.x = 1",
        "changes x",
    ),
}


def run_suite(folder, plugin=PLUGIN, *, library=LIBRARY, suite=SUITE):
    """Map each test to its message; None if it passed."""
    for name, source in (("streamlib", library), ("scout_streamlib", plugin), ("test_suite", suite)):
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("SCOUT_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--junit-xml=results.xml"]
    done = subprocess.run(
        [*command, "test_suite.py"],
        cwd=folder,
        env={**plain, "PYTHONPATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    messages = {}
    for case in ElementTree.parse(folder / "results.xml").iter("testcase"):
        failure = [child for child in case if child.tag in ("failure", "error")]
        messages[case.get("name", "")] = failure[0].text if failure else None
    return messages


def test_a_plugin_for_streams_passes_every_rule(tmp_path):
    messages = run_suite(tmp_path)

    assert {} == {test: message for test, message in messages.items() if message is not None}
    assert len(messages) > 60


@pytest.mark.parametrize(("old", "new", "evidence"), FAULTS.values(), ids=FAULTS)
def test_any_other_change_of_a_result_is_a_violation(tmp_path, old, new, evidence):
    messages = run_suite(tmp_path, PLUGIN.replace(old, new))
    failed = {test: message for test, message in messages.items() if message is not None}

    assert {"test_conformance[results-responds]"} == set(failed)
    assert evidence in failed["test_conformance[results-responds]"]
