"""Ends of processes that run nothing in Python: the last period has left before. Requests sent are compared with those that arrived."""

from __future__ import annotations

import signal

import pytest

from tests.servers import BIN, servers
from tests.workbench import CollectorSink, Sink, announced, eventually, run_app

APP = """
import os
import scout_core
from scout_core import transaction

scout_core.start()


def answer():
    with transaction("Controller/shop.home"):
        return str(os.getpid()).encode()


def wsgi(environ, start_response):
    body = answer()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        with transaction("Job/shutdown"):
            await send({"type": "lifespan.shutdown.complete"})
        return
    body = answer()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
UVICORN = (BIN / "uvicorn", "--port", "0")
SERVERS = {
    "uvicorn": ((*UVICORN, "shop:asgi"), 1),
    "uvicorn with a WSGI application": ((*UVICORN, "--interface", "wsgi", "shop:wsgi"), 0),
    "workers of uvicorn": ((*UVICORN, "--workers", "2", "shop:asgi"), 2),
    "gunicorn's worker for uvicorn": (
        (BIN / "gunicorn", "-w", "2", "-b", "127.0.0.1:0", "-k", "uvicorn.workers.UvicornWorker", "shop:asgi"), 2,
    ),
    "gunicorn with threads": ((BIN / "gunicorn", "-w", "2", "-b", "127.0.0.1:0", "--threads", "4", "shop:wsgi"), 0),
}  # fmt: skip


@pytest.fixture
def serving(tmp_path):
    with servers(tmp_path) as started:
        yield started


@pytest.mark.parametrize(
    ("name", "number"),
    [*((name, signal.SIGTERM) for name in SERVERS), ("uvicorn", signal.SIGINT), ("workers of uvicorn", signal.SIGINT)],
)
def test_every_request_arrives_when_a_server_is_ended_by_a_signal(serving, name, number):
    command, shutdowns = SERVERS[name]
    serving.write("shop.py", APP)
    server = serving.start(*command)
    first = eventually(server.ask)
    answers = server.ask_all(299)
    # The others can have answered everything before the last worker has started, and then it has nothing to shut down.
    eventually(lambda: server.log.read_text().count("Application startup complete.") >= shutdowns)
    printed = server.end(number)

    assert 300 == answers.total() + (first is not None)
    assert 300 + shutdowns == serving.counted
    assert "Traceback" not in printed


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_whose_only_transactions_end_while_it_shuts_down_reports_them(serving, workers):
    """The agent's thread has not looked for any before."""
    serving.write("shop.py", APP)
    server = serving.start(*UVICORN, "--workers", str(workers), "shop:asgi")
    eventually(lambda: server.log.read_text().count("Application startup complete.") == workers)
    server.end()

    assert workers == serving.counted


def test_every_request_arrives_when_the_workers_of_uvicorn_are_replaced(serving):
    serving.write("shop.py", APP)
    server = serving.start(*UVICORN, "--workers", "2", "shop:asgi")
    before = eventually(server.ask)
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: before in {str(report.process.pid) for report in serving.reports})
    eventually(lambda: (answer := server.ask()) is not None and answer != before)
    sent = 50 + sum(metrics.count for report in serving.reports for metrics in report.transactions)
    server.ask_all(50)
    server.end()

    assert serving.counted > sent


def test_a_program_that_goes_on_after_its_server_has_ended_is_recorded(tmp_path):
    sink = CollectorSink()
    announced(tmp_path / "state", sink.url)
    done = run_app(
        APP
        + """
import asyncio, signal, threading
import uvicorn

async def main():
    server = uvicorn.Server(uvicorn.Config(asgi, port=0, log_level="error"))
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    answer()
    server.should_exit = True
    await serving
    print(scout_core.start().counters("collector").exported, flush=True)
    answer()

asyncio.run(main())
scout_core.stop()
print(hasattr(uvicorn.Server.shutdown, "__wrapped__"))
""",
        tmp_path / "state",
        SCOUT_SHUTDOWN_TIMEOUT_SECONDS="20",
    )
    sink.close()

    assert (0, "2\nFalse\n", "") == (done.code, done.out, done.err)
    assert 3 == sink.counted


def test_a_collector_that_never_answers_holds_a_server_up_no_longer_than_the_timeout(serving):
    hole = Sink(None)
    announced(serving.folder / "state", hole.url)
    serving.write("shop.py", APP)
    server = serving.start(*UVICORN, "shop:asgi", SCOUT_SHUTDOWN_TIMEOUT_SECONDS="0.5")
    eventually(server.ask)
    server.process.send_signal(signal.SIGTERM)

    assert -signal.SIGTERM == server.process.wait(20)
    hole.close()


POOL = """
import concurrent.futures, multiprocessing, multiprocessing.pool, os, sys, threading, time
import scout_core
from scout_core import transaction

if __name__ == "__main__":
    multiprocessing.set_start_method({method!r})
scout_core.start()


def task(number):
    with transaction("Job/task"):
        return number


def wait(seconds):
    time.sleep(seconds)


class Leaving:  # a worker that the thread of the pool removes while the workers are looked at
    sentinel = os.pipe()[0]  # the pool's thread waits for it

    def __init__(self, workers):
        self.workers = workers

    def terminate(self):
        pass

    @property
    def exitcode(self):
        if threading.current_thread() is threading.main_thread() and self in self.workers:
            self.workers.remove(self)
            return 0
        return None


if __name__ == "__main__":
    {body}
"""
WAYS_TO_USE = {
    "map": "with multiprocessing.Pool(3) as pool:\n        assert list(range(400)) == pool.map(task, range(400))",
    "imap": "with multiprocessing.Pool(3) as pool:\n        assert 400 == len(list(pool.imap_unordered(task, range(400))))",
    "apply_async": (
        "with multiprocessing.Pool(3) as pool:\n"
        "        results = [pool.apply_async(task, (number,)) for number in range(400)]\n"
        "        assert 400 == len([result.get() for result in results])"
    ),
    "workers are replaced": "with multiprocessing.Pool(3, maxtasksperchild=1) as pool:\n        pool.map(task, range(400), chunksize=50)",
    "a worker leaves meanwhile": (
        "pool = multiprocessing.Pool(3)\n    pool.map(task, range(400))\n    pool._pool.insert(0, Leaving(pool._pool))\n"
        "    pool.terminate()\n    pool.join()"
    ),
    "terminate": "pool = multiprocessing.Pool(3)\n    pool.map(task, range(400))\n    pool.terminate()\n    pool.join()",
    "close": "pool = multiprocessing.Pool(3)\n    pool.map(task, range(400))\n    pool.close()\n    pool.join()",
    "neither": "import warnings\n    warnings.simplefilter('ignore', ResourceWarning)\n    pool = multiprocessing.Pool(3)\n    pool.map(task, range(400))",
    "the agent stops before": "pool = multiprocessing.Pool(3)\n    pool.map(task, range(400))\n    scout_core.stop()\n    pool.terminate()",
    "threads": "with multiprocessing.pool.ThreadPool(3) as pool:\n        pool.map(task, range(400))",
    "executor": "with concurrent.futures.ProcessPoolExecutor(3) as pool:\n        list(pool.map(task, range(400)))",
    "processes": (
        "processes = [multiprocessing.Process(target=task, args=(1,)) for _ in range(4)]\n"
        "    [process.start() for process in processes]\n"
        "    [process.join() for process in processes]\n"
        "    [task(number) for number in range(396)]"
    ),
}  # fmt: skip


@pytest.mark.parametrize("use", WAYS_TO_USE)
def test_every_task_of_a_pool_arrives(sink, tmp_path, use):
    done = run_app(
        POOL.format(method="fork", body=WAYS_TO_USE[use]), tmp_path / "state", SCOUT_SHUTDOWN_TIMEOUT_SECONDS="20"
    )

    assert (0, "", "") == (done.code, done.out, done.err)
    assert 400 == sink.counted
    assert len(sink.reports) == len({report.id for report in sink.reports})


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_every_task_of_a_pool_arrives_however_its_workers_are_started(sink, tmp_path, method):
    done = run_app(
        POOL.format(method=method, body=WAYS_TO_USE["map"]), tmp_path / "state", SCOUT_SHUTDOWN_TIMEOUT_SECONDS="20"
    )

    assert (0, "", "") == (done.code, done.out, done.err)
    assert 400 == sink.counted


def test_a_pool_with_tasks_left_is_terminated_at_once(sink, tmp_path):
    body = "with multiprocessing.Pool(2) as pool:\n        pool.apply_async(wait, (60,))"
    done = run_app(POOL.format(method="fork", body=body), tmp_path / "state")

    assert (0, "", "") == (done.code, done.out, done.err)
    assert done.seconds < 30


@pytest.mark.parametrize(("settings", "periods"), [({}, "60.0 5.0"), ({"SCOUT_REPORT_PERIOD": "20"}, "20.0 20.0")])
def test_children_that_may_be_terminated_report_more_often_unless_the_period_is_configured(tmp_path, settings, periods):
    body = "print(period(), end=' ', flush=True)\n    child = multiprocessing.Process(target=show)\n    child.start()\n    child.join()"
    begin = "def period():\n    return scout_core.start().recorder.period\n\n\ndef show():\n    print(period())\n\n\n"
    done = run_app(begin + POOL.format(method="fork", body=body), tmp_path / "state", **settings)

    assert (0, periods, "") == (done.code, done.out.strip(), done.err)


def test_nothing_of_uvicorn_or_multiprocessing_is_imported_or_changed_for_this(tmp_path):
    done = run_app(
        """
        import os, sys
        import scout_core

        scout_core.start()
        print(sorted(name for name in sys.modules if name.partition(".")[0] in ("uvicorn", "multiprocessing", "asyncio")))
        scout_core.stop()
        import multiprocessing.pool
        print(multiprocessing.pool.Pool.__init__.__code__.co_name, os._exit)
        """,
        tmp_path / "state",
    )

    assert (0, "[]\n__init__ <built-in function _exit>\n", "") == (done.code, done.out, done.err)


EXIT = """
import inspect, multiprocessing, os, pickle, threading
import scout_core
from scout_core import transaction

scout_core.start()
original = os._exit


def attempt(*args, **kwargs):
    try:
        os._exit(*args, **kwargs)
    except TypeError as error:
        return str(error)


def nested():
    replaced = os._exit
    print(replaced.__wrapped__ is original)
    replaced(status=7)


def child():
    replaced = os._exit
    print(callable(replaced), replaced is not original, type(replaced).__name__)
    for name in ("__name__", "__qualname__", "__doc__"):
        print(getattr(replaced, name) == getattr(original, name))
    print(inspect.signature(replaced) == inspect.signature(original))
    print(pickle.loads(pickle.dumps(replaced)) is replaced)
    print([attempt(*args, **kwargs) for args, kwargs in WRONG] == WRONGLY)
    grandchild = multiprocessing.get_context("fork").Process(target=nested)
    grandchild.start()
    grandchild.join()
    print(grandchild.exitcode, flush=True)
    with transaction("Job/child"):
        pass
    replaced(status=5)


WRONG = [((), {}), ((1, 2), {}), (("x",), {}), ((), {"code": 1})]
WRONGLY = [attempt(*args, **kwargs) for args, kwargs in WRONG]
if __name__ == "__main__":
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    print(process.exitcode, os._exit is original)
"""


def test_in_a_child_os_exit_looks_and_fails_like_the_original(sink, tmp_path):
    done = run_app(EXIT, tmp_path / "state", SCOUT_SHUTDOWN_TIMEOUT_SECONDS="20")

    assert (0, "") == (done.code, done.err)
    assert ["True True function", *["True"] * 7, "7", "5 True"] == done.out.splitlines()
    assert 1 == sink.counted
