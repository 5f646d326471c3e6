"""Values of another type that are set on spans and transactions: the old one is kept, and everything else, too."""

from __future__ import annotations

import pytest

from scout_core import span, transaction
from tests.workbench import plugin, running


@pytest.mark.parametrize("value", [None, 3, ["Job/a"], b"Job/a", object()])
def test_an_operation_that_is_not_a_text_leaves_the_old_one(scout, value):
    with transaction("Job/a") as job, span("SQL/Query") as query:
        job.operation = value
        query.operation = value

    assert ["SQL/Query", "Job/a"] == scout.operations
    assert 2 == scout.agent.counters().invalid_values


@pytest.mark.parametrize("value", [None, 3, ["plan"], "plan", object()])
def test_tags_that_are_not_a_dict_leave_the_old_ones(scout, value):
    with transaction("Job/a", plan="gold") as job, span("SQL/Query", rows=3) as query:
        job.tags = value
        query.tags = value
        job.tag("more", 1)
        query.tag("more", 2)

    assert {"plan": "gold", "more": 1} == scout.transaction.tags
    assert {"rows": 3, "more": 2} == scout.spans[0].tags
    assert not job.is_error


def test_values_of_the_right_type_are_used(scout):
    with transaction("Job/a", plan="gold") as job, span("SQL/Query") as query:
        job.operation, query.operation = "Job/b", "SQL/Other"
        job.tags, query.tags = {"a": 1}, {"b": 2}

    assert ["SQL/Other", "Job/b"] == scout.operations
    assert ({"a": 1}, {"b": 2}) == (scout.transaction.tags, scout.spans[0].tags)


@pytest.mark.parametrize("name", ["operation", "tags"])
@pytest.mark.parametrize("hook", ["on_request_start", "on_request_end", "on_span"])
def test_a_hook_that_sets_another_type_is_named(name, hook):
    def on_request_start(transaction, config):
        setattr(transaction, name, None)

    def on_request_end(transaction):
        setattr(transaction, name, None)

    def on_span(span):
        setattr(span, name, None)

    with running(plugin("test_setting", **{hook: locals()[hook]}), threaded=False) as agent:
        with transaction("Job/a"), span("SQL/Query"):
            pass
        agent.recorder.work()
        status = {status.name: status for status in agent.plugin_statuses()}["test_setting"]
        counters = agent.counters()

    assert "TypeError" in status.last_error
    assert (1, 1, {}) == (status.errors, counters.finished, counters.dropped)
