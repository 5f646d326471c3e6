"""A transaction of our own, followed from the application to the store; it says where it stops.

It has an application name of its own, so that it is in nobody's figures, and meets no plugin but the collector's: exporters and hooks
of others must not hear of a transaction that nobody made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from attrs import evolve, frozen

from scout_core.agent import Agent
from scout_core.cli.dashboard import NoDashboard, ask
from scout_core.config.config import Config
from scout_core.config.options import OPTIONS
from scout_core.config.origin import CODE, DEFAULT
from scout_core.config.values import Value
from scout_core.errors import RejectedReport
from scout_core.hookspecs import hookimpl
from scout_core.measuring.report import Report
from scout_core.recording import context
from scout_core.recording.span import Span
from scout_core.recording.transaction import Transaction
from scout_core.sending.protocol import PROBE_APP, PROBE_NAME, TRACE, TraceAnswer, read_answer

STEPS = ("app", "inbox", "report", "collector", "store")
_OURS = ("plugins", "policies", "sample_", "endpoint_sample", "job_sample", "ignore", "traces_per_period", "max_")
"""Keys, by their beginnings, that could keep the probe from arriving, or let others see it."""


@frozen
class Step:
    """How far it came."""

    name: str
    is_ok: bool | None
    """None: nobody could be asked."""
    detail: str
    advice: str = ""


class _Notes:
    """The plugin that notes the report."""

    def __init__(self) -> None:
        self.report: Report | None = None

    @hookimpl
    def on_report(self, report: Report) -> None:
        """Keep it."""
        self.report = report


def follow(config: Config, *, is_collector_active: bool) -> Iterator[Step]:
    """
    The steps, the last one being where it stops.

    Args:
        config: that of the user; the probe goes where reports of applications go.
        is_collector_active: whether the plugin that sends to the collector is in use.
    """
    with _agent(config) as agent:
        notes = _Notes()
        agent.plugins.add_object(notes, "doctor")
        agent.freeze()
        with Transaction(PROBE_NAME) as probe, Span("Probe/step"):
            pass
        yield Step("app", True, f"a transaction {PROBE_NAME} of the application {PROBE_APP!r}")
        if not agent.tracer.inbox:
            yield Step("inbox", False, "it did not arrive in the inbox")
            return
        yield Step("inbox", True, "it waits for the agent's thread")
        agent.recorder.work()
        agent.recorder.close_period()
        if notes.report is None or not notes.report.traces:
            yield Step("report", False, "it is in no report")
            return
        yield Step("report", True, f"report {notes.report.id} with its figures and its trace")
        if not is_collector_active:
            yield Step("collector", False, "the plugin collector is not in use", "scout-core plugins collector")
            return
        sent = _send(agent, notes.report)
        yield sent
        if sent.is_ok:
            yield _stored(config, f"{probe.id:016x}")


def _send(agent: Agent, report: Report) -> Step:
    (exporter,) = (one for one in agent.exporters if one.name == "collector")
    begin = perf_counter()
    try:
        exporter.export(evolve(report, plugins=()))  # a process that is gone at once has no plugins to show
    except RejectedReport as error:
        advice = "scout-core up" if error.reason == "no collector" else "see collector_url and collector_token"
        return Step("collector", False, str(error), advice)
    except Exception as error:  # noqa: BLE001  # whatever an exporter may raise is a delivery that failed
        return Step("collector", False, f"{error}", "start it again: scout-core up")
    return Step("collector", True, f"accepted after {(perf_counter() - begin) * 1e3:.0f} ms")


def _stored(config: Config, trace: str) -> Step:
    try:
        answer = read_answer(ask(config, f"{TRACE}{trace}"), TraceAnswer)
    except NoDashboard as error:
        return Step("store", False if error.is_not_found else None, str(error))
    except ValueError as error:
        return Step("store", None, f"the dashboard's answer has another format: {error}")
    if answer.trace.name != PROBE_NAME:
        return Step("store", False, "another trace has its place")
    return Step("store", True, f"trace {trace} is in the store")


@contextmanager
def _agent(config: Config) -> Iterator[Agent]:
    """One that starts no thread, sends nothing by itself, and leaves one that runs already as it is."""
    values = dict(config.values)
    for option in OPTIONS:
        if option.key.startswith(_OURS):
            values[option.key] = Value(option.key, option.default, DEFAULT)
    given = {"name": PROBE_APP, "plugins.autoload": False, "plugins.enable": ("collector",), "revision_sha": ""}
    values |= {key: Value(key, value, CODE) for key, value in given.items()}
    agent = Agent(Config(values))
    agent.recorder.outboxes = []  # the report goes by hand
    before = context.tracer
    outer = context.current.set(None)
    try:
        agent.start(threaded=False)
        yield agent
    finally:
        agent.stop(0)
        context.current.reset(outer)
        context.tracer = before
