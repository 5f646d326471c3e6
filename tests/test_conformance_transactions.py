"""The conformance suite on transactions that end within their call, are detached, or fail with an error that is handled."""

from __future__ import annotations

import pytest

from tests.test_conformance_streams import run_suite

LIBRARY = '''
"""A server that sends a response, and then works for the request for a while, as a job and for its log."""


class Server:
    async def serve(self, *, fails=False):
        try:
            if fails:
                raise ValueError("no such page")
        except ValueError as error:
            self.answer(error)
        self.sent()
        await self.after()
        self.log()

    def answer(self, error):
        pass

    def sent(self):
        pass

    async def after(self):
        pass

    def log(self):
        pass
'''

PLUGIN = '''
"""Requests until the response has been sent, and the job after each as a transaction of its own."""

from contextvars import ContextVar

from scout_core import hookimpl, record_error, span, transaction

serving = ContextVar("serving", default=None)


@hookimpl
def instrument(wrap):
    wrap("streamlib:Server.serve", serve, root=True)
    wrap("streamlib:Server.answer", answer)
    wrap("streamlib:Server.sent", sent)
    wrap("streamlib:Server.after", after, root=True)
    wrap("streamlib:Server.log", log)


def serve(server, fails=False):
    web = transaction("Controller/page")
    serving.set(web)
    return web


def answer(server, error):
    record_error(error, handled=False)


def sent(server):
    yield
    serving.get().end()


def after(server):
    return transaction("Job/after").detach()


def log(server):
    return span("Server/Log")
'''

SUITE = """
import streamlib

from scout_core.testing import conformance


async def serves():
    await streamlib.Server().serve()


async def fails():
    await streamlib.Server().serve(fails=True)


test_conformance = conformance(
    "scout_streamlib", serves, fails, packaged=False,
    skip={"calls": "it raises nothing, and takes no objects", "hostile": "it takes no objects"},
)
"""

FAULTS = {
    "one process only": (
        '    return span("Server/Log")',
        '    return span("Server/Log") if PROCESS.setdefault(0, os.getpid()) == os.getpid() else None\n\n\n'
        "import os\nPROCESS = {}",
        "fork",
    ),
    "one at a time": (
        '    return transaction("Job/after").detach()',
        "    if BUSY:\n        BUSY.clear()\n        return None\n    BUSY.append(1)\n"
        '    return transaction("Job/after").detach()\n\n\nBUSY = []',
        "async",
    ),
    "work of the core that is not recording": (
        '    return span("Server/Log")',
        "    from scout_core.text.sql import mask_sql\n\n"
        '    return span("Server/Log", statement=mask_sql("select \'a\' " * 400))',
        "overhead",
    ),
    "errors in a loop": (
        "    record_error(error, handled=False)",
        "    for _ in range(100):\n        record_error(error, handled=False)",
        "overhead",
    ),
}


def failed(messages):
    return {test: message for test, message in messages.items() if message is not None}


def test_a_plugin_for_a_server_passes_every_rule(tmp_path):
    messages = run_suite(tmp_path, PLUGIN, library=LIBRARY, suite=SUITE)

    assert {} == failed(messages)
    assert len(messages) > 20


@pytest.mark.parametrize(("old", "new", "rule"), FAULTS.values(), ids=FAULTS)
def test_a_plugin_with_a_fault_violates_the_rule(tmp_path, old, new, rule):
    assert 1 == PLUGIN.count(old)
    messages = run_suite(tmp_path, PLUGIN.replace(old, new), library=LIBRARY, suite=SUITE)

    assert rule in {test.partition("[")[2].partition("-")[0] for test in failed(messages)}, failed(messages)
