"""A test transaction, followed from the application to the store to find where it stops.

It is recorded under its own application name, so that no figures include it, and by an agent with only the collector's plugin:
other plugins must not receive a transaction that no application made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from attrs import evolve, frozen

from scout_core.agent import Agent
from scout_core.builtin import collector
from scout_core.cli.dashboard import DashboardError, ask
from scout_core.config.config import Config
from scout_core.config.options import OPTIONS
from scout_core.config.origin import CODE, DEFAULT
from scout_core.config.values import Value
from scout_core.errors import RejectedReport
from scout_core.hookspecs import hookimpl
from scout_core.measuring.numbers import hex_id
from scout_core.measuring.report import Report
from scout_core.recording import context
from scout_core.recording.span import Span
from scout_core.recording.transaction import Transaction
from scout_core.sending.protocol import PROBE_APP, PROBE_NAME, TRACE, TraceAnswer, read_answer

STEPS = ("app", "inbox", "report", "collector", "store")
_OURS = ("plugins", "policies", "sample_", "endpoint_sample", "job_sample", "ignore", "traces_per_period", "max_")
"""Prefixes of options that could keep the probe from arriving, or pass it to other plugins."""


@frozen
class Step:
    """One step on the way to the store."""

    name: str
    is_ok: bool | None
    """None when it could not be checked."""
    detail: str
    advice: str = ""


class _ReportKeeper:
    """A plugin that keeps the report."""

    def __init__(self) -> None:
        self.report: Report | None = None

    @hookimpl
    def on_report(self, report: Report) -> None:
        """Keep it."""
        self.report = report


def follow(config: Config, *, is_collector_active: bool) -> Iterator[Step]:
    """
    Yield the steps; the last one is where the probe stops.

    Args:
        config: the user's; the probe is sent where reports of applications are sent.
        is_collector_active: whether the plugin that sends reports to the collector is active.
    """
    with _agent(config) as agent:
        keeper = _ReportKeeper()
        agent.plugins.add_object(keeper, "doctor")
        agent.freeze()
        with Transaction(PROBE_NAME) as probe, Span("Probe/step"):
            pass
        yield Step("app", True, f"a transaction {PROBE_NAME} of the application {PROBE_APP!r}")
        if not agent.tracer.inbox:
            yield Step("inbox", False, "it did not arrive in the inbox")
            return
        yield Step("inbox", True, "waiting for the agent's thread")
        agent.recorder.work()
        agent.recorder.close_period()
        if keeper.report is None or not keeper.report.traces:
            yield Step("report", False, "no report contains it")
            return
        yield Step("report", True, f"report {keeper.report.id} with its figures and its trace")
        if not is_collector_active:
            yield Step("collector", False, "the plugin collector is not active", "scout-core plugins collector")
            return
        sent = _send(agent, keeper.report)
        yield sent
        if sent.is_ok:
            yield _stored(config, hex_id(probe.id))


def _send(agent: Agent, report: Report) -> Step:
    exporter = collector.CollectorExporter(agent.config)
    begin = perf_counter()
    try:
        exporter.export(evolve(report, plugins=()))  # the process ends at once, so its plugins are of no interest
    except RejectedReport as error:
        is_unannounced = error.reason == collector.NO_COLLECTOR  # then its message names the next step
        advice = "" if is_unannounced else "check collector_url and collector_token"
        return Step("collector", False, str(error), advice)
    except Exception as error:  # noqa: BLE001  # any exception of an exporter means that the delivery failed
        return Step("collector", False, f"{error}", "restart it: scout-core up")
    took = (perf_counter() - begin) * 1e3
    return Step("collector", True, f"accepted by {exporter.reached} after {took:.0f} ms")


def _stored(config: Config, trace: str) -> Step:
    try:
        answer = read_answer(ask(config, f"{TRACE}{trace}"), TraceAnswer)
    except DashboardError as error:
        return Step("store", False if error.is_not_found else None, str(error))
    except ValueError as error:
        return Step("store", None, f"the dashboard's answer has an unexpected format: {error}")
    if answer.trace.name != PROBE_NAME:
        return Step("store", False, "the store has another trace under its id")
    return Step("store", True, f"trace {trace} is in the store")


@contextmanager
def _agent(config: Config) -> Iterator[Agent]:
    """Start an agent without a thread that sends nothing by itself; an agent that is running already is not affected."""
    values = dict(config.values)
    for option in OPTIONS:
        if option.key.startswith(_OURS):
            values[option.key] = Value(option.key, option.default, DEFAULT)
    given = {"name": PROBE_APP, "plugins.autoload": False, "plugins.enable": ("collector",), "revision_sha": ""}
    values |= {key: Value(key, value, CODE) for key, value in given.items()}
    agent = Agent(Config(values), may_export=lambda plugin: False)  # the report is sent explicitly
    before = context.tracer
    outer = context.current.set(None)
    try:
        agent.start(threaded=False)
        yield agent
    finally:
        agent.stop(0)
        context.current.reset(outer)
        context.tracer = before
