"""Requests of every kind, again and again, while one function of the agent after the other raises; prints what became of them."""

import asyncio
import gc
import json
import logging
import os
import sys
import threading
import time
import types
from flask import Flask

logging.disable(logging.CRITICAL)
observed, is_observing = {}, False
HERE = "/scout_core/", "/scout_flask/", "wares_plugin.py"


def is_ours(code):
    return any(part in code.co_filename for part in HERE)


def observe(frame, event, argument):
    """Collect the code of functions that are called by our own; the others are the agent's surface."""
    caller = frame.f_back
    if is_observing and event == "call" and is_ours(frame.f_code) and caller is not None and is_ours(caller.f_code):
        observed.setdefault(frame.f_code)


threading.setprofile(observe)
import scout_core
from scout_core import span, transaction
from scout_core.recording import context
from scout_core.sending import agent_thread, loops, outbox, period

agent_thread.TICK = agent_thread.BUSY_TICK = 0.002
period.FIRST_PERIOD = 0.02
loops.PAUSE = 0.002
outbox.pause_after = lambda failures: 0.01
agent = scout_core.start(report_period=0.02, plugins=["scout_flask", "wares_plugin"])
import wares

app = Flask("shop")
client = app.test_client()


@app.before_request
def check():
    return None


@app.route("/")
def home():
    return wares.find("tea") + wares.pack("pot")


@app.route("/fails")
def fails():
    return wares.find("missing")


@transaction("Job/decorated")
def decorated():
    return wares.find("tea")


def ignored():
    with transaction("Job/ignored"), span("SQL/Query"):
        return "ignored"


async def asgi():
    return [await wares.ship("tea"), await asyncio.gather(*(wares.bill(n) for n in range(2)))]


async def in_transaction():
    with transaction("Controller/asgi"):
        return await asgi()


def everything():
    answers = []
    for work in (
        lambda: client.get("/?token=secret", headers={"X-Request-Start": "t=1"}).data,
        lambda: client.get("/fails").status_code,
        lambda: client.get("/missing").status_code,
        lambda: wares.pack("cup"),
        decorated,
        lambda: asyncio.run(in_transaction()),
        lambda: asyncio.run(asgi()),
        ignored,
    ):
        try:
            answers.append(str(work()))
        except Exception as error:
            answers.append(repr(error))
        context.current.set(None)
    return answers


def settle(seconds=5):
    deadline = time.monotonic() + seconds
    while agent.tracer.inbox or agent.ledger.in_hand or agent.ledger.in_period or agent.ledger.waiting["collector"]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def restore():
    for plugin in agent.plugins.all.values():
        for guard in plugin.guards:
            guard.off, guard.failures = None, type(guard.failures)()


def raising(code):
    """The code of a function that raises, and that can take the place of this one."""
    cells = "".join(f"    {name} = None\n" for name in code.co_freevars)
    uses = "".join(f"        {name}\n" for name in code.co_freevars)
    names = {"raised": raised, "Fault": Fault}
    source = (
        f"def make():\n{cells}    def faulty(*args, **kwargs):\n{uses}"
        "        import __main__; __main__.raised.append(1); raise __main__.Fault\n    return faulty.__code__\n"
    )
    exec(source, names)
    return names["make"]()


class Fault(Exception):
    pass


raised = []
expected = everything()
assert settle()
is_observing = True
sys.setprofile(observe)
everything()
assert settle()
sys.setprofile(None)
is_observing = False
functions = {}  # without comprehensions, and functions that are made for each call
for found in gc.get_objects():
    if type(found) is types.FunctionType and found.__code__ in observed:
        functions.setdefault(found.__code__, []).append(found)
assert expected == everything()


def trial(code):
    """Return what becomes of requests while a function raises, and after it; in a child, where the agent is a new one."""
    assert everything() == expected
    settle()
    faulty = raising(code)
    for function in functions[code]:
        function.__code__ = faulty
    during = everything()
    settle(1)
    for function in functions[code]:
        function.__code__ = code
    restore()
    exported = agent.counters("collector").exported
    after = everything()
    deadline = time.monotonic() + 20
    while agent.counters("collector").exported == exported and time.monotonic() < deadline:
        everything()
        time.sleep(0.01)
    counters = agent.counters("collector")
    return {
        "raised": len(raised),
        "reached the application": during != expected,
        "changed later requests": after != expected,
        "ended the sending": counters.exported == exported,
        "unbalanced": counters.finished != counters.exported + counters.queued + sum(counters.dropped.values()),
    }


results = {}
every = sorted(functions, key=lambda code: (code.co_filename, code.co_firstlineno))
for code in every[:: int(os.environ["EVERY"])]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = trial(code)
        except BaseException as error:
            answer = {"failed": repr(error)}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        results[f"{functions[code][0].__module__}:{functions[code][0].__qualname__}"] = json.load(file)
    os.waitpid(pid, 0)
print(json.dumps(results))
