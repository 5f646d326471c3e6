"""The notes of the doctor about missing reports, and processes that vanished."""

from __future__ import annotations

from attrs import evolve

from scout_core.cli.reports import describe_reports
from scout_core.sending.protocol import ProcessCounters, ReportFacts, ReportingProcess


def process(pid: int, *, missing: int = 0, is_silent: bool = False, app: str = "Shop") -> ReportingProcess:
    facts = ReportFacts(received=3, first=1, last=3 + missing, missing=missing, has_ended=False, is_silent=is_silent)
    return ReportingProcess(
        app=app, host="web-1", pid=pid, instance=f"{pid:016x}", agent="0", python="3", revision="", started=1e9, seen=1e9,
        reports=facts,
    )  # fmt: skip


def texts(*processes: ReportingProcess) -> list[tuple[str, str, str]]:
    return [(finding.state, finding.area, finding.text) for finding in describe_reports(processes)]


def test_nothing_is_found_while_every_report_arrives():
    assert [] == texts(process(1), process(2))


def test_gaps_of_an_application_are_one_note():
    assert [
        ("note", "reports", "Shop: 5 reports of 2 processes (pid 1, 3) did not arrive here"),
        ("note", "reports", "cron: 1 report of 1 process (pid 4) did not arrive here"),
    ] == texts(process(1, missing=2), process(2), process(3, missing=3), process(4, missing=1, app="cron"))


def test_processes_that_vanished_are_one_note():
    ((state, area, text),) = texts(*(process(pid, is_silent=True) for pid in range(1, 9)))

    assert ("note", "reports") == (state, area)
    assert text.startswith("Shop: 8 processes (pid 1, 2, 3, 4, 5 and 3 more) sent no last report: killed, hanging")


def test_messages_that_the_application_s_logging_did_not_take_are_one_note():
    def failing(pid: int, count: int) -> ReportingProcess:
        return evolve(process(pid), counters={"collector": ProcessCounters(logging_failures=count)})

    assert [
        ("note", "logging", "Shop: 5 messages of scout-core in 2 processes (pid 1, 2) could not be logged")
    ] == texts(failing(1, 2), failing(2, 3), failing(3, 0))


def test_a_dashboard_of_an_earlier_version_has_no_such_facts():
    old = ReportingProcess(
        app="Shop", host="web-1", pid=1, instance="1", agent="0", python="3", revision="", started=1e9, seen=1e9
    )

    assert [] == texts(old)
