"""The faults: the distribution that is installed, its expected state, and words of the expected reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

HEAD = "from scout_core import hookimpl, span, transaction\n\n"
GOOD = HEAD + "@hookimpl\ndef score_transaction(transaction):\n    return 0.0\n"


@frozen(kw_only=True)
class Fault:
    """A distribution ``scout-faulty`` with a single fault in its plugin ``faulty``."""

    name: str
    source: str = GOOD
    """Source of the module ``scout_faulty``."""
    state: str = "failed"
    """State in the command's list; ``absent`` for a plugin that it cannot list, whose reason is printed as a problem."""
    words: tuple[str, ...] = ()
    """Parts of the reason in the command's list."""
    printed: tuple[str, ...] = ()
    """Parts of the command's standard error, when the plugin as a whole has not failed."""
    running: str = ""
    """State in the application at its end; empty when it is the same as in the command's list."""
    running_words: tuple[str, ...] = ()
    entries: str = "faulty = scout_faulty"
    requires: tuple[str, ...] = ("scout-core>=0.1",)
    extra: tuple[str, ...] = ()
    damage: Callable[[Path], object] | None = None
    """Called with its metadata folder after the installation."""
    row: str = "faulty"
    """Its name in the list: that of the distribution where the plugin's name is unknown."""

    @property
    def in_application(self) -> tuple[str, tuple[str, ...]]:
        """State and words in the application."""
        return (self.running, self.running_words) if self.running else (self.state, self.words)


def hook(signature: str, *lines: str, before: str = "") -> str:
    """Return the source of a module with a single hook."""
    body = "\n    ".join(lines or ("pass",))
    return f"{HEAD}{before}\n\n@hookimpl\ndef {signature}:\n    {body}\n"


IMPORTING = [
    Fault(
        name="imports a missing module",
        source="import no_such_module_anywhere\n",
        words=("scout_faulty cannot be imported", "ModuleNotFoundError", "no_such_module_anywhere"),
    ),
    Fault(name="names a missing module", entries="faulty = scout_missing", words=("scout_missing",)),
    Fault(name="names an object", entries="faulty = scout_faulty:plugin",
          words=("'scout_faulty:plugin' is not a module", "write: faulty = scout_faulty")),
    Fault(name="names no module", entries="faulty = ..", words=("'..' is not a module",)),
    Fault(name="names a module of the library", entries="faulty = os", words=("no function marked with @hookimpl",)),
    Fault(name="names the program", entries="faulty = __main__", words=("no function marked with @hookimpl",)),
    Fault(name="does not compile", source="def broken(:\n", words=("cannot be imported", "SyntaxError")),
    Fault(name="has undecodable bytes", source="name = '\\udc80\n", words=("cannot be imported", "SyntaxError")),
    Fault(name="raises at import", source="raise ValueError('bad luck')\n", words=("ValueError", "bad luck")),
    Fault(name="fails an assertion at import", source="assert not 'ready'\n", words=("AssertionError",)),
    Fault(name="recurses infinitely", source="def f():\n    f()\nf()\n", words=("RecursionError",)),
    Fault(
        name="raises an unprintable exception",
        source="class Bad(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise Bad\n",
        words=("cannot be imported", "Bad"),
    ),
    Fault(name="warns at import", source="import warnings\nwarnings.warn('old')\n" + GOOD, state="active",
          running="failed", running_words=("UserWarning", "old")),
    Fault(name="exits at import", source="import sys\nsys.exit(3)\n", words=("called sys.exit(3)",)),
    Fault(name="exits at import without a code", source="raise SystemExit\n", words=("called sys.exit(",)),
    Fault(
        name="raises its own BaseException at import",
        source="class Stop(BaseException):\n    pass\nraise Stop('at once')\n",
        words=("cannot be imported", "Stop", "at once"),
    ),
    Fault(name="raises GeneratorExit at import", source="raise GeneratorExit\n", words=("GeneratorExit",)),
    Fault(
        name="raises CancelledError at import",
        source="import asyncio\nraise asyncio.CancelledError\n",
        words=("CancelledError",),
    ),
    Fault(
        name="raises a very long message",
        source="E = type('a\\nb', (Exception,), {})\nraise E('x\\ny' * 100_000)\n",
        words=("cannot be imported",),
    ),
    Fault(
        name="removes itself from sys.modules",
        source="import sys\ndel sys.modules[__name__]\n" + GOOD,
        words=("scout_faulty",),
    ),
    Fault(
        name="starts the agent at import",
        source="import scout_core\nscout_core.start()\n" + GOOD,
        state="active",
        running="failed",
        running_words=("a plugin must not start it",),
    ),
]  # fmt: skip

HOOKS = [
    Fault(name="misspells a hook", source=hook("on_requst_end(transaction)"),
          words=("there is no hook on_requst_end", "did you mean on_request_end?")),
    Fault(name="has a hook of another name", source=hook("before_lunch(transaction)"), words=("there is no hook before_lunch",)),
    Fault(name="misspells an argument", source=hook("on_span(spam)"),
          words=("the hook on_span has no argument spam", "did you mean span?")),
    Fault(name="has an unknown argument", source=hook("on_span(span, more)"), words=("the hook on_span has no argument more", "span")),
    Fault(name="has an argument for a hook without arguments", source=hook("register_options(config)"),
          words=("the hook register_options has no argument config", "it has none")),
    Fault(name="has an unknown keyword-only argument", source=hook("on_span(*, spam)"), words=("on_span has no argument spam",)),
    Fault(name="is a coroutine function", source=hook("on_report(report)").replace("def on", "async def on"), words=("async",)),
    Fault(name="is a generator function", source=hook("on_report(report)", "yield"), words=("generator",)),
    Fault(name="wraps other implementations", source=HEAD + "@hookimpl(wrapper=True)\ndef on_span(span):\n    yield\n",
          words=("on_span must not wrap the implementations of other plugins",)),
    Fault(name="wraps other implementations with hookwrapper", source=HEAD + "@hookimpl(hookwrapper=True)\ndef on_span(span):\n    yield\n",
          words=("on_span must not wrap the implementations of other plugins",)),
    Fault(name="has no hook", source="value = 1\n", words=("no function marked with @hookimpl",)),
    Fault(name="has only hooks of pytest",
          source="import pluggy\n\n@pluggy.HookimplMarker('pytest')\ndef on_span(span):\n    pass\n",
          words=("no function marked with @hookimpl",)),
    Fault(name="forgets the marker", source="def on_span(span):\n    pass\n", words=("no function marked with @hookimpl",)),
    Fault(name="has a module whose attributes raise",
          source=HEAD + "def __getattr__(name):\n    raise RuntimeError(name)\n\ndef __dir__():\n    return ['nothing', 5]\n",
          words=("cannot be imported: TypeError",)),
]  # fmt: skip

RUNNING = [
    Fault(name="instrument raises", source=hook("instrument(wrap)", "wrap('wares:add', print)", "raise KeyError('half')"),
          words=("instrument raised KeyError",)),
    Fault(name="instrument exits", source=hook("instrument(wrap)", "raise SystemExit(4)"), words=("instrument", "SystemExit")),
    Fault(name="wraps a missing target", source=hook("instrument(wrap)", "wrap('wares:nothing', lambda *a: None)"),
          state="waiting", words=("wares is not imported",),
          running="failed", running_words=("wares:nothing", "has no nothing")),
    Fault(name="wraps an invalid target", source=hook("instrument(wrap)", "wrap('wares.add', lambda *a: None)"), words=("wares.add",)),
    Fault(name="wraps without a describer", source=hook("instrument(wrap)", "wrap('wares:add', None)"), words=("wares:add",)),
    Fault(name="options raise", source=hook("register_options()", "raise KeyError('options')"), state="active", printed=("'faulty'", "KeyError: 'options'")),
    Fault(name="options are not a class", source=hook("register_options()", "return 5"), state="active",
          printed=("register_options must return an attrs class, got 5",)),
    Fault(name="options exit", source=hook("register_options()", "raise SystemExit(5)"), state="active", printed=("'faulty'", "SystemExit: 5")),
    Fault(name="exporters raise", source=hook("register_exporters(config)", "raise KeyError('exporters')"), state="active"),
    Fault(name="exporters are not a list", source=hook("register_exporters(config)", "return 5"), state="active"),
    Fault(name="an exporter raises", state="active", source=hook(
        "register_exporters(config)", "return [Bad()]",
        before="class Bad:\n    name = 'bad'\n    def export(self, report):\n        raise RuntimeError('no')\n")),
    Fault(name="on_start raises", source=hook("on_start(agent)", "raise KeyError('start')"), state="active"),
    Fault(name="on_start exits", source=hook("on_start(agent)", "raise SystemExit(6)"), state="active"),
    Fault(name="on_stop raises", source=hook("on_stop(agent)", "raise KeyError('stop')"), state="active"),
    Fault(name="on_stop exits", source=hook("on_stop(agent)", "raise SystemExit(7)"), state="active"),
    Fault(name="on_request_start raises", source=hook("on_request_start(transaction)", "raise KeyError('request')"), state="active",
          running="quarantined", running_words=("on_request_start is switched off: 10 errors in a row",)),
    Fault(name="on_span raises", source=hook("on_span(span)", "raise KeyError('span')"), state="active",
          running="quarantined", running_words=("on_span is switched off: 10 errors in a row",)),
    Fault(name="a policy raises", source=hook("score_transaction(transaction)", "raise KeyError('score')"), state="active",
          running="quarantined", running_words=("score_transaction is switched off: 10 errors in a row",)),
    Fault(name="a policy exits", source=hook("score_transaction(transaction)", "raise SystemExit(8)"), state="active",
          running="quarantined", running_words=("score_transaction is switched off: 10 errors in a row",)),
    Fault(name="a policy returns text", source=hook("score_transaction(transaction)", "return 'a lot'"), state="active",
          running="quarantined", running_words=("score_transaction is switched off",)),
    Fault(name="a describer raises", state="waiting",
          source=hook("instrument(wrap)", "wrap('wares:add', describe)", before="def describe(a, b):\n    raise KeyError('describe')\n"),
          running="quarantined", running_words=("wares:add", "switched off")),
    Fault(name="a describer has too few arguments", state="waiting",
          source=hook("instrument(wrap)", "wrap('wares:add', lambda a: span('Wares/Add'))"),
          running="quarantined", running_words=("wares:add", "switched off")),
    Fault(name="a describer returns a number", state="waiting", source=hook("instrument(wrap)", "wrap('wares:add', lambda a, b: 5)"),
          running="quarantined", running_words=("wares:add", "switched off")),
]  # fmt: skip

WAYS_OUT = {
    "through the agent's hooks": ("agents[0].hooks.unregister('faulty')", "agents[0].freeze()"),
    "through pluggy": (
        "manager, me = agents[0].hooks.manager, sys.modules[__name__]",
        "if manager.is_registered(me): manager.unregister(me)",
    ),
    "and from the list of plugins": ("agents[0].plugins.all.pop('faulty', None)", "agents[0].freeze()"),
}
UNREGISTERING = [
    Fault(
        name=f"unregisters itself in {signature.partition('(')[0]} {how}",
        source=hook("on_start(agent)", "agents.append(agent)", *(lines if signature == "on_start(agent)" else ()), before="import sys\nagents = []")
        + (f"\n\n@hookimpl\ndef {signature}:\n    " + "\n    ".join(lines) + "\n" if signature != "on_start(agent)" else ""),
        state="active",
        running="absent" if "list" in how else "",
    )
    for how, lines in WAYS_OUT.items()
    for signature in (
        "on_start(agent)", "on_request_start(transaction)", "on_span(span)", "on_request_end(transaction)",
        "score_transaction(transaction)", "on_report(report)", "on_stop(agent)",
    )
]  # fmt: skip

VERSIONS = [
    Fault(name="requires a later core", requires=("scout-core>=99",), state="skipped",
          words=("scout-core", "is outside >=99")),
    Fault(name="requires an earlier core", requires=("scout-core<0.1",), state="skipped", words=("is outside <0.1",)),
    Fault(name="has an invalid requirement on the core", requires=("scout-core>=banana",), state="skipped",
          words=("invalid requirement", "scout-core>=banana")),
    Fault(name="requires another version of its library", extra=("wares>=9",), state="skipped", words=("wares 1.0 is outside >=9",)),
    Fault(name="has an invalid requirement on its library", extra=("wares>>9",), state="skipped", words=("invalid requirement", "wares>>9")),
]  # fmt: skip

METADATA = [
    Fault(name="METADATA is undecodable", damage=lambda made: (made / "METADATA").write_bytes(b"Name: caf\xe9\xff\n"),
          words=("cannot read the metadata in ", "decode")),
    Fault(name="METADATA is empty", damage=lambda made: (made / "METADATA").write_bytes(b""), words=("METADATA is missing or empty",)),
    Fault(name="METADATA is missing", damage=lambda made: (made / "METADATA").unlink(), words=("METADATA is missing or empty",)),
    Fault(name="METADATA is a folder", damage=lambda made: ((made / "METADATA").unlink(), (made / "METADATA").mkdir()), words=("cannot read the metadata in ", "directory")),
    Fault(name="METADATA has no name", damage=lambda made: (made / "METADATA").write_text("Summary: nothing\n"), words=("METADATA has no Name",)),
    Fault(name="METADATA consists of zeros", damage=lambda made: (made / "METADATA").write_bytes(b"\0" * 500), words=("METADATA has no Name",)),
    Fault(name="RECORD is missing", damage=lambda made: (made / "RECORD").unlink(), state="active"),
    Fault(name="RECORD is undecodable", damage=lambda made: (made / "RECORD").write_bytes(b"\xff\0,"), state="active"),
    Fault(name="everything but the entry points is missing", words=("METADATA is missing or empty",),
          damage=lambda made: [(made / name).unlink() for name in ("METADATA", "RECORD", "WHEEL", "INSTALLER")]),
    Fault(name="the entry points are undecodable", row="scout-faulty", words=("scout_faulty-1.0.dist-info", "decode"),
          damage=lambda made: (made / "entry_points.txt").write_bytes(b"[scout_core]\n\xff = scout_faulty\n")),
    Fault(name="the entry points are cut off", row="scout-faulty", words=("expected 'name = module'", "'faulty'"), entries="faulty"),
    Fault(name="the entry points are a folder", state="absent", words=("scout_faulty-1.0.dist-info", "directory"),
          damage=lambda made: ((made / "entry_points.txt").unlink(), (made / "entry_points.txt").mkdir())),
    Fault(name="the entry points are a pipe", state="absent",
          damage=lambda made: ((made / "entry_points.txt").unlink(), os.mkfifo(made / "entry_points.txt"))),
    Fault(name="the entry points are a link to nowhere", state="absent",
          damage=lambda made: ((made / "entry_points.txt").unlink(), (made / "entry_points.txt").symlink_to("nowhere"))),
    Fault(name="the entry points are a link to themselves", state="absent", words=("scout_faulty-1.0.dist-info", "links"),
          damage=lambda made: ((made / "entry_points.txt").unlink(), (made / "entry_points.txt").symlink_to("entry_points.txt"))),
]  # fmt: skip

NAMES = [
    Fault(name="defines a name twice", entries="faulty = scout_faulty\nfaulty = scout_missing", state="active"),
    Fault(name="defines two names for a module", entries="again = scout_faulty\nfaulty = scout_faulty",
          words=("already loaded as the plugin again",)),
    Fault(name="uses the name of a built-in plugin", entries="speed = scout_faulty\nfaulty = scout_missing", words=("scout_missing",)),
]  # fmt: skip

FAULTS = [*IMPORTING, *HOOKS, *RUNNING, *UNREGISTERING, *VERSIONS, *METADATA, *NAMES]
