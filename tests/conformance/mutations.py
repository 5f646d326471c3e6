"""A good plugin with one fault: each mutation violates one rule, and the suite must report which and why."""

from __future__ import annotations

from typing import NamedTuple

PLUGIN, SUITE, METADATA, ENTRIES = "scout_shelf.py", "test_shelf.py", "METADATA", "entry_points.txt"
HEAD = "from scout_core import current_transaction, hookimpl, span\n"
FETCH = 'return span("Shelf/Fetch", title=title, books=shelf.size)'
LEND = '    with span("Shelf/Lend"):\n        return wrapped(*args, reader="Ada")\n'
LEND_ASYNC = '    with span("Shelf/Lend"):\n        return await wrapped(*args, reader="Ada")\n'
GROUP = 'return transaction.tags.get("reader")'
START = "@hookimpl\ndef on_start(agent):\n"
EXTENSION = "        self.shelf = shelf\n"


class Mutation(NamedTuple):
    """One fault."""

    name: str
    rule: str
    evidence: str
    """Part of the expected message."""
    old: str
    new: str
    file: str = PLUGIN


def lend(body: str) -> str:
    return "".join(f"    {line}\n" for line in body.splitlines())


MUTATIONS = [
    Mutation("library at the head", "import", "importing scout_shelf imports shelf", HEAD, f"{HEAD}import shelf\n"),
    Mutation(
        "library at start", "import", "starting the agent with scout_shelf imports shelf",
        '    wrap("shelf:Shelf.of", made)\n', '    import shelf\n    wrap("shelf:Shelf.of", made)\n',
    ),
    Mutation("another library", "import", "importing scout_shelf imports _pytest, ", HEAD, f"{HEAD}import pytest\n"),
    Mutation("not importable", "import", "cannot be imported: ZeroDivisionError", HEAD, f"{HEAD}1 / 0\n"),
    Mutation("exit", "import", "calls sys.exit(3) when it is imported", HEAD, f"{HEAD}import sys\nsys.exit(3)\n"),
    Mutation("crash", "import", "the process ended with 7", HEAD, f"{HEAD}import os\nos._exit(7)\n"),
    Mutation(
        "misspelt hook", "hooks", "there is no hook on_strat; did you mean on_start?",
        "def made(", "@hookimpl\ndef on_strat(agent):\n    pass\n\n\ndef made(",
    ),
    Mutation(
        "wrong argument", "hooks", "the hook on_start has no argument agnet; did you mean agent?",
        "def made(", "@hookimpl\ndef on_start(agnet):\n    pass\n\n\ndef made(",
    ),
    Mutation(
        "start raises", "hooks", "starting the agent with it raises KeyError",
        "def made(", "@hookimpl\ndef on_start(agent):\n    {}['shelf']\n\n\ndef made(",
    ),
    Mutation(
        "misspelt method", "targets", "shelf:Branch.fetsch does not exist; did you mean shelf:Branch.fetch?",
        '"shelf:Branch.fetch"', '"shelf:Branch.fetsch"',
    ),
    Mutation(
        "misspelt class", "targets", "shelf:Brannch.fetch does not exist; did you mean shelf:Branch?",
        '"shelf:Branch.fetch"', '"shelf:Brannch.fetch"',
    ),
    Mutation(
        "a method of another version", "targets", "shelf:Branch.burn does not exist; use optional=True if only some",
        '"shelf:Branch.fetch"', '"shelf:Branch.burn"',
    ),
    Mutation(
        "misspelt and optional", "targets", "shelf:Branch.fetsch does not exist; did you mean shelf:Branch.fetch?",
        '"shelf:Branch.fetch", fetch', '"shelf:Branch.fetsch", fetch, optional=True',
    ),
    Mutation(
        "misspelt module", "targets", "did you mean concurrent.futures.thread?",
        '"shelf:Branch.fetch"', '"concurrent.futures.threads:ThreadPoolExecutor.submit"',
    ),
    Mutation(
        "no such library", "targets", "bookcase:Case.fetch does not exist (ModuleNotFoundError",
        '"shelf:Branch.fetch"', '"bookcase:Case.fetch"',
    ),
    Mutation(
        "patch by hand", "undo", "shelf:Shelf._find is a function made in shelf, not the original function",
        "def made(",
        "@hookimpl\ndef on_start(agent):\n    import sys, types\n\n    if 'shelf' in sys.modules:\n        shelf = sys.modules['shelf'].Shelf\n"
        "        shelf._find = types.FunctionType(shelf._find.__code__, shelf._find.__globals__)\n\n\ndef made(",
    ),
    Mutation(
        "patch in a call", "undo", "undo: fetches: shelf:Branch.lend_more ",
        FETCH, f"type(shelf).lend_more = lambda self: None\n    {FETCH}",
    ),
    Mutation(
        "another module", "undo", "json:dumps is a function made in scout_shelf, not the original function",
        '    wrap("shelf:Shelf.of", made)\n', '    import json\n\n    json.dumps = lambda value, **options: str(value)\n    wrap("shelf:Shelf.of", made)\n',
    ),
    Mutation(
        "another class", "undo", "http.cookies:Morsel.OutputString is a function made in scout_shelf",
        "def made(", "@hookimpl\ndef on_start(agent):\n    from http.cookies import Morsel\n\n    Morsel.OutputString = lambda self: None\n\n\ndef made(",
    ),
    Mutation(
        "patch at import", "undo", "json:JSONEncoder is a type, not the original type",
        HEAD, f"{HEAD}import json\n\njson.JSONEncoder = type('Encoder', (json.JSONEncoder,), {{}})\n",
    ),
    Mutation(
        "an environment variable", "process", "starting the agent with scout_shelf changes the environment variable SHELF_READER",
        "def made(", f"{START}    import os\n\n    os.environ['SHELF_READER'] = 'Ada'\n\n\ndef made(",
    ),
    Mutation(
        "a variable less", "process", "importing scout_shelf changes the environment variable PATH",
        HEAD, f"{HEAD}import os\n\ndel os.environ['PATH']\n",
    ),
    Mutation(
        "a signal handler", "process", "starting the agent with scout_shelf changes the handler of SIGTERM",
        "def made(", f"{START}    import signal\n\n    signal.signal(signal.SIGTERM, lambda *args: None)\n\n\ndef made(",
    ),
    Mutation(
        "a thread", "process", "starting the agent with scout_shelf starts the thread lending",
        "def made(", f"{START}    import threading\n\n    threading.Thread(target=print, name='lending').start()\n\n\ndef made(",
    ),
    Mutation(
        "a thread that stays", "process", "starting the agent with scout_shelf starts the thread lending",
        "def made(",
        f"{START}    import threading\n\n    threading.Thread(target=threading.Event().wait, name='lending', daemon=True).start()\n\n\n"
        "@hookimpl\ndef on_stop(agent):\n    pass\n\n\ndef made(",
    ),
    Mutation(
        "a thread with the library", "process", "starts a thread for print",
        "def made(", f"{START}    import sys, _thread\n\n    if 'shelf' in sys.modules:\n        _thread.start_new_thread(print, ())\n\n\ndef made(",
    ),
    Mutation(
        "a re-export", "targets", "name the module that defines it: shelf:Shelf.fetch",
        'wrap("shelf:Shelf.fetch", fetch)', 'wrap("shelf.public:Shelf.fetch", fetch)',
    ),
    Mutation(
        "a re-exported class method", "targets", "shelf.public:Shelf.of is a re-export, which other code may have replaced before the agent starts",
        'wrap("shelf:Shelf.of", made)', 'wrap("shelf.public:Shelf.of", made)',
    ),
    Mutation("pin", "metadata", "it pins the core: scout-core==0.1", "<0.2,>=0.1", "==0.1", METADATA),
    Mutation("no upper bound", "metadata", "it has no range of the core: scout-core>=0.1", "<0.2,>=0.1", ">=0.1", METADATA),
    Mutation("no core", "metadata", "no range of the core: no requirement", "Requires-Dist: scout-core<0.2,>=0.1\n", "", METADATA),
    Mutation(
        "no extra", "metadata", "the extra instruments does not name shelf",
        'Requires-Dist: shelf<4,>=3; extra == "instruments"\n', "", METADATA,
    ),
    Mutation("no lower bound", "metadata", "has no lower bound: shelf", "shelf<4,>=3", "shelf<4", METADATA),
    Mutation(
        "plain dependency", "metadata", "shelf is a dependency",
        "Requires-Dist: attrs>=23\n", "Requires-Dist: shelf>=3\n", METADATA,
    ),
    Mutation("no entry point", "metadata", "no installed distribution has an entry point", "scout_shelf", "scout_other", ENTRIES),
    Mutation("a call too few", "calls", "no call reaches tidied for a function", "    tidies,\n", "", SUITE),
    Mutation("no async call", "calls", "no call reaches fetch for an async function", "    fetches_async,\n", "", SUITE),
    Mutation("a call that does not raise", "calls", "misses_to_lend: it raised nothing", 'hostile("ulysses")', 'hostile("emma")', SUITE),
    Mutation("no hostile object", "calls", "no call passes a hostile() object", "import Call, conformance, hostile", "import Call, conformance\n\nhostile = str", SUITE),
    Mutation(
        "a text as an error", "spans", "fetches: it gives a value of a wrong type as an operation, as tags or to record_error",
        FETCH, f"from scout_core import record_error\n\n    record_error('out of print')\n    {FETCH}",
    ),
    Mutation("no span", "spans", "fetches: nothing was recorded", FETCH, "return None"),
    Mutation(
        "another exception", "exceptions", "misses_to_lend: shelf:Shelf.lend raised MissingError('ulysses'), and the caller got a different object, LookupError('ulysses')",
        LEND, lend("try:\n    with span('Shelf/Lend'):\n        return wrapped(*args)\nexcept Exception as error:\n    raise LookupError(*error.args)"),
    ),
    Mutation(
        "no exception", "exceptions", "and the caller got none",
        LEND, lend("with span('Shelf/Lend'):\n    try:\n        return wrapped(*args)\n    except Exception:\n        return None"),
    ),
    Mutation(
        "a new cause", "exceptions", "its __cause__ became None",
        LEND, lend("with span('Shelf/Lend'):\n    try:\n        return wrapped(*args)\n    except Exception as error:\n        raise error from None"),
    ),
    Mutation(
        "a new context", "exceptions", "its __context__ became ValueError()",
        LEND, lend("try:\n    with span('Shelf/Lend'):\n        return wrapped(*args)\nexcept Exception as error:\n    error.__context__ = ValueError()\n    raise"),
    ),
    Mutation(
        "a note", "exceptions", "something was added to it: reader",
        LEND_ASYNC, lend("with span('Shelf/Lend'):\n    try:\n        return await wrapped(*args)\n    except Exception as error:\n        error.reader = 'Ada'\n        raise"),
    ),
    Mutation(
        "no traceback", "exceptions", "frames are missing from its traceback",
        LEND, lend("with span('Shelf/Lend'):\n    try:\n        return wrapped(*args)\n    except Exception as error:\n        raise error.with_traceback(None)"),
    ),
    Mutation(
        "called twice", "results", "a call of shelf:Shelf.lend reached the library 2 times",
        LEND, lend("with span('Shelf/Lend'):\n    wrapped(*args)\n    return wrapped(*args)"),
    ),
    Mutation(
        "a copy", "results", "shelf:Shelf.lend returned one object, and the caller got another",
        LEND, LEND.replace('wrapped(*args, reader="Ada")', "list(wrapped(*args))"),
    ),
    Mutation(
        "an attribute", "results", "its part of shelf:Shelf.fetch changes reader of a Branch",
        FETCH, f"shelf.reader = 'Ada'\n    {FETCH}",
    ),
    Mutation(
        "an item", "results", "its part of shelf:Shelf.fetch changes the items of books of a Branch",
        FETCH, f"shelf.books.setdefault('scout', [])\n    {FETCH}",
    ),
    Mutation(
        "a method of an object", "results", "fetches: its part of shelf:Shelf.fetch changes count of a Branch",
        FETCH, f"shelf.count = len\n    {FETCH}",
    ),
    Mutation(
        "a method that is called", "results", "its part of shelf:Shelf.fetch calls count of a Branch",
        FETCH, f"shelf.count()\n    {FETCH}",
    ),
    Mutation(
        "a target that is called", "results", "the plugin itself calls shelf:Shelf.tidy",
        FETCH, f"shelf.tidy('emma')\n    {FETCH}",
    ),
    Mutation(
        "root for a span", "outside", "fetches: it created 1 span outside a transaction, where nothing is recorded; the first is Shelf/Fetch",
        'wrap("shelf:Shelf.fetch", fetch)', 'wrap("shelf:Shelf.fetch", fetch, root=True)',
    ),
    Mutation(
        "a span by hand", "outside", "lends: it created 1 span outside a transaction, where nothing is recorded; the first is Shelf/Lend",
        f'    if current_transaction() is None:\n        return wrapped(*args, reader="Ada")\n{LEND}', LEND,
    ),
    Mutation(
        "listeners that stay", "twice", "after a restart of the agent it recorded",
        "def made(",
        "@hookimpl\ndef on_start(agent):\n    import sys\n\n    if 'shelf' in sys.modules:\n"
        "        sys.modules['shelf'].GREETERS.append(greet)\n\n\n"
        "def greet(title):\n    if current_transaction() is not None:\n        with span('Shelf/Greet'):\n            pass\n\n\ndef made(",
    ),
    Mutation(
        "extension and plugin", "twice", "fetches: started and attached again, it recorded",
        EXTENSION,
        f"{EXTENSION}        fetch = shelf.fetch\n\n        def fetched(title):\n            with span('Shelf/Fetch'):\n                return fetch(title)\n\n        shelf.fetch = fetched\n",
    ),
    Mutation(
        "not awaited", "async", "lends_async: the span of shelf:Shelf.lend_async ended before the call did",
        'lend_async", lend_async)', 'lend_async", lend)',
    ),
    Mutation(
        "begun and never ended", "ends", "lends: Shelf/Open began and did not end",
        LEND, LEND.replace("        return", '        span("Shelf/Open").begin()\n        return'),
    ),
    Mutation(
        "one at a time", "async", "two concurrent calls were recorded as Shelf/Lend in Job/conformance, not",
        LEND_ASYNC,
        lend(
            "busy = globals().setdefault('BUSY', [])\nif busy:\n    return await wrapped(*args)\nbusy.append(1)\n"
            "try:\n    with span('Shelf/Lend'):\n        return await wrapped(*args)\nfinally:\n    busy.clear()"
        ),
    ),
    Mutation(
        "one process only", "fork", "fetches: a forked child recorded Job/conformance instead of Shelf/Fetch, Job/conformance",
        "def fetch(shelf, title):\n", "import os\n\nPID = os.getpid()\n\n\ndef fetch(shelf, title):\n    if os.getpid() != PID:\n        return None\n",
    ),
    Mutation(
        "a child that dies", "fork", "in a forked child, or ended the child",
        "def fetch(shelf, title):\n", "import os\n\nPID = os.getpid()\n\n\ndef fetch(shelf, title):\n    if os.getpid() != PID:\n        os._exit(1)\n",
    ),
    Mutation(
        "the whole stack", "overhead", "fetches: its part of shelf:Shelf.fetch takes",
        FETCH, f"import inspect\n\n    inspect.stack()\n    {FETCH}",
    ),
    Mutation("a loop", "overhead", "steps, more than the 180 allowed", FETCH, f"for _ in range(500):\n        pass\n    {FETCH}"),
    Mutation(
        "a pause", "overhead", "fetches: its part of shelf:Shelf.fetch waits for ",
        FETCH, f"import time\n\n    time.sleep(0.0008)\n    {FETCH}",
    ),
    Mutation(
        "a short pause", "overhead", "ms in the fastest of 240 calls; do not block in a describer",
        FETCH, f"import time\n\n    time.sleep(0.00005)\n    {FETCH}",
    ),
    Mutation(
        "a long function", "overhead", "the budget of a hook is 0.2 ms",
        FETCH, f"sum(range(200_000))\n    {FETCH}",
    ),
    Mutation(
        "a signed call", "headers", "orders: no call of shelf:Shelf.order sent traceparent",
        "shelf.example/orders", "shelf.example/orders?X-Amz-Signature=1",
    ),
    Mutation(
        "a group without a tag", "groups", "trace_group fails for a web request: KeyError",
        GROUP, 'return transaction.tags["reader"] if transaction.is_web else None',
    ),
    Mutation(
        "a group that is not a text", "groups", "a trace group must be a str or None, got int",
        GROUP, "return 7 if transaction.is_web else None",
    ),
    Mutation(
        "a group of what fails", "groups", "trace_group fails for a request that fails: AttributeError",
        GROUP, "return transaction.error.__wrong__ if transaction.is_error else None",
    ),
    Mutation(
        "a group for each path", "groups", "40 requests of one endpoint, which differ in ids, times, addresses and paths, are in 40 groups",
        GROUP, "return transaction.path",
    ),
    Mutation(
        "a group for each trace", "groups", "are in 40 groups; choose by something that repeats",
        GROUP, "return transaction.trace_id",
    ),
    Mutation(
        "a score that is not a number", "answers", "score_transaction fails for a web request: ValueError",
        "def made(", "@hookimpl\ndef score_transaction(transaction):\n    return 'high' if transaction.is_web else None\n\n\ndef made(",
    ),
    Mutation(
        "gauges that are not numbers", "gauges", "measure_process fails for a web request: ValueError",
        "def made(",
        "@hookimpl\ndef measure_process():\n    import sys\n\n    return None if 'pytest' in sys.modules else {'shelves': 'many'}\n\n\ndef made(",
    ),
    Mutation("a text", "hostile", "fetches: it evaluates __format__ of a str", FETCH, FETCH.replace("title=title", "title=f'{title}'")),
    Mutation("a truth", "hostile", "it evaluates __len__ of a str", FETCH, f"title and None\n    {FETCH}"),
    Mutation("an equality", "hostile", "it evaluates __eq__ of a str", FETCH, f"title == 'emma'\n    {FETCH}"),
    Mutation("a key", "hostile", "it evaluates __hash__ of a str", FETCH, f"{{}}.get(title)\n    {FETCH}"),
]  # fmt: skip
