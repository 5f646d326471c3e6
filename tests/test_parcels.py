"""Children that are forked for one job each, and a parent that sends what they record: it is as if it had recorded that itself."""

from __future__ import annotations

import pytest

from scout_core.measuring.report import Report
from tests.workbench import CollectorSink, announced, eventually, run_app

BEGIN = """
import enum, os, signal, sys, threading
import scout_core
from scout_core import span, trace_headers, transaction
from scout_core.instruments.jobs import end_child, job, send_for_child
from scout_core.recording import context


class Size(enum.Enum):
    LARGE = "large"


class StampError(Exception):
    pass


def work(number=0):
    with job("mail.send", queue="letters", queued_at=1.5e9, number=number, size=Size.LARGE, weight=float("inf")):
        with span("SQL/Query", statement="SELECT 'secret'"):
            with span("HTTP/get") as inner:
                inner.tag("caller", trace_headers()["traceparent"])
        for row in range(6):
            with span("SQL/Query", statement=f"SELECT {row}"):
                pass
        try:
            raise StampError("no stamp") from KeyError("stamp")
        except StampError as error:
            scout_core.record_error(error)
    try:
        with transaction("Job/mail.fail"), span("SQL/Query"):
            raise StampError("no stamp at all")
    except StampError:
        pass
    with transaction("Job/mail.ignored") as ignored:
        ignored.ignore()


def forks(function, *arguments):
    pid = os.fork()
    if pid == 0:
        end_child(in_child, None, (function, *arguments), {})
    return os.waitpid(pid, 0)[1]


def in_child(function, *arguments):
    function(*arguments)
    os._exit(0)


def send_for(function, *arguments):
    return send_for_child(forks, None, (function, *arguments), {})


"""


@pytest.fixture
def sink():
    made = CollectorSink()
    yield made
    made.close()


@pytest.fixture
def app(tmp_path, sink):
    """Return a function that runs a script, which must succeed, and returns what it prints."""
    announced(tmp_path / "state", sink.url)

    def run(source: str) -> str:
        done = run_app(
            f"{BEGIN}\nscout_core.start(report_period='1h', slow_span_seconds=1e-9, n_plus_one_seconds=0)\n{source}",
            tmp_path / "state",
            SCOUT_SHUTDOWN_TIMEOUT_SECONDS="20",
        )
        assert (0, "") == (done.code, done.err), done
        return done.out

    return run


def facts_of(reports: list[Report]) -> list[object]:
    """Return everything about the traces that does not differ between two runs."""
    traces = [trace for report in reports for trace in report.traces]
    return [
        (
            *(trace.name, trace.is_error, trace.queue_time is not None, trace.group, trace.errors_left_out, len(trace.calls)),
            [(error.exception, error.message, error.handled, error.related and error.related[0].exception, len(error.frames), error.in_app)
             for error in (*((trace.error,) if trace.error else ()), *trace.more_errors)],
            {key: value for key, value in trace.tags.items() if key != "caller"},
            [(record.id, record.parent, record.operation, record.error, sorted(record.tags)) for record in trace.spans],
            [(stack.span, stack.frames[0][1:], stack.in_app[0]) for stack in trace.stacks],
            [(repeat.operation, repeat.statement, repeat.count, repeat.function) for repeat in trace.repeats],
        )
        for trace in sorted(traces, key=lambda trace: trace.name)
    ]  # fmt: skip


def figures_of(reports: list[Report]) -> list[object]:
    return sorted(
        (found.name, found.count, found.errors, {kind: (of.count, of.errors) for kind, of in found.kinds.items()})
        for report in reports
        for found in report.transactions
    )


def test_a_parent_reports_what_a_child_has_recorded_as_if_it_had_recorded_that_itself(app, sink):
    app("work()")
    here = list(sink.reports)
    sink.reports.clear()
    app("send_for(work)")

    assert 2 == sum(len(report.traces) for report in here)
    assert {("SQL/Query", "SELECT ?", 6, "work")} == {
        (repeat.operation, repeat.statement, repeat.count, repeat.function)
        for report in here
        for trace in report.traces
        for repeat in trace.repeats
    }
    assert facts_of(here) == facts_of(sink.reports)
    assert figures_of(here) == figures_of(sink.reports)
    assert [report.counters for report in here] == [report.counters for report in sink.reports]


def test_the_callee_of_a_child_names_a_span_of_the_trace_that_the_parent_sends(app, sink):
    app("send_for(work)")
    trace = next(trace for trace in sink.reports[0].traces if trace.name == "Job/mail.send")
    inner = next(record for record in trace.spans if record.operation == "HTTP/get")

    assert inner.tags["caller"] == f"00-{trace.trace_id}-{next(iter(trace.calls))}-03"
    assert [inner.id] == list(trace.calls.values())


def test_a_hundred_children_are_the_report_of_one_process(app, sink):
    """The agent starts no thread in any of them."""
    printed = app(
        """
        def threads(number):
            work(number)
            if threading.active_count() > 1:
                print(threading.enumerate(), flush=True)

        for number in range(100):
            send_for(threads, number)
        """.replace("\n        ", "\n")
    )

    assert "" == printed
    assert 1 == len({report.process.pid for report in sink.reports})
    assert len(sink.reports) <= 2  # the first one is sent early
    assert 200 == sink.counted
    assert 100 == sink.reports[-1].counters["collector"].dropped["ignored"]


def test_a_child_that_is_killed_loses_what_it_has_not_handed_over(app, sink):
    printed = app(
        """
        def be_killed():
            work()
            os.kill(os.getpid(), signal.SIGKILL)

        print(send_for(be_killed), send_for(work))
        """.replace("\n        ", "\n")
    )

    assert "9 0\n" == printed
    assert 2 == sink.counted


def test_a_signal_handler_that_raises_while_a_parcel_is_read_neither_loses_nor_doubles_it(app, sink):
    """RQ ends a worker in this way: it may be asked to while it takes over what a job has recorded."""
    printed = app(
        """
        class StopRequested(Exception):
            pass


        def at_call(wanted):
            count = 0

            def look(frame, event, argument):
                nonlocal count
                name = frame.f_code.co_filename
                if event == "call" and has_ended and ("scout_core" in name or name.endswith("threading.py")):
                    count += 1
                    if count == wanted:
                        sys.setprofile(None)
                        raise StopRequested
            return look


        def forks_and_ends(number):
            global has_ended
            status = forks(job_of, number)
            has_ended = True
            return status


        def job_of(number):
            with transaction("Job/mail.interrupted"):
                pass


        interrupted = 0
        for number in range(1, 400):
            has_ended = False
            context.tracer.await_first()  # as if this were the first job, which starts the threads of the agent
            sys.setprofile(at_call(number))
            try:
                send_for_child(forks_and_ends, None, (number,), {})
            except StopRequested:
                interrupted += 1
            else:
                break
            finally:
                sys.setprofile(None)
        print(number, interrupted)
        """.replace("\n        ", "\n")
    )
    jobs, interrupted = map(int, printed.split())

    assert (jobs - 1, True) == (interrupted, interrupted > 5)
    assert jobs == sink.counted


def test_an_incomplete_parcel_is_not_counted(app, sink):
    app(
        """
        from scout_core.instruments import parcels

        put = parcels.Parcel.put

        def put_a_part(parcel, packed):
            parcel.file.write(f"{len(packed)}\\n".encode() + packed[:-1])
            os.kill(os.getpid(), signal.SIGKILL)

        parcels.Parcel.put = put_a_part
        send_for(work)
        parcels.Parcel.put = put
        send_for(work)
        """.replace("\n        ", "\n")
    )

    assert 2 == sink.counted


def test_a_child_whose_parent_has_ended_sends_its_own_report(app, sink):
    app(
        """
        def orphan():
            parent = os.getpid()
            if os.fork() == 0:
                end_child(in_child, None, (outlive, parent), {})
            os._exit(0)

        def outlive(parent):
            work()
            while os.getppid() == parent:
                pass
            scout_core.flush(20)  # an exit waits for a second at most, which a busy machine may need

        def parent():
            send_for_child(orphan, None, (), {})

        pid = os.fork()
        if pid == 0:
            parent()
        os.waitpid(pid, 0)
        """.replace("\n        ", "\n")
    )
    eventually(lambda: sink.counted == 2)


def test_what_a_child_of_the_child_records_is_counted_once(app, sink):
    app(
        """
        def nested():
            work()
            forks(work)

        send_for(nested)
        """.replace("\n        ", "\n")
    )

    assert 4 == sink.counted
    assert 2 == len({report.process.pid for report in sink.reports})


def test_a_child_that_flushes_hands_over_what_it_has_once(app, sink):
    app(
        """
        def flushes():
            work()
            scout_core.flush()
            work()

        send_for(flushes)
        """.replace("\n        ", "\n")
    )

    assert (1, 4) == (len({report.process.pid for report in sink.reports}), sink.counted)


def test_without_an_agent_nothing_is_opened(app, sink):
    printed = app(
        """
        scout_core.stop()
        before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
        print(send_for(lambda: print(len(os.listdir("/proc/self/fd")) - before if before else 0, flush=True)))
        """.replace("\n        ", "\n")
    )

    assert ["0", "0"] == printed.split()
    assert [] == sink.reports
