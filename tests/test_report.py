"""The report is a contract between processes that may run different versions."""

from __future__ import annotations

import attrs
import pytest

from scout_core.measuring import report as contract
from scout_core.measuring.report import Counters, Report
from tests.workbench import sample_report

CLASSES = [member for member in vars(contract).values() if attrs.has(member)]


def test_there_are_classes_to_look_at():
    assert {"Counters", "ErrorReport", "KindMetrics", "PluginStatus", "Process", "Report", "SpanRecord", "Trace"} < {
        kind.__name__ for kind in CLASSES
    }


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_nothing_in_a_report_changes_once_it_is_made(kind):
    some = sample_report()
    found = {type(one): one for one in (some, some.process, *some.transactions, *some.transactions[0].kinds.values())}

    assert kind.__attrs_attrs__
    assert kind.__module__ != contract.__name__ or all(attribute.kw_only for attribute in attrs.fields(kind))
    assert kind.__setattr__ is not object.__setattr__
    if kind in found:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(found[kind], attrs.fields(kind)[0].name, None)


def test_a_report_tells_the_schema_it_is_written_in():
    assert 1 == contract.SCHEMA == sample_report().schema


def test_what_was_added_later_may_be_missing():
    """Fields that a receiver must not insist on have a default; these are the ones without."""
    needed = {field.name for field in attrs.fields(Counters) if field.default is attrs.NOTHING}

    assert {"finished", "exported", "queued", "dropped"} == needed
    assert {"schema"} == {field.name for field in attrs.fields(Report) if field.default is not attrs.NOTHING}
