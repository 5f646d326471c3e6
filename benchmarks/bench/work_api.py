"""Workloads of what an application and a plugin may do besides calls in spans: steps, errors, log records, other threads."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from bench.agents.protocol import Agent

if TYPE_CHECKING:
    from bench.work import Run

MANY: Final = 100


def steps(agent: Agent) -> Run:
    """A generator of a wrapped function, with 1000 steps."""
    from bench.library import Store

    transaction, scan = agent.transaction, Store().scan

    def run(units: int) -> None:
        for _ in range(units):
            with transaction("Job/steps"):
                for _ in scan(10 * MANY):
                    pass

    return run


def error(agent: Agent) -> Run:
    """A transaction in which an exception is raised, dealt with and recorded."""
    transaction, record_error = agent.transaction, agent.record_error

    def run(units: int) -> None:
        for _ in range(units):
            with transaction("Job/error"):
                try:
                    raise LookupError("no such item")
                except LookupError as raised:
                    record_error(raised)

    return run


def log(agent: Agent) -> Run:
    """100 log records that get the ids of the trace."""
    transaction, logger, handler = agent.transaction, logging.getLogger("bench"), Quiet()
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    agent.attach_log(handler)

    def run(units: int) -> None:
        for _ in range(units):
            with transaction("Job/log"):
                for number in range(MANY):
                    logger.info("item %d", number)

    return run


def propagate(agent: Agent) -> Run:
    """100 functions that are made to belong to the open transaction wherever they run, and are called once."""
    transaction, propagated = agent.transaction, agent.propagate

    def run(units: int) -> None:
        for _ in range(units):
            with transaction("Job/propagate"):
                for _ in range(MANY):
                    propagated(_nothing)()

    return run


class Quiet(logging.Handler):
    """Writes nothing; a handler of that kind in ``logging`` does not ask its filters either."""

    def emit(self, record: logging.LogRecord) -> None:
        """Do nothing."""


def _nothing() -> None:
    pass
