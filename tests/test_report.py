"""The report is a contract between processes that may run different versions."""

from __future__ import annotations

import attrs
import pytest

from scout_core.measuring import report as contract
from scout_core.measuring.report import Counters, Report
from tests.workbench import sample_report

CLASSES = [member for member in vars(contract).values() if attrs.has(member)]


def test_the_module_has_the_classes_of_a_report():
    assert {"Counters", "ErrorReport", "KindMetrics", "PluginStatus", "Process", "Report", "SpanRecord", "Trace"} < {
        kind.__name__ for kind in CLASSES
    }


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_parts_of_a_report_are_frozen(kind):
    report = sample_report()
    parts = (report, report.process, *report.transactions, *report.transactions[0].kinds.values())
    found = {type(part): part for part in parts}

    assert kind.__attrs_attrs__
    assert kind.__module__ != contract.__name__ or all(attribute.kw_only for attribute in attrs.fields(kind))
    assert kind.__setattr__ is not object.__setattr__
    if kind in found:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(found[kind], attrs.fields(kind)[0].name, None)


def test_a_report_contains_the_version_of_its_schema():
    assert 1 == contract.SCHEMA == sample_report().schema


def test_fields_that_were_added_later_are_optional():
    """Optional fields have a default; these fields have none."""
    needed = {field.name for field in attrs.fields(Counters) if field.default is attrs.NOTHING}

    assert {"finished", "exported", "queued", "dropped"} == needed
    assert {"schema", "error_groups", "operations", "gauges", "is_last", "period", "left_out"} == {
        field.name for field in attrs.fields(Report) if field.default is not attrs.NOTHING
    }
