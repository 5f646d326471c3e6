"""The ids of the trace on log records: of the standard library, and of loggers that build records themselves."""

from __future__ import annotations

import io
import logging
import logging.config
import logging.handlers
import queue
import re
import signal
import subprocess
import sys
from threading import Thread

import pytest

from scout_core import hookimpl, span, transaction
from scout_core.log_records import TraceFilter, add_to_handlers, trace_fields
from tests.workbench import plugin, running

FORMAT = "%(message)s|%(trace_id)s|%(span_id)s|%(transaction)s"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def agent():
    with running(threaded=False) as agent:
        yield agent


@pytest.fixture
def logger():
    """A logger of its own, whose records go nowhere else."""
    made = logging.getLogger("scout_test_of_records")
    made.propagate = False
    yield made
    for handler in list(made.handlers):
        made.removeHandler(handler)


def logging_to(logger, handler=None):
    stream = io.StringIO()
    handler = handler or logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(FORMAT))
    logger.addHandler(handler)
    return stream


def test_records_have_the_ids_of_the_innermost_span(agent, logger):
    stream = logging_to(logger)
    add_to_handlers(logger)

    logger.warning("before")
    with transaction("Controller/shop.home") as home:
        logger.warning("in it")
        with span("SQL/Query") as query:
            logger.warning("deeper")
        home.rename("Controller/shop.renamed")
        logger.warning("renamed")
    logger.warning("after")

    assert [
        "before|||",
        f"in it|{home.trace_id}|{home.span_id}|Controller/shop.home",
        f"deeper|{home.trace_id}|{query.span_id}|Controller/shop.home",
        f"renamed|{home.trace_id}|{home.span_id}|Controller/shop.renamed",
        "after|||",
    ] == stream.getvalue().splitlines()


def test_the_trace_of_a_caller_is_that_of_the_records(agent):
    with transaction("Job/a").continue_from({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}) as job:
        assert {"trace_id": TRACE, "span_id": job.span_id, "transaction": "Job/a"} == trace_fields()
        job.ignore()
        assert TRACE == trace_fields()["trace_id"]


def test_without_an_agent_the_fields_are_empty(logger):
    stream = logging_to(logger)
    add_to_handlers(logger)
    with transaction("Job/a"):
        logger.warning("hello")

    assert "hello|||\n" == stream.getvalue()
    assert {"trace_id": "", "span_id": "", "transaction": ""} == trace_fields()


def test_each_answer_can_be_changed():
    trace_fields()["trace_id"] = "mine"

    assert "" == trace_fields()["trace_id"]


def test_the_application_may_use_the_same_names(agent, logger):
    stream = logging_to(logger)
    add_to_handlers(logger)
    with transaction("Job/a") as job:
        logger.warning("hello", extra={"trace_id": "mine", "transaction": 5})

    assert f"hello|mine|{job.span_id}|5\n" == stream.getvalue()


def test_adding_twice_and_several_handlers_is_harmless(agent, logger):
    first, second = logging_to(logger), logging_to(logger)
    add_to_handlers(logger)
    add_to_handlers(logger)
    logger.warning("hello")

    assert "hello|||\n" == first.getvalue() == second.getvalue()
    assert {1} == {len(handler.filters) for handler in logger.handlers}


def test_a_single_line_adds_the_ids_to_every_handler_that_exists():
    program = """
import logging, sys
import scout_core
from scout_core import transaction
from scout_core.log_records import add_to_handlers

logging.basicConfig(format="%(name)s %(trace_id)s", stream=sys.stdout)
own = logging.getLogger("shop.own")
own.propagate = False
own.addHandler(logging.StreamHandler(sys.stdout))
own.handlers[0].setFormatter(logging.Formatter("own %(transaction)s"))
logging.getLogger("shop.placeholder.below")
add_to_handlers()
scout_core.start(plugins_autoload=False, plugins_enable=[])
with transaction("Job/a") as job:
    logging.getLogger("shop.later").warning("hello")
    own.warning("hello")
    print(job.trace_id)
scout_core.stop()
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)

    assert (0, "") == (done.returncode, done.stderr)
    later, own, trace_id = done.stdout.splitlines()
    assert (f"shop.later {trace_id}", "own Job/a") == (later, own)


def test_a_configuration_can_name_the_filter(agent):
    stream = io.StringIO()
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"trace": {"()": "scout_core.log_records.TraceFilter"}},
            "formatters": {"line": {"format": FORMAT}},
            "handlers": {"out": {"class": "logging.StreamHandler", "stream": stream, "filters": ["trace"], "formatter": "line"}},
            "loggers": {"scout_test_of_dict_config": {"handlers": ["out"], "propagate": False}},
        }
    )  # fmt: skip
    with transaction("Job/a") as job:
        logging.getLogger("scout_test_of_dict_config").warning("hello")

    assert f"hello|{job.trace_id}|{job.span_id}|Job/a\n" == stream.getvalue()


def test_a_queue_carries_the_ids_of_the_thread_that_logged(agent, logger):
    records = queue.SimpleQueue()
    stream = io.StringIO()
    target = logging.StreamHandler(stream)
    target.setFormatter(logging.Formatter(FORMAT))
    logger.addHandler(logging.handlers.QueueHandler(records))
    add_to_handlers(logger)
    with transaction("Job/a") as job:
        logger.warning("hello")
    thread = Thread(target=lambda: target.handle(records.get(timeout=30)))
    thread.start()
    thread.join()

    assert f"hello|{job.trace_id}|{job.span_id}|Job/a\n" == stream.getvalue()


def test_a_processor_of_another_logger_adds_the_fields(agent):
    def add_trace(logger, method, event):
        event.update(trace_fields())
        return event

    with transaction("Job/a") as job:
        event = add_trace(None, "info", {"event": "hello"})

    assert {"event": "hello", "trace_id": job.trace_id, "span_id": job.span_id, "transaction": "Job/a"} == event


@pytest.mark.parametrize("name, value", [("id", "x"), ("transaction", 5), ("stop_ns", "x"), ("own_trace", 5)])
def test_attributes_that_the_application_has_spoiled_do_not_stop_its_logging(agent, logger, name, value):
    stream = logging_to(logger)
    add_to_handlers(logger)
    with transaction("Job/a") as job:
        before = getattr(job, name, None)
        setattr(job, name, value)
        logger.warning("hello")
        if before is None:
            delattr(job, name)
        else:
            setattr(job, name, before)

    assert stream.getvalue().startswith("hello|")


def test_a_hook_logs_without_ids(logger):
    stream = logging_to(logger)
    add_to_handlers(logger)

    @hookimpl
    def on_span(span):
        logger.warning("hello")

    with running(plugin(on_span=on_span), threaded=False), transaction("Job/a"), span("SQL/Query"):
        pass

    assert "hello|||\n" == stream.getvalue()


def test_records_that_the_agent_logs_are_filtered_like_others(agent, logger):
    record = logging.LogRecord("scout_core", logging.INFO, "x", 1, "hello", (), None)

    assert TraceFilter().filter(record) is True
    assert re.fullmatch(r"hello\|\|\|", logging.Formatter(FORMAT).format(record))


def test_what_a_signal_handler_raises_passes(agent, monkeypatch):
    def interrupting(span):
        signal.raise_signal(signal.SIGUSR1)

    def handler(number, frame):
        raise TimeoutError("request")

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        monkeypatch.setattr("scout_core.log_records.innermost_open", interrupting)
        with pytest.raises(TimeoutError), transaction("Job/a"):
            trace_fields()
    finally:
        signal.signal(signal.SIGUSR1, before)
