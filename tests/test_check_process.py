"""The rule ``process`` of ``plugins check``: whatever a plugin changes in its process at import is reported."""

from __future__ import annotations

import sys
import textwrap

import pytest

from scout_core.testing import static_problems

GOOD = """
from scout_core import hookimpl

@hookimpl
def score_transaction(transaction):
    return 1.0
"""


@pytest.fixture
def check(tmp_path):
    def problems_of(before, after=""):
        source = textwrap.dedent(before) + GOOD + textwrap.dedent(after)
        (tmp_path / "letters.py").write_text(source, encoding="utf-8")
        return static_problems("letters", packaged=False, path=[str(tmp_path), *sys.path], timeout=60)

    return problems_of


CHANGES = {
    "imports": """
        import sys, types
        sys.path.insert(0, '/nowhere')                            # changes sys.path
        sys.meta_path.append(type('Finder', (), {'find_spec': lambda *args: None})())  # changes sys.meta_path
        sys.path_hooks.append(lambda path: 1 / 0)                 # changes sys.path_hooks
        sys.modules['json'] = types.ModuleType('json')            # changes json in sys.modules
        sys.modules['colorsys'] = types.ModuleType('colorsys')    # changes colorsys in sys.modules
        del sys.modules['string']                                 # changes string in sys.modules
        sys.dont_write_bytecode = not sys.dont_write_bytecode     # changes sys.dont_write_bytecode
        import builtins
        builtins.letters = 1                                      # changes the builtin letters
        builtins.input = lambda *args: ''                         # changes the builtin input
    """,
    "interpreter": """
        import gc, socket, sys, threading
        sys.setrecursionlimit(5000)                               # changes the recursion limit
        sys.setswitchinterval(0.1)                                # changes the switch interval
        socket.setdefaulttimeout(3)                               # changes the default timeout of sockets
        threading.stack_size(1 << 20)                             # changes the stack size of threads
        gc.callbacks.append(lambda *args: None)                   # changes gc.callbacks
        gc.disable()                                              # changes whether the garbage collector is enabled
        gc.set_threshold(5000)                                    # changes the thresholds of the garbage collector
        sys.excepthook = lambda *args: None                       # changes sys.excepthook
        sys.displayhook = print                                   # changes sys.displayhook
        sys.unraisablehook = lambda args: None                    # changes sys.unraisablehook
        sys.breakpointhook = lambda *args: None                   # changes sys.breakpointhook
        threading.excepthook = lambda args: None                  # changes threading.excepthook
        sys.settrace(lambda *args: None)                          # changes the trace function
        threading.setprofile(lambda *args: None)                  # changes the profile function
        sys.set_asyncgen_hooks(firstiter=lambda generator: None)  # changes the asyncgen hooks
    """,
    "library": """
        import asyncio, copyreg, csv, decimal, faulthandler, locale, mimetypes, multiprocessing, random, tempfile, warnings
        import urllib.request
        warnings.simplefilter('error')                            # changes the warning filters
        warnings.showwarning = lambda *args: None                 # changes warnings.showwarning
        random.seed(0)                                            # changes the random seed
        decimal.getcontext().prec = 5                             # changes the decimal context
        faulthandler.enable()                                     # changes whether faulthandler is enabled
        tempfile.tempdir = '/var'                                 # changes tempfile.tempdir
        mimetypes.add_type('text/letter', '.letter')              # changes the types of mimetypes
        csv.register_dialect('letters', delimiter=';')            # changes the dialects of csv
        copyreg.pickle(type('Letter', (), {}), lambda letter: '') # changes copyreg.dispatch_table
        multiprocessing.set_start_method('spawn')                 # changes the start method of multiprocessing
        urllib.request.install_opener(urllib.request.build_opener())  # changes the opener of urllib.request
        asyncio.set_event_loop_policy(type('Policy', (asyncio.DefaultEventLoopPolicy,), {})())  # changes the event loop policy of asyncio
    """,
    "logging": """
        import logging
        logging.basicConfig(level=logging.DEBUG)                  # changes the logger root
        logging.getLogger('urllib3').setLevel(logging.ERROR)      # changes the logger urllib3
        logging.getLogger('flask').disabled = True                # changes the logger flask
        logging.getLogger('asyncio').propagate = False            # changes the logger asyncio
        logging.getLogger('django').addFilter(lambda record: 0)   # changes the logger django
        logging.getLogger('shop').addHandler(logging.StreamHandler())  # changes the logger shop
        logging.disable(logging.INFO)                             # changes logging.disable
        logging.raiseExceptions = False                           # changes logging.raiseExceptions
        logging.addLevelName(5, 'LETTER')                         # changes the level names of logging
        logging.setLogRecordFactory(lambda *args: None)           # changes logging.logRecordFactory
        logging.setLoggerClass(type('Logger', (logging.Logger,), {}))  # changes logging.loggerClass
    """,
    "process": """
        import os, resource, signal, sys, time
        os.chdir('/')                                             # changes the working directory
        os.umask(0o27)                                            # changes the umask
        os.environ['LETTERS'] = '1'                               # changes the environment variable LETTERS
        os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()             # changes the time zone
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)             # changes the handler of SIGUSR1
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])# changes the mask of signals
        signal.setitimer(signal.ITIMER_REAL, 1000)                # changes the interval timers
        soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))  # changes the limit RLIMIT_NOFILE
        os.nice(1)                                                # changes the priority
        sys.argv.append('--letters')                              # changes the command line (sys.argv)
    """,
    "streams": """
        import os, socket, sys
        sys.stdout = open(os.devnull, 'w')                        # changes sys.stdout
        sys.stdin = None                                          # changes sys.stdin
        sys.stderr.reconfigure(errors='strict')                   # changes sys.stderr
        os.dup2(sys.stdout.fileno(), 1)                           # changes the file that is standard output
        connection = socket.socket()                              # changes the open file, pipe or socket
    """,
    "starts": """
        import codecs, os, subprocess, sys
        subprocess.run(['/bin/true'])                             # starts the process /bin/true
        os.system('exit 0')                                       # starts the process exit 0
        child = os.fork()                                         # forks the process
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        os.register_at_fork(before=lambda: None)                  # registers something with os.register_at_fork
        codecs.register(lambda name: None)                        # registers something with codecs.register
        codecs.register_error('letters', codecs.strict_errors)    # registers something with codecs.register_error
        sys.addaudithook(lambda *args: None)                      # registers something with sys.addaudithook
    """,
}


@pytest.mark.parametrize("source", CHANGES.values(), ids=CHANGES)
def test_each_change_is_reported_once_with_advice(check, source):
    expected = [line.partition("# ")[2] for line in source.splitlines() if "# " in line]
    problems = check(source)

    found = [problem.evidence.removeprefix("importing letters ") for problem in problems if problem.rule == "process"]
    assert [] == [clause for clause in expected if not any(text.startswith(clause) for text in found)]
    assert len(set(found)) == len(found)
    assert [] == [problem for problem in problems if problem.rule != "process" or not problem.advice]


def test_imports_of_the_standard_library_change_nothing(check):
    """Modules that register functions with ``os.register_at_fork`` and ``atexit``, make loggers, or compute tables."""
    names = "asyncio, concurrent.futures, ctypes, curses.ascii, email.mime.text, http.client, http.server, importlib.metadata, json, logging.config, multiprocessing.pool, pickle, platform, queue, sched, secrets, sqlite3, ssl, tempfile, unittest.mock, urllib.request, uuid, wsgiref.util, xml.dom.minidom, xml.etree.ElementTree, xml.sax, zipfile, zoneinfo"
    source = f"import {names}\nimport logging\nlogging.getLogger('letters').addHandler(logging.NullHandler())\n"
    work = "import xml.parsers.expat.errors, mimetypes\nmimetypes.guess_type('a.html')\ntempfile.gettempdir()\nrandom = tempfile._get_candidate_names()\n"

    assert [] == [problem for problem in check(source + work) if " takes " not in problem.evidence]  # on a busy machine


@pytest.mark.parametrize(
    "source",
    [
        "import sys\nsys.meta_path.clear()",
        "import sys\nsys.meta_path.insert(0, type('Finder', (), {'find_spec': lambda *args: 1 / 0})())",
        "import sys\nsys.path.clear()\nsys.path_importer_cache.clear()",
        "import sys\nsys.path_hooks.clear()\nsys.path_importer_cache.clear()",
        "import builtins\ndef no_import(*args, **kwargs): raise KeyError('boo')\nbuiltins.__import__ = no_import",
        "import sys\nsys.setrecursionlimit(80)",
        "import sys\nfor name in [*sys.modules]:\n    name.startswith(('json', 'email', 'string')) and sys.modules.pop(name)",
        "import os, sys\nsys.stdout.close()\nsys.stderr.close()\nos.close(1)\nos.close(2)",
    ],
)  # fmt: skip
def test_the_other_rules_are_checked_though_the_plugin_breaks_what_they_need(check, source):
    problems = check("", source)

    assert {"process"} == {problem.rule for problem in problems}
    assert not any(problem.ends_process for problem in problems)


def test_a_long_import_is_reported(check):
    (problem,) = check("import threading\nthreading.Event().wait(3.5)\n")

    assert "process" == problem.rule
    assert problem.evidence.startswith("importing letters takes ")


def test_a_function_that_waits_at_the_end_of_the_process_is_reported(check):
    source = """
    import atexit, threading
    @atexit.register
    def sends():
        threading.Event().wait()
    atexit.register(print, "fast")
    """
    (problem,) = check(source)

    assert ("process", "letters registers sends with atexit, which takes more than 2 s") == (
        problem.rule,
        problem.evidence,
    )


def test_a_fork_that_comes_back_answers_only_once(check):
    """Both copies continue the check."""
    (problem,) = check("import os\nos.fork()\n")

    assert ("process", "importing letters forks the process") == (problem.rule, problem.evidence)


def test_a_forked_copy_that_never_ends_holds_nothing_up(check):
    (problem,) = check("import os, signal\nif os.fork() == 0:\n    signal.pause()\n")

    assert ("process", "importing letters forks the process") == (problem.rule, problem.evidence)
