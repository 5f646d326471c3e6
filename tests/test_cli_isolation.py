"""Commands show every plugin, whatever one of them does: plugins are loaded in a child process with a deadline."""

from __future__ import annotations

import pytest

from tests.commandline import Commandline

HOOK = "\nfrom scout_core import hookimpl\n@hookimpl\ndef score_transaction(transaction):\n    return 1.0\n"
COMMANDS = "\nfrom scout_core import hookimpl\n@hookimpl\ndef register_commands(cli):\n    {}\n"


@pytest.fixture
def scout_core(tmp_path):
    return Commandline(tmp_path)


ENDINGS = {
    "exits": ("import os\nos._exit(0)", "the process ended with 0"),
    "exits with a code": ("import os\nos._exit(7)", "the process ended with 7"),
    "crashes": ("import ctypes\nctypes.string_at(0)", "the process was ended by SIGSEGV"),
    "kills": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "the process was ended by SIGKILL"),
    "raises the interrupt": ("raise KeyboardInterrupt", "it raised KeyboardInterrupt"),
    "becomes another program": ("import os\nos.execv('/bin/true', ['true'])", "the process ended with 0"),
    "goes to the background": ("import os\nif os.fork(): os._exit(0)", "the process ended with 0"),
    "closes all files": ("import os\nos.closerange(0, 200)", "the process ended with 1"),
}


@pytest.mark.parametrize(("source", "ending"), ENDINGS.values(), ids=ENDINGS)
def test_a_plugin_that_ends_its_process_at_import_is_named_and_the_others_are_shown(scout_core, source, ending):
    scout_core.install("letters", source + HOOK)
    ran = scout_core("plugins", "--json")

    found = ran.named("letters")
    assert (1, "", "failed") == (ran.code, ran.err, found["state"])
    assert f"importing acme_letters: {ending}" == found["reason"]
    assert found["next_step"]["commands"]
    assert "active" == ran.named("speed")["state"]


RAISES = (
    "GeneratorExit",
    "asyncio.CancelledError('x')",
    "SystemExit(3)",
    "BaseException",
    "MemoryError",
    "RecursionError",
)


@pytest.mark.parametrize("error", RAISES)
@pytest.mark.parametrize("arguments", [("plugins",), ("plugins", "letters"), ("doctor",), ("hooks",), ("config",)])
def test_no_exception_of_a_plugin_ends_a_command(scout_core, error, arguments):
    scout_core.install("letters", f"import asyncio\nraise {error}\n")
    ran = scout_core(*arguments)

    name = error.partition("(")[0].removeprefix("asyncio.")
    assert ran.code == (1 if arguments[0] in ("plugins", "doctor") else 0)
    assert (name in ran.out or "sys.exit(3)" in ran.out) == (arguments[0] in ("plugins", "doctor"))


@pytest.mark.parametrize("where", ["", "register_options()", "instrument(wrap)", "register_commands(cli)"])
def test_a_plugin_that_never_returns_is_named_and_the_others_are_shown(scout_core, where):
    """At import, or in a hook that commands call."""
    wait = "import threading\nthreading.Event().wait()"
    if where:
        wait = (
            f"from scout_core import hookimpl\n@hookimpl\ndef {where}:\n    import threading; threading.Event().wait()"
        )
    scout_core.install("letters", wait + HOOK)
    ran = scout_core("plugins", "--timeout", "2")

    lines = [line for line in (ran.out + ran.err).splitlines() if "it timed out after 2 s" in line]
    assert 1 == ran.code
    assert lines
    for line in lines:  # of the state, and of a problem beside the table
        assert "letters" in line
        assert (where.partition("(")[0] or "importing acme_letters") in line
    assert "\nspeed " in ran.out


def test_several_plugins_that_end_the_process_are_all_named(scout_core):
    scout_core.install("aaa", "import os\nos._exit(1)")
    scout_core.install("letters", COMMANDS.format("import os; os._exit(5)"))
    scout_core.install("zzz", "while True: pass")
    ran = scout_core("plugins", "--json", "--timeout", "2")

    states = {name: ran.named(name)["state"] for name in ("aaa", "letters", "speed", "zzz")}
    assert {"aaa": "failed", "letters": "active", "speed": "active", "zzz": "failed"} == states
    assert "it timed out after 2 s" in ran.named("zzz")["reason"]
    (problem,) = ran.problems
    assert "'letters'" in problem
    assert "the process ended with 5" in problem


HARMLESS = {
    "thread": "import threading\nthreading.Thread(target=threading.Event().wait).start()",
    "output": "print('x' * 10_000_000)",
    "errors": "import sys\nfor _ in range(20_000): print('x' * 100, file=sys.stderr)",
    "no streams": "import os, sys\nsys.stdout.close()\nsys.stderr.close()\nos.close(1)\nos.close(2)",
    "no stream objects": "import sys\nsys.stdout = sys.stderr = sys.stdin = None",
    "directory": "import os\nos.chdir('/')",
    "fork": "import os\nos.fork()",
    "fork that stays": "import os, signal\nif os.fork() == 0: signal.pause()",
    "process that stays": "import subprocess\nsubprocess.Popen(['sleep', '1000'])",
    "exit function": "import atexit, threading\natexit.register(threading.Event().wait)",
    "replaced functions": "import binascii, json, os, pickle\nfor module, name in ((json, 'dumps'), (json.JSONEncoder, 'encode'), (os, 'write'), (os, '_exit'), (os, 'getpid'), (pickle, 'dumps'), (binascii, 'b2a_base64')): setattr(module, name, None)",
    "stop": "import os, signal\nos.kill(0, signal.SIGCONT)",
    "limits": "import gc, sys\ngc.disable()\nsys.setswitchinterval(1)\nsys.setrecursionlimit(300)",
    "input": "import sys\nsys.stdin.read()",
    "signals": "import signal\nfor number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD): signal.signal(number, signal.SIG_IGN)",
}  # fmt: skip


@pytest.mark.parametrize("source", HARMLESS.values(), ids=HARMLESS)
def test_a_plugin_that_works_is_active_whatever_else_it_does(scout_core, source):
    scout_core.install("letters", source + HOOK)
    ran = scout_core("plugins", "--json")

    assert (0, "active", "active") == (ran.code, ran.named("letters")["state"], ran.named("speed")["state"])
    assert len(ran.err) < 100_000


BREAKING = {
    "sys.meta_path": "sys.meta_path.insert(0, type('Finder', (), {'find_spec': lambda *args: 1 / 0})())",
    "sys.meta_path ": "sys.meta_path.clear()",
    "sys.path_hooks": "sys.path_hooks.clear()\nsys.path_importer_cache.clear()",
    "sys.path": "sys.path.clear()\nsys.path_importer_cache.clear()",
    "the builtins": "import builtins\nbuiltins.__import__ = None",
    "the recursion limit": "sys.setrecursionlimit(60)",
    "sys.modules": "del sys.modules['scout_core']",
}


@pytest.mark.parametrize(("thing", "source"), BREAKING.items(), ids=BREAKING)
@pytest.mark.parametrize("command", ["plugins", "doctor"])
def test_a_plugin_that_breaks_imports_is_named_and_the_others_are_shown(scout_core, thing, source, command):
    scout_core.install("breaking", HOOK + f"import sys\n{source}\n")
    scout_core.install("letters", HOOK)
    ran = scout_core(command, "--json")
    shown = scout_core("plugins", "--json")

    assert (1, "") == (ran.code, ran.err)
    found = shown.named("breaking")
    assert ("failed", "active") == (found["state"], shown.named("letters")["state"])
    assert (
        f"importing acme_breaking changes {thing.strip()}, so that no other module can be imported" == found["reason"]
    )


def test_output_of_plugins_goes_to_standard_error_and_is_bounded(scout_core):
    scout_core.install("letters", "print('hello')\nprint('x' * 10_000_000)" + HOOK)
    ran = scout_core("plugins", "--json")

    assert "active" == ran.named("letters")["state"]
    assert ran.err.startswith("hello\nxxx")
    assert len(ran.err) < 100_000


@pytest.mark.parametrize("source", [*(source for source, _ in ENDINGS.values()), *BREAKING.values()])
def test_help_and_commands_of_plugins_leave_such_a_plugin_out_and_name_it(scout_core, source):
    scout_core.install("breaking", f"import sys\n{HOOK}\n{source}\n")
    scout_core.install("letters", COMMANDS.format("cli.command('letters')(lambda: print('written'))"))
    ran = scout_core("--help")
    letters = scout_core("letters")

    assert (0, 0, "written\n") == (ran.code, letters.code, letters.out)
    assert "\n  letters " in f"{ran.out} ".replace("letters\n", "letters \n")
    assert [True, True] == [
        "plugin 'breaking' is left out: importing acme_breaking" in text for text in (ran.err, letters.err)
    ]


def test_a_plugin_that_ends_the_process_in_register_commands_is_left_out_and_named(scout_core):
    scout_core.install("breaking", COMMANDS.format("import os; os._exit(3)"))
    scout_core.install("letters", COMMANDS.format("cli.command('letters')(lambda: print('written'))"))
    ran = scout_core("letters")

    assert (0, "written\n") == (ran.code, ran.out)
    assert "plugin 'breaking' could not add its commands" in ran.err
    assert "the process ended with 3" in ran.err


@pytest.mark.parametrize("wait", ["0.003", "0.01", "0.05"])
def test_a_plugin_whose_thread_ends_the_process_later_is_named_and_no_other(scout_core, wait):
    """Later than its import: the plugin after it waits for that thread, so it is in time however fast the machine is."""
    scout_core.install("late", f"import os, threading\nthreading.Timer({wait}, os._exit, (3,)).start()\n{HOOK}")
    scout_core.install("waiting", f"{JOIN_TIMERS}\n{HOOK}")
    ran = scout_core("plugins", "--json")

    bad = {
        status["name"]
        for status in ran.json
        if status["state"] == "failed" or (status["problems"] and status["state"] == "active")
    }
    assert {"late"} == bad
    assert [] == ran.problems


JOIN_TIMERS = """
import threading
for thread in threading.enumerate():
    if isinstance(thread, threading.Timer):
        thread.join()
"""

VALIDATED = """
import asyncio, os, threading, attrs
from scout_core import hookimpl

def check(options, attribute, value):
    if value == 5:
        {}

@attrs.define
class Options:
    a: int = attrs.field(default=1, validator=check)
    b: int = 2

@hookimpl
def register_options():
    return Options
"""
REFUSALS = {
    "raises SystemExit(4)": ("raise SystemExit(4)", "it raised SystemExit: 4"),
    "raises CancelledError": ("raise asyncio.CancelledError", "it raised CancelledError"),
    "ends the process": ("os._exit(9)", "the process ended with 9"),
}


@pytest.mark.parametrize(("source", "reason"), REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("arguments", [("config", "plugins.letters.a", "plugins.letters.b"), ("plugins", "letters")])
def test_a_validator_that_ends_the_process_invalidates_only_its_value(scout_core, source, reason, arguments):
    check_refused(scout_core, source, reason, *arguments)


def test_a_validator_that_never_returns_invalidates_only_its_value(scout_core):
    reason = "it timed out after 1 s"
    check_refused(scout_core, "threading.Event().wait()", reason, "plugins", "letters", "--timeout", "1")


def check_refused(scout_core, source, reason, *arguments):
    scout_core.install("letters", VALIDATED.format(source))
    ran = scout_core(*arguments, SCOUT_LETTERS_A="5", SCOUT_LETTERS_B="7")

    problem = f"invalid value '5' for plugins.letters.a (environment SCOUT_LETTERS_A); {reason}; using the default, 1"
    assert problem in ran.out + ran.err
    assert "register_options:" not in ran.out + ran.err
    assert "plugins.letters.a = 1  (default)" in ran.out
    assert "plugins.letters.b = 7  (environment SCOUT_LETTERS_B)" in ran.out
