"""``scout-core plugins check``: what it accepts as a plugin, and how it reports problems."""

from __future__ import annotations

import os
import signal
import textwrap

import pytest

from scout_core.testing import STATIC_RULES
from tests.commandline import Commandline

GOOD = """
from scout_core import hookimpl

@hookimpl
def score_transaction(transaction):
    return 1.0
"""
PROJECT = """
[project]
name = "scout-letters"
version = "1.0"
dependencies = ["scout-core>=0.1,<1"]

[project.entry-points.scout_core]
letters = "scout_letters"
"""


@pytest.fixture
def scout_core(tmp_path):
    return Commandline(tmp_path)


def states(ran):
    """Return the state of each rule."""
    return {rule["rule"]: rule["state"] for rule in ran.json["rules"]}


def test_a_valid_module_passes_every_rule(scout_core):
    file = scout_core.write_module("letters", GOOD)
    ran = scout_core("plugins", "check", "letters.py")

    head, *rules = ran.out.splitlines()
    assert (0, "letters (letters.py)", "") == (ran.code, head, ran.err)
    assert list(STATIC_RULES) == [line.split()[1] for line in rules]
    assert [*["ok"] * (len(STATIC_RULES) - 1), "skipped"] == [line.split()[0] for line in rules]
    assert ran.out.replace("letters.py", str(file)) == scout_core("plugins", "check", str(file)).out


def test_a_broken_rule_is_reported_with_advice(scout_core):
    scout_core.write_module("letters", GOOD.replace("score_transaction", "score_transactions"))
    ran = scout_core("plugins", "check", "letters.py")
    as_json = scout_core("plugins", "check", "letters.py", "--json")

    (problem,) = [problem for problem in as_json.json["problems"] if problem["rule"] == "hooks"]
    assert (1, "", 1, "problem") == (ran.code, ran.err, as_json.code, states(as_json)["hooks"])
    assert "score_transaction" in problem["evidence"]
    assert [problem["evidence"], f"→ {problem['advice']}"] == [
        line.strip() for line in ran.out.splitlines() if line.startswith(" " * 19)
    ][:2]


@pytest.mark.parametrize(
    "source",
    [
        "raise KeyError('x')",
        "import sys\nsys.exit(0)",
        "import os\nos._exit(0)",
        "def",
        "import ctypes\nctypes.string_at(0)",
    ],
)
def test_a_plugin_that_ends_its_process_is_reported_and_later_rules_are_shown_as_not_reached(scout_core, source):
    scout_core.write_module("letters", source)
    ran = scout_core("plugins", "check", "letters.py", "--json")
    shown = scout_core("plugins", "check", "letters.py")

    (problem,) = ran.json["problems"]
    assert (1, "", "import") == (ran.code, ran.err, problem["rule"])
    assert ["problem", *["not reached"] * (len(STATIC_RULES) - 2), "skipped"] == list(states(ran).values())
    assert (
        "\nnot reached hooks     every hook that it implements exists and accepts its arguments, and the types of its options are supported\n"
        in shown.out
    )
    assert "\nok " not in shown.out


INSTRUMENTATION = """
from scout_core import hookimpl

@hookimpl
def instrument(wrap):
    wrap("a_library:send", send)

def send(*args, **kwargs):
    return None
"""


def test_rules_after_the_import_of_a_library_that_ends_the_process_are_not_reached(scout_core):
    scout_core.write_module("a_library", "import os\nos._exit(3)\n")
    scout_core.write_module("letters", INSTRUMENTATION)
    ran = scout_core("plugins", "check", "letters.py", "--json")

    (stopped,) = [rule for rule, state in states(ran).items() if state == "problem"]
    after = [states(ran)[rule] for rule in STATIC_RULES[STATIC_RULES.index(stopped) + 1 :]]
    assert (1, "targets", {"not reached", "skipped"}) == (ran.code, stopped, set(after))


def test_a_missing_target_does_not_stop_the_other_rules(scout_core):
    scout_core.write_module("letters", INSTRUMENTATION.replace("a_library:send", "colorsys:rgb_to_yiqq"))
    ran = scout_core("plugins", "check", "letters.py", "--json")

    expected = dict.fromkeys(STATIC_RULES, "ok") | {"targets": "problem", "metadata": "skipped"}
    assert (1, expected) == (ran.code, states(ran))


def test_a_missing_target_in_an_imported_module_breaks_only_that_rule(scout_core):
    scout_core.write_module("letters", INSTRUMENTATION.replace("a_library:send", "json:nosuch"))
    ran = scout_core("plugins", "check", "letters.py", "--json")

    expected = dict.fromkeys(STATIC_RULES, "ok") | {"targets": "problem", "metadata": "skipped"}
    assert (1, expected) == (ran.code, states(ran))


EVERYTHING = """
from attrs import frozen
from scout_core import hookimpl

class Sends:
    name = "sends"
    async def export(self, report):
        pass

class Yields:
    name = "yields"
    def export(self, report):
        yield

@frozen
class Options:
    level: complex = 1j

@hookimpl
def register_options():
    return Options

@hookimpl
def register_exporters():
    return [Sends(), Yields()]

@hookimpl
def on_strat(agent):
    pass

@hookimpl
async def on_stop(agent):
    pass

@hookimpl
def score_transaction(transaction, stats=None):
    return 1.0

@hookimpl
def instrument(wrap):
    wrap("json.dumps", work)
    wrap("json:loads", 3)
    wrap("json:nosuch", work)
    wrap("json:dump", work)
    wrap("json:dump", work)
    wrap("colorsys:rgb_to_yiqq", work)
    raise KeyError("plan")

def work(*args, **kwargs):
    return None
"""


def test_everything_that_is_wrong_is_shown_at_once(scout_core):
    scout_core.write_module("letters", EVERYTHING)
    ran = scout_core("plugins", "check", "letters.py", "--json")

    evidence = [problem["evidence"] for problem in ran.json["problems"]]
    for part in (
        "there is no hook on_strat; did you mean on_start?", "on_stop must not be an async function",
        "score_transaction has a default for stats", "invalid target 'json.dumps'", "describer for json:loads must be callable, got 3",
        "starting the agent with it raises KeyError: 'plan'", "the option level has a type that is not supported", "json:nosuch does not exist",
        "json:dump has 2 describers", "colorsys:rgb_to_yiqq does not exist",
    ):  # fmt: skip
        assert 1 == sum(part in text for text in evidence), (part, evidence)
    expected = dict.fromkeys(STATIC_RULES, "not reached") | {
        "import": "ok", "hooks": "problem", "targets": "problem", "metadata": "skipped"
    }  # fmt: skip
    assert (1, expected) == (ran.code, states(ran))


def test_every_exporter_that_cannot_work_is_named(scout_core):
    scout_core.write_module(
        "letters",
        EVERYTHING.replace("@hookimpl\ndef on_strat", "def on_strat")
        .replace("@hookimpl\nasync", "async")
        .partition("@hookimpl\ndef instrument")[0],
    )
    ran = scout_core("plugins", "check", "letters.py")

    assert "exporter 'sends': export must not be async" in ran.out
    assert "exporter 'yields': export must not be a generator function" in ran.out


GROUPS = """
@hookimpl
def trace_group(transaction):
    return transaction.trace_id
"""


@pytest.mark.parametrize("target", ["colorsys:rgb_to_yiqq", "json:nosuch", "no_such_library:work"])
def test_hooks_of_a_plugin_whose_targets_are_missing_are_checked(scout_core, target):
    scout_core.write_module("letters", INSTRUMENTATION.replace("a_library:send", target) + GROUPS)
    ran = scout_core("plugins", "check", "letters.py", "--json")

    expected = dict.fromkeys(STATIC_RULES, "ok") | {"targets": "problem", "groups": "problem", "metadata": "skipped"}
    assert (1, expected) == (ran.code, states(ran))
    assert [1, 1] == [
        sum(part in problem["evidence"] for problem in ran.json["problems"]) for part in (target, "40 groups")
    ]


def test_an_attribute_is_reported_although_targets_are_missing(scout_core):
    start = "\n@hookimpl\ndef on_start(agent):\n    import colorsys\n    colorsys.hls_to_rgb = lambda: None\n"
    scout_core.write_module("letters", INSTRUMENTATION.replace("a_library:send", "colorsys:rgb_to_yiqq") + start)
    ran = scout_core("plugins", "check", "letters.py", "--json")

    assert ("problem", "problem") == (states(ran)["targets"], states(ran)["undo"])


def test_an_invalid_describer_is_reported_under_the_name_of_the_plugin(scout_core):
    scout_core.write_module("letters", GOOD + '\n@hookimpl\ndef instrument(wrap):\n    wrap("json:loads", 3)\n')
    ran = scout_core("plugins", "check", "letters.py", "--json")

    (problem,) = ran.json["problems"]
    assert "letters: plugin 'letters': describer for json:loads must be callable, got 3" == problem["evidence"]


def test_a_thread_that_a_plugin_leaves_running_is_reported_and_not_waited_for(scout_core):
    """The thread never ends."""
    scout_core.write_module(
        "letters", f"import threading\nthreading.Thread(target=threading.Event().wait).start()\n{GOOD}"
    )
    ran = scout_core("plugins", "check", "letters.py", "--json", "--timeout", "1000")

    (problem,) = ran.json["problems"]
    assert (1, "process", "ok") == (ran.code, problem["rule"], states(ran)["undo"])
    assert problem["evidence"].startswith("importing letters starts the thread ")


def test_an_attribute_that_a_plugin_replaces_itself_is_reported(scout_core):
    source = (
        "import json\n" + GOOD + "\n@hookimpl\ndef instrument(wrap):\n    json.dumps = lambda *args, **kwargs: ''\n"
    )
    scout_core.write_module("letters", source)
    ran = scout_core("plugins", "check", "letters.py", "--json")

    (problem,) = ran.json["problems"]
    assert (1, "undo") == (ran.code, problem["rule"])
    assert problem["evidence"].startswith("json:dumps is ")


def test_a_plugin_that_hangs_is_reported_and_killed(scout_core):
    mark = scout_core.here / "pid"
    scout_core.write_module(
        "letters", f"import os, time\nopen({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(1000)"
    )
    ran = scout_core("plugins", "check", "letters.py", "--json", "--timeout", "3")

    assert (1, "") == (ran.code, ran.err)
    assert ran.json["problems"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), signal.SIGKILL)


@pytest.mark.parametrize("layout", ["src/scout_letters/__init__.py", "scout_letters.py"])
def test_a_package_need_not_be_installed(scout_core, layout):
    project = scout_core.write("scout-letters/pyproject.toml", PROJECT).parent
    (project / layout).parent.mkdir(parents=True, exist_ok=True)
    (project / layout).write_text(GOOD)
    ran = scout_core("plugins", "check", "scout-letters", "--json")

    assert (0, "", []) == (ran.code, ran.err, ran.json["problems"])
    assert ("scout_letters", dict.fromkeys(STATIC_RULES, "ok")) == (ran.json["module"], states(ran))


def test_the_metadata_of_a_package_is_checked(scout_core):
    text = PROJECT.replace("scout-core>=0.1,<1", "scout-core==0.1.0")
    project = scout_core.write("scout-letters/pyproject.toml", text).parent
    (project / "scout_letters.py").write_text(GOOD)
    ran = scout_core("plugins", "check", "scout-letters", "--json")

    assert (1, "problem") == (ran.code, states(ran)["metadata"])


def test_the_libraries_of_a_package_are_read_from_its_project_file(scout_core):
    instruments = (
        '\n[project.optional-dependencies]\ninstruments = ["pluggy>=1", "tomli>=2; python_version < \'3.11\'"]\n'
    )
    text = PROJECT.replace("[project.entry-points", instruments + "\n[project.entry-points")
    project = scout_core.write("scout-letters/pyproject.toml", text).parent
    (project / "scout_letters.py").write_text(
        textwrap.dedent(
            """
            from scout_core import hookimpl

            @hookimpl
            def instrument(wrap):
                wrap("pluggy._manager:PluginManager.register", lambda *args, **options: None)
            """
        )
    )
    ran = scout_core("plugins", "check", "scout-letters", "--json")

    assert (0, []) == (ran.code, ran.json["problems"])


def test_an_installed_plugin_is_checked_by_its_name(scout_core):
    scout_core.install("letters", GOOD, requires=("scout-core<1,>=0.1",))
    ran = scout_core("plugins", "check", "letters", "--json")

    assert (0, [], "acme_letters", "acme-letters 1.0") == (
        ran.code,
        ran.json["problems"],
        ran.json["module"],
        ran.json["where"],
    )
    assert "ok" == states(ran)["metadata"]


def test_a_folder_may_be_a_package(scout_core):
    scout_core.write("letters/__init__.py", GOOD)
    ran = scout_core("plugins", "check", "letters", "--json")

    assert (0, "letters", "skipped") == (ran.code, ran.json["module"], states(ran)["metadata"])


def test_the_settings_of_the_caller_are_ignored(scout_core):
    scout_core.write_module("letters", GOOD)
    ran = scout_core("plugins", "check", "letters.py", SCOUT_MONITOR="false", SCOUT_PLUGINS_DISABLE="*")

    assert (0, "") == (ran.code, ran.err)


@pytest.mark.parametrize(
    "path, hint",
    [
        ("nowhere.py", "Give a Python file, a folder with a pyproject.toml, or the name of an installed plugin."),
        ("percentil", "Did you mean 'percentile'?"),
        ("empty", "defines no plugin; it needs a name and [project.entry-points.scout_core]"),
        ("broken", "is not valid TOML"),
    ],
)
def test_anything_that_is_not_a_plugin_is_a_usage_error(scout_core, path, hint):
    scout_core.write("empty/pyproject.toml", "[project]\nname = 'x'\n")
    scout_core.write("broken/pyproject.toml", "[project\n")
    ran = scout_core("plugins", "check", path)

    assert (2, "") == (ran.code, ran.out)
    assert hint in ran.err


@pytest.mark.parametrize(
    ("signature", "evidence"),
    [
        ("score_transaction(transaction, stats=None)", "score_transaction has a default for stats, so stats is never passed"),
        ("score_transaction(transaction, *, stats=None)", "score_transaction has a default for stats, so stats is never passed"),
        ("score_transaction(transaction, options=None)", "score_transaction has a default for options, so options is never passed"),
        ("score_transaction(transaction, **kwargs)", "score_transaction takes **kwargs, which is always empty"),
        ("score_transaction(*args)", "score_transaction takes *args, which is always empty"),
        ("score_transaction(transaction, statss=None)", "score_transaction takes statss, which the hook does not have"),
        ("on_request_end(transaction, stats=None)", "on_request_end takes stats, which the hook does not have"),
        ("on_request_end(transaction, score=0.0)", "on_request_end takes score, which the hook does not have"),
        ("on_request_end(transaction, nope=None)", "on_request_end takes nope, which the hook does not have"),
        ("on_span(span, *, error=None)", "on_span takes error, which the hook does not have"),
        ("on_span(span=None)", "on_span has a default for span, so span is never passed"),
        ("score_transaction(transaction, *, stats)", "letters: score_transaction must take stats by position: arguments after * are not passed; remove the *"),
        ("on_start(*, agent, options)", "letters: on_start must take agent by position: arguments after * are not passed; remove the *"),
    ],
)  # fmt: skip
def test_a_parameter_that_is_never_filled_breaks_the_rule_hooks(scout_core, signature, evidence):
    scout_core.write_module("letters", f"from scout_core import hookimpl\n@hookimpl\ndef {signature}: return 1.0\n")
    ran = scout_core("plugins", "check", "letters.py", "--json")

    (problem,) = ran.json["problems"]
    assert (1, "hooks", evidence) == (ran.code, problem["rule"], problem["evidence"])
    assert problem["advice"]


@pytest.mark.parametrize("signature", ["score_transaction(transaction, /, stats)", "score_transaction(stats, transaction)", "score_transaction(transaction, limit=5)"])  # fmt: skip
def test_other_parameters_are_valid(scout_core, signature):
    scout_core.write_module("letters", f"from scout_core import hookimpl\n@hookimpl\ndef {signature}: return 1.0\n")

    assert 0 == scout_core("plugins", "check", "letters.py").code


UNSUITABLE = """
    LIMIT = 3

    class Client:
        name = property(lambda self: "")
        limit = 5

        class Inner:
            pass

        def _private(self):
            pass
"""


@pytest.mark.parametrize("target", ["LIMIT", "Client", "Client.name", "Client.limit", "Client.Inner"])  # fmt: skip
def test_a_target_that_cannot_be_wrapped_breaks_the_rule_targets(scout_core, target):
    """A property, a class without a constructor, a constant and the like; the function that wraps decides."""
    scout_core.write_module("a_library", UNSUITABLE)
    scout_core.write_module("letters", INSTRUMENTATION.replace("a_library:send", f"a_library:{target}"))
    ran = scout_core("plugins", "check", "letters.py", "--json")

    (problem,) = ran.json["problems"]
    assert (1, "targets") == (ran.code, problem["rule"])
    assert problem["evidence"].startswith(f"a_library:{target} cannot be wrapped: ")
    assert dict.fromkeys(STATIC_RULES, "ok") | {"targets": "problem", "metadata": "skipped"} == states(ran)


def test_a_target_with_two_describers_breaks_the_rule_targets(scout_core):
    scout_core.write_module("a_library", "def send(): pass")
    twice = 'wrap("a_library:send", send)\n    wrap.around("a_library:send", lambda wrapped, instance, args, kwargs: wrapped())'
    source = INSTRUMENTATION.replace('wrap("a_library:send", send)', f'{twice}\n    wrap("a_library:send", send)')
    assert source != INSTRUMENTATION
    scout_core.write_module("letters", source)
    ran = scout_core("plugins", "check", "letters.py", "--json")

    (problem,) = ran.json["problems"]
    assert "a_library:send has 2 describers, and only the first is called" == problem["evidence"]


@pytest.mark.parametrize("annotation", ["complex", "bytes", "dict[str, complex]", "type", "Missing", "Callable[[], int]"])  # fmt: skip
def test_an_option_of_an_unsupported_type_breaks_the_rule_hooks(scout_core, annotation):
    source = f"""
    from __future__ import annotations
    from collections.abc import Callable
    import attrs
    from scout_core import hookimpl

    @attrs.define
    class Options:
        level: int = 3
        shape: {annotation} = None

    @hookimpl
    def register_options():
        return Options
    """
    scout_core.write_module("letters", source)
    ran = scout_core("plugins", "check", "letters.py", "--json")

    (problem,) = ran.json["problems"]
    assert (1, "hooks") == (ran.code, problem["rule"])
    assert problem["evidence"].startswith("the option shape has a type that is not supported: ")


@pytest.mark.parametrize(
    "error", ["GeneratorExit", "KeyboardInterrupt", "asyncio.CancelledError('x')", "BaseException"]
)
@pytest.mark.parametrize("place", ["", "@hookimpl\ndef instrument(wrap): ", "@hookimpl\ndef register_options(): "])
def test_a_plugin_that_raises_no_ordinary_exception_is_reported(scout_core, error, place):
    scout_core.write_module("letters", f"import asyncio\nfrom scout_core import hookimpl\n{place}raise {error}\n")
    ran = scout_core("plugins", "check", "letters.py", "--json")

    (problem,) = ran.json["problems"]
    name = error.partition("(")[0].removeprefix("asyncio.")
    assert (1, "hooks" if place else "import") == (ran.code, problem["rule"])
    assert name in problem["evidence"]
    assert not problem["ends_process"]


LOCKS = """
class Lock:
    def __init__(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        pass

def send() -> Lock:
    return Lock()

def broken() -> "Missing":
    return Lock()
"""


def test_results_that_are_not_followed_are_a_note(scout_core):
    scout_core.write_module("a_library", LOCKS)
    targets = "".join(f'    wrap("a_library:{name}", send)\n' for name in ("Lock", "send", "broken"))
    module = INSTRUMENTATION.replace('    wrap("a_library:send", send)\n', targets)
    scout_core.write_module("letters", module)
    ran = scout_core("plugins", "check", "letters.py", "--json")
    shown = scout_core("plugins", "check", "letters.py")

    texts = [
        f"the spans of a_library:{name} end with the call, though it returns a context manager (Lock)"
        for name in ("Lock", "send")
    ]
    assert (0, 0, [], "ok") == (ran.code, shown.code, ran.json["problems"], states(ran)["targets"])
    assert texts == [note["evidence"] for note in ran.json["notes"]]
    assert all(text in shown.out for text in texts)


ANNOTATED = """
from __future__ import annotations

import asyncio
import collections.abc
import contextlib
import typing
from typing import TYPE_CHECKING, Annotated, Optional

if TYPE_CHECKING:
    from elsewhere import Missing


class Lock:
    def __enter__(self):
        return self

    def __exit__(self, *problem):
        pass


class Locks(typing.Generic[typing.TypeVar("T")], Lock):
    pass


class Closing(typing.Protocol):
    def __enter__(self): ...
    def __exit__(self, *problem): ...


def generic() -> contextlib.AbstractContextManager[Lock]: ...
def spelled() -> typing.ContextManager[Lock]: ...
def bare() -> contextlib.AbstractContextManager: ...
def text() -> "contextlib.AbstractContextManager[Lock]": ...
def other() -> contextlib.AbstractAsyncContextManager[None]: ...
def protocol() -> Closing: ...
def awaited() -> collections.abc.Awaitable[int]: ...
def rows() -> typing.Iterator[int]: ...
def rows_async() -> collections.abc.AsyncIterator[int]: ...
def optional() -> Optional[Lock]: ...
def union() -> Lock | None: ...
def annotated() -> Annotated[Lock, "held"]: ...
def argument(missing: Missing) -> Lock: ...
def parametrised() -> Locks[int]: ...
async def later() -> Lock: ...

def missing() -> Missing: ...
def coroutine() -> typing.Coroutine[None, None, int]: ...
def generator() -> collections.abc.Generator[int, None, None]: ...
def future() -> asyncio.Future[int]: ...
def many() -> typing.Iterable[int]: ...
def listed() -> list[Lock]: ...
def kind() -> type[Lock]: ...
def nothing() -> None: ...
def strange() -> 5: ...

@contextlib.contextmanager
def block() -> typing.Iterator[None]:
    yield

def steps() -> typing.Iterator[int]:
    yield 1
"""
ENDS = "the spans of a_library:{} end with the call, though it returns a context manager ({})"
MAY_END = "a_library:{} returns {}: its spans end with the call unless that is {}"
ANY_BLOCK = "a context manager (AbstractContextManager)", "made by contextlib.contextmanager"
EXPECTED = [
    *(MAY_END.format(name, *ANY_BLOCK) for name in ("generic", "spelled", "bare", "text")),
    MAY_END.format(
        "other", "an async context manager (AbstractAsyncContextManager)", "made by contextlib.asynccontextmanager"
    ),
    MAY_END.format("protocol", "a context manager (Closing)", "made by contextlib.contextmanager"),
    MAY_END.format("awaited", "an awaitable object (Awaitable)", "a coroutine, a future or a task"),
    MAY_END.format("rows", "an iterator (Iterator)", "a generator or an iterator of Python's own"),
    MAY_END.format("rows_async", "an async iterator (AsyncIterator)", "an async generator"),
    *(ENDS.format(name, "Lock") for name in ("optional", "union", "annotated", "argument")),
    ENDS.format("parametrised", "Locks"),
    ENDS.format("later", "Lock"),
]
SILENT = [
    "missing",
    "coroutine",
    "generator",
    "future",
    "many",
    "listed",
    "kind",
    "nothing",
    "strange",
    "block",
    "steps",
]


def test_annotations_of_results_are_read_however_they_are_spelled(scout_core):
    names = [
        line.split("(")[0].split()[-1] for line in ANNOTATED.splitlines() if line.startswith(("def ", "async def "))
    ]
    scout_core.write_module("a_library", ANNOTATED)
    targets = "".join(f'    wrap("a_library:{name}", send)\n' for name in names)
    scout_core.write_module("letters", INSTRUMENTATION.replace('    wrap("a_library:send", send)\n', targets))
    ran = scout_core("plugins", "check", "letters.py", "--json")

    assert set(names) > set(SILENT)
    assert (0, []) == (ran.code, ran.json["problems"])
    assert EXPECTED == [note["evidence"] for note in ran.json["notes"]]


def test_targets_that_other_versions_have_are_a_note(scout_core):
    scout_core.write_module("a_library", "def send():\n    pass\n")
    more = "".join(f'    wrap("a_library:{name}", send, {how})\n' for name, how in OF_OTHER_VERSIONS.items())
    module = INSTRUMENTATION.replace('    wrap("a_library:send", send)\n', '    wrap("a_library:send", send)\n' + more)
    scout_core.write_module("letters", module)
    ran = scout_core("plugins", "check", "letters.py", "--json")

    assert (0, [], "ok") == (ran.code, ran.json["problems"], states(ran)["targets"])
    assert [
        "nothing of the group 'batches' is wrapped, because a_library:Batch.run and a_library:Queue.run cannot be found",
        "a_library:Worker.run is optional, and cannot be found",
        "a_library:Batch.close is optional, and cannot be found",
    ] == [note["evidence"] for note in ran.json["notes"]]


OF_OTHER_VERSIONS = {
    "Batch.run": "group='batches'",
    "Queue.run": "group='batches'",
    "Worker.run": "optional=True",
    "Batch.close": "group='batches', optional=True",
}
