"""Reports cannot be changed, whatever an exporter or a hook tries, because all of them get the same one."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import asdict, evolve, fields, has

from scout_core import span, transaction
from scout_core.measuring.histogram import FrozenHistogram, Histogram
from scout_core.measuring.read_only import ReadOnlyDict, read_only
from scout_core.measuring.report import Report
from scout_core.sending.wire import decode, encode
from tests.test_wire import FULL
from tests.workbench import Behaving, Keeper, exporting, plugin, running

CHANGES = {
    "set": lambda it: it.__setitem__("new", 1),
    "delete": lambda it: it.__delitem__(next(iter(it))),
    "clear": lambda it: it.clear(),
    "pop": lambda it: it.pop(next(iter(it))),
    "popitem": lambda it: it.popitem(),
    "setdefault": lambda it: it.setdefault("new", 1),
    "update": lambda it: it.update(new=1),
    "update with a dict": lambda it: it.update({"new": 1}),
    "in place": lambda it: it.__ior__({"new": 1}),
}


def parts(value: Any, path: str = "report") -> Iterator[tuple[str, Any]]:
    """Yield everything in a report with its path."""
    yield path, value
    if has(type(value)):
        for attribute in fields(type(value)):
            yield from parts(getattr(value, attribute.name), f"{path}.{attribute.name}")
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from parts(inner, f"{path}[{key}]")
    elif isinstance(value, (tuple, list, set)):
        for number, inner in enumerate(value):
            yield from parts(inner, f"{path}[{number}]")
    elif isinstance(value, Histogram):
        yield from parts(value.buckets, f"{path}.buckets")


def made() -> Report:
    """Return the report that an agent makes of a request with an error."""
    reports: list[Report] = []
    with running(plugin(on_report=lambda report: reports.append(report)), threaded=False) as agent:
        with pytest.raises(KeyError), transaction("Controller/home", plan="gold"), span("SQL/Query", rows=1):
            raise KeyError("plan")
        agent.recorder.work()
        agent.recorder.close_period()
    return reports[0]


REPORTS = {"in memory": FULL, "decoded": decode(encode(FULL)), "evolved": evolve(FULL, left_out={"traces": 1})}


@pytest.mark.parametrize("report", [*REPORTS.values(), None], ids=[*REPORTS, "of an agent"])
def test_nothing_in_a_report_can_be_changed(report):
    report = report or made()
    found = dict(parts(report))

    assert len(found) > 50
    for path, value in found.items():
        assert not isinstance(value, (list, set, bytearray)), path
        if isinstance(value, dict):
            assert type(value) is ReadOnlyDict, path
        elif isinstance(value, Histogram):
            assert type(value) is FrozenHistogram, path
        elif has(type(value)):
            name = fields(type(value))[0].name
            with pytest.raises(AttributeError):
                setattr(value, name, 1)
            with pytest.raises(AttributeError):
                delattr(value, name)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_read_only_mapping_refuses_every_change(change):
    mapping = read_only({"a": 1, "b": {"c": 2}})
    for refusing in (mapping, mapping["b"]):
        before = dict(refusing)
        with pytest.raises(
            TypeError, match=r"a report cannot be changed; change a copy, such as dict\(report.counters\)"
        ):
            change(refusing)

        assert before == refusing


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.add(0.5),
        lambda it: it.add_to(3),
        lambda it: it.merge(Histogram({1: 1})),
        lambda it: it.merge(Histogram()),
        lambda it: setattr(it, "count", 5),
        lambda it: setattr(it, "buckets", {}),
        lambda it: delattr(it, "count"),
    ],
)
def test_the_histogram_of_a_report_refuses_every_change(change):
    histogram = FULL.transactions[0].durations
    before = dict(histogram.buckets), histogram.count
    with pytest.raises((TypeError, AttributeError)):
        change(histogram)

    assert before == (dict(histogram.buckets), histogram.count)


def test_a_report_can_be_copied_pickled_and_encoded_like_any_other_object():
    for made in (copy.copy(FULL), copy.deepcopy(FULL), pickle.loads(pickle.dumps(FULL)), evolve(FULL)):
        assert FULL == made
        assert encode(FULL) == encode(made)
    assert json.dumps(asdict(FULL.counters["collector"]))
    assert {"a": 1} == ReadOnlyDict(a=1) == dict(ReadOnlyDict(a=1))


def test_a_copy_can_be_changed():
    changed = asdict(FULL)
    changed["counters"]["collector"]["dropped"]["new"] = 1
    histogram = Histogram(dict(FULL.transactions[0].durations.buckets))
    histogram.add(0.5)

    assert "new" not in FULL.counters["collector"].dropped
    assert histogram.count == FULL.transactions[0].durations.count + 1


def test_the_mapping_that_a_report_was_made_of_is_another_one():
    mine = {"traces": 1}
    report = evolve(FULL, left_out=mine)
    mine["traces"] = 2

    assert {"traces": 1} == report.left_out


def test_an_exporter_and_a_hook_cannot_change_the_report_for_the_next_exporter():
    def change(report: Report) -> None:
        report.counters["new"] = report.counters["b-keeper"]

    keeper = Keeper("b-keeper")
    hook = plugin("hook", on_report=change)
    with running(hook, exporting(Behaving("a-changing", change), keeper), threaded=False) as agent:
        with transaction("Controller/home"):
            pass
        agent.recorder.work()
        agent.recorder.close_period()
        agent.stop(5)
        errors = {status.name: status.last_error or "" for status in agent.plugin_statuses()}

    assert {"a-changing", "b-keeper"} == keeper.reports[0].counters.keys()
    assert "TypeError: a report cannot be changed" in errors["hook"]
    assert "TypeError: a report cannot be changed" in errors["test_exporters"]
