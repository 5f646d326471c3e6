"""Every hook: its arguments, its order, and that an exception affects only its own function. And how plugins are registered."""

from __future__ import annotations

import functools
import inspect
import itertools
import sys
from decimal import Decimal
from fractions import Fraction
from threading import Event
from types import ModuleType, SimpleNamespace

import click
import numpy
import pytest
from attrs import define, field
from click.testing import CliRunner

from scout_core import (
    Agent,
    RejectedReport,
    Span,
    Transaction,
    cli,
    hookimpl,
    hookspecs,
    span,
    transaction,
    when_changed,
    when_errors,
    when_failed,
)
from scout_core.boundary.hooks import AT_RUN_TIME, ON_APP_THREAD, Hooks
from scout_core.boundary.pace import Limit
from scout_core.config.config import read_config
from scout_core.errors import PluginError
from scout_core.testing import recording

HOOKS = sorted(name for name, member in vars(hookspecs).items() if hasattr(member, "scout_core_spec"))


def plugin(name, **functions):
    """A module that implements these hooks."""
    module = ModuleType(name)
    for hook, function in functions.items():
        setattr(module, hook, function if hasattr(function, "scout_core_impl") else hookimpl(function))
    return module


def crowd(hook, make):
    """
    Return five plugins that implement a hook, not in the order of their calls, and the order in which they must be called.

    Args:
        make: given the name of a plugin, a function for it.
    """

    def fail():
        raise ValueError(f"{hook} of the plugin that fails")

    functions = {name: make(name) for name in ("zebra", "first", "apple", "last", "mango")}
    functions["mango"] = hookimpl(specname=hook)(fail)
    functions["first"] = hookimpl(tryfirst=True)(functions["first"])
    functions["last"] = hookimpl(trylast=True)(functions["last"])
    modules = [plugin(name, **{hook: function}) for name, function in functions.items()]
    return modules, ["first", "apple", "zebra", "last"]


def recorded(modules, **settings):
    """Record with an agent that guards these plugins, as in production."""
    return recording(plugins=modules, plugins_reraise=False, **settings)


def status(scout, name):
    (found,) = [plugin for plugin in scout.agent.plugin_statuses() if plugin.name == name]
    return found


def assert_only_it_failed(scout, hook):
    failed = [plugin for plugin in scout.agent.plugin_statuses() if plugin.errors]
    assert ["mango"] == [plugin.name for plugin in failed]
    assert f"ValueError: {hook} of the plugin that fails at {__file__}" in failed[0].last_error


def test_run_time_hooks_are_hooks():
    assert 17 == len(HOOKS)
    assert set(AT_RUN_TIME) <= set(HOOKS)
    assert set(AT_RUN_TIME) >= ON_APP_THREAD


def test_hook_register_options():
    @define
    class Options:
        level: int = field(default=3, metadata={"help": "How much."})
        label: str = "none"

    modules, names = crowd("register_options", lambda name: lambda: Options)
    asked = []
    modules.append(plugin("empty", register_options=lambda: asked.append("empty")))

    with recorded(modules, plugin_options={"apple": {"level": "7"}, "zebra": {"label": "striped"}}) as scout:
        assert {"apple": Options(7), "first": Options(), "last": Options(), "zebra": Options(label="striped")} == {
            name: scout.agent.config.plugin(name) for name in names
        }
        assert ["empty"] == asked
        for name in ("mango", "empty"):
            with pytest.raises(KeyError):
                scout.agent.config.plugin(name)
        assert_only_it_failed(scout, "register_options")


def test_hook_register_options_with_an_invalid_result_affects_only_itself():
    modules = [
        plugin("nonsense", register_options=lambda: 5),
        plugin("noclass", register_options=lambda: object),
        plugin("needy", register_options=lambda: define(type("Needy", (), {"__annotations__": {"must": "int"}}))),
    ]
    with recorded(modules, name="Shop") as scout:
        assert "Shop" == scout.agent.config.get("name")
        assert {
            "nonsense": "ConfigError: register_options must return an attrs class, got 5",
            "noclass": "ConfigError: register_options must return an attrs class, got <class 'object'>",
            "needy": "ConfigError: every option must have a default; missing for must",
        } == {failed.name: failed.last_error for failed in scout.agent.plugin_statuses() if failed.errors}


def test_hook_register_exporters():
    configs, got = [], Event()

    class Exporter:
        def __init__(self, name):
            self.name = name
            self.reports = []

        def export(self, report):
            self.reports.append(report)
            if self.name == "last":
                got.set()

    def make(name):
        def register_exporters(config):
            configs.append((name, config))
            return [Exporter(name)]

        return register_exporters

    modules, names = crowd("register_exporters", make)
    with recorded(modules) as scout:
        assert names == [exporter.name for exporter in scout.agent.exporters]
        assert [(name, scout.agent.config) for name in names] == configs
        with transaction("Job/mail.send"):
            pass
        report = scout.report()
        assert got.wait(10)
        assert [report] == scout.agent.exporters[-1].reports
        assert set(names) == set(report.counters)
        assert_only_it_failed(scout, "register_exporters")


@pytest.mark.parametrize(
    "given",
    [
        lambda config: 5,
        lambda config: [object()],
        lambda config: [SimpleNamespace(name="nameless")],
        lambda config: [SimpleNamespace(name=7, export=print)],
        lambda config: (1 / 0 for _ in range(1)),
    ],
    ids=["no list", "no exporter", "no export", "no name", "fails when it is read"],
)
def test_hook_register_exporters_with_an_invalid_result_affects_only_itself(given):
    good = SimpleNamespace(name="good", export=lambda report: None)
    modules = [plugin("bad", register_exporters=given), plugin("fine", register_exporters=lambda config: [good])]

    with recorded(modules) as scout:
        assert [good] == scout.agent.exporters
        assert 1 == status(scout, "bad").errors


def test_hook_register_exporters_with_the_same_name_twice_keeps_the_first():
    exporters = {name: SimpleNamespace(name="same", export=lambda report: None) for name in ("apple", "zebra")}
    modules = [
        plugin(name, register_exporters=lambda config, exporter=exporter: [exporter])
        for name, exporter in exporters.items()
    ]

    with recorded(modules) as scout:
        assert [exporters["apple"]] == scout.agent.exporters
        assert "there is an exporter 'same' already" in status(scout, "zebra").last_error


def test_hook_register_commands(monkeypatch, tmp_path):
    calls = []

    def make(name):
        def register_commands(cli):
            calls.append((name, type(cli)))

            @cli.command(f"{name}-command")
            def command():
                """Print a line."""
                click.echo(f"this is {name}")

        return register_commands

    modules, names = crowd("register_commands", make)
    for module in modules:
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("SCOUT_PLUGINS", ",".join(module.__name__ for module in modules))
    monkeypatch.chdir(tmp_path)

    built = cli.build()
    done = CliRunner().invoke(built, ["zebra-command"])

    assert [(name, type(built)) for name in names] == calls
    assert (0, "this is zebra\n") == (done.exit_code, done.output)
    assert {"run", "config", "plugins", *(f"{name}-command" for name in names)} <= set(built.commands)


def test_hook_register_commands_that_raises_is_reported(monkeypatch, tmp_path, capsys):
    modules, _ = crowd("register_commands", lambda name: lambda cli: None)
    for module in modules:
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("SCOUT_PLUGINS", ",".join(module.__name__ for module in modules))
    monkeypatch.chdir(tmp_path)

    cli.build()

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "scout-core: plugin 'mango' could not add its commands: ValueError: register_commands of the plugin that fails at "
    )


def test_hook_instrument(monkeypatch):
    library = ModuleType("some_library")
    exec("def work(name): return name", library.__dict__)
    original = library.work
    monkeypatch.setitem(sys.modules, "some_library", library)
    calls = []

    def make(name):
        def instrument(wrap):
            calls.append((name, wrap.plugin))
            wrap("some_library:work", lambda argument: span(f"Work/{name}", argument=argument))

        return instrument

    modules, names = crowd("instrument", make)
    expected = r"plugin 'mango' \(named in code\): instrument raised ValueError: instrument of the plugin that fails"
    with pytest.raises(PluginError, match=expected), recorded(modules):
        pass
    assert library.work is original
    calls.clear()
    with recorded([module for module in modules if module.__name__ != "mango"]) as scout:
        assert [(name, name) for name in names] == calls
        with transaction("Job/mail.send"):
            assert 7 == library.work(7)
        # The first to wrap is the innermost.
        assert [f"Work/{name}" for name in names] == [work.operation for work in scout.spans]
        assert [{"argument": 7}] * 4 == [work.tags for work in scout.spans]

    assert library.work is original


def test_hook_instrument_that_raises_midway_wraps_nothing(monkeypatch):
    library = ModuleType("some_library")
    exec("def work(): pass", library.__dict__)
    original = library.work
    monkeypatch.setitem(sys.modules, "some_library", library)

    def instrument(wrap):
        wrap("some_library:work", lambda: span("Work/half"))
        wrap("no target", lambda: None)

    with (
        pytest.raises(PluginError, match="invalid target 'no target'"),
        recorded([plugin("half", instrument=instrument)]),
    ):
        pass
    assert library.work is original


def test_hook_on_start():
    calls = []
    modules, names = crowd("on_start", lambda name: lambda agent: calls.append((name, agent)))

    with recorded(modules) as scout:
        assert [(name, scout.agent) for name in names] == calls
        assert isinstance(calls[0][1], Agent)
        assert_only_it_failed(scout, "on_start")


def test_hook_on_stop():
    calls = []
    modules, names = crowd(
        "on_stop", lambda name: lambda agent: calls.append((name, agent, agent.counters().dropped, agent.is_running))
    )

    with recorded(modules) as scout:
        with transaction("Job/mail.send"):
            pass
        assert [] == calls

    assert [(name, scout.agent, {"no exporter": 1}, False) for name in names] == calls
    assert_only_it_failed(scout, "on_stop")


def test_hook_on_request_start():
    calls = []

    def make(name):
        def on_request_start(transaction, config):
            calls.append((name, transaction.operation, transaction.stop_ns, config))
            transaction.tag(name, True)

        return on_request_start

    modules, names = crowd("on_request_start", make)
    with recorded(modules) as scout:
        with transaction("Controller/home"), transaction("Job/inline"), span("SQL/Query"):
            pass
        assert [(name, "Controller/home", 0, scout.agent.config) for name in names] == calls
        assert dict.fromkeys(names, True) == scout.transaction.tags
        assert_only_it_failed(scout, "on_request_start")


def test_hook_on_request_start_can_ignore():
    with recorded([plugin("picky", on_request_start=lambda transaction: transaction.ignore("picky"))]) as scout:
        with transaction("Controller/home"), span("SQL/Query"):
            pass
        assert [("Controller/home", "picky")] == scout.ignored


def test_hook_on_span():
    calls = []
    modules, names = crowd("on_span", lambda name: lambda span: calls.append((name, span)))

    with recorded(modules, max_spans=1) as scout:
        with transaction("Controller/home"), span("Cart/Checkout") as outer, span("SQL/Query") as inner:
            pass
        with span("Outside/Transaction"):
            pass
        # Also the span for which there was no room; not the transaction.
        assert [(name, ended) for ended in (inner, outer) for name in names] == calls
        assert all(ended.stop_ns > ended.start_ns for _, ended in calls)
        assert_only_it_failed(scout, "on_span")


def test_hook_on_error():
    calls = []
    modules, names = crowd("on_error", lambda name: lambda transaction, error: calls.append((name, transaction, error)))

    with recorded(modules) as scout:
        with pytest.raises(ValueError, match="plan"), transaction("Controller/home") as home:
            raise ValueError("no such plan")
        with transaction("Controller/fine", error=True):
            pass
        with pytest.raises(ValueError, match="plan"), transaction("Controller/ignored") as ignored:
            ignored.ignore()
            raise ValueError("no such plan")
        assert [] == calls
        scout.agent.recorder.work()
        assert [(name, home) for name in names] == [call[:2] for call in calls]
        error = calls[0][2]
        assert ("ValueError", "no such plan") == (error.exception, error.message)
        assert (__file__, "test_hook_on_error") == (error.frames[0][0], error.frames[0][2])
        assert_only_it_failed(scout, "on_error")


def test_hook_on_request_end():
    calls = []
    modules, names = crowd("on_request_end", lambda name: lambda transaction: calls.append((name, transaction)))

    with recorded(modules) as scout:
        with transaction("Controller/home") as home:
            home.rename("Controller/shop.home")
        with transaction("Controller/health") as health:
            health.ignore()
        assert [] == calls
        scout.agent.recorder.work()
        assert [(name, home) for name in names] == calls
        assert "Controller/shop.home" == calls[0][1].operation
        assert_only_it_failed(scout, "on_request_end")


def test_hook_on_ignore():
    calls = []
    modules, names = crowd(
        "on_ignore", lambda name: lambda transaction, reason: calls.append((name, transaction, reason))
    )

    with recorded(modules) as scout:
        with transaction("Controller/home"):
            pass
        with transaction("Controller/health") as health:
            health.ignore("too many")
        scout.agent.recorder.work()
        assert [(name, health, "too many") for name in names] == calls
        assert_only_it_failed(scout, "on_ignore")


def test_hook_on_keep():
    calls = []
    modules, names = crowd("on_keep", lambda name: lambda transaction, score: calls.append((name, transaction, score)))
    modules.append(plugin("policy", score_transaction=lambda transaction: transaction.tags["points"]))

    with recorded(modules, traces_per_period=1, plugins_disable="speed,age,percent,percentile,collector") as scout:
        made = []
        for points in (1.0, 4.0, 2.0):
            with transaction(f"Controller/{points}", points=points) as scored:
                made.append(scored)
        scout.agent.recorder.work()
        assert [] == calls  # who is kept is known when the period is over
        report = scout.report()
        assert [(name, made[1], 4.0) for name in names] == calls
        assert ["Controller/4.0"] == [trace.name for trace in report.traces]
        assert_only_it_failed(scout, "on_keep")


def test_hook_on_report():
    calls = []
    modules, names = crowd("on_report", lambda name: lambda report: calls.append((name, report)))

    with recorded(modules) as scout:
        with transaction("Controller/home"):
            pass
        report = scout.report()
        assert [(name, report) for name in names] == calls
        assert ["Controller/home"] == [metrics.name for metrics in report.transactions]
        assert_only_it_failed(scout, "on_report")


def test_hook_measure_process():
    calls = []

    def make(name):
        def measure_process():
            calls.append(name)
            return None if name == "zebra" else {"idle_connections": len(calls), "rss_bytes": 2.5}

        return measure_process

    modules, names = crowd("measure_process", make)
    with recorded(modules, plugins_autoload=False) as scout:
        with transaction("Controller/home"):
            pass
        report = scout.report()
        assert names == calls
        assert {
            "first": {"idle_connections": 1.0, "rss_bytes": 2.5},
            "apple": {"idle_connections": 2.0, "rss_bytes": 2.5},
            "last": {"idle_connections": 4.0, "rss_bytes": 2.5},
        } == report.gauges
        assert_only_it_failed(scout, "measure_process")


class Number(float):
    def __float__(self):
        raise ValueError


def test_hook_measure_process_accepts_numbers_of_any_type():
    numbers = {"int": 10**400, "decimal": Decimal("0.5"), "fraction": Fraction(1, 4), "numpy": numpy.float32(2)}
    with recorded([plugin("any", measure_process=lambda: numbers)], plugins_autoload=False) as scout:
        assert {"any": {"int": 1e18, "decimal": 0.5, "fraction": 0.25, "numpy": 2.0}} == scout.report().gauges


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (5, "must return a dict of names to numbers, got int"),
        ([("a", 1)], "must return a dict of names to numbers, got list"),
        ({"a": "1"}, "must return finite numbers, got str for a"),
        ({"a": None}, "must return finite numbers, got NoneType for a"),
        ({"a": True}, "must return finite numbers, got bool for a"),
        ({"a": float("nan")}, "must return finite numbers, got float for a"),
        ({"a": Number(1)}, "must return finite numbers, got Number for a"),
        ({1: 1}, "must return printable names of at most 100 characters"),
        ({"": 1}, "must return printable names of at most 100 characters"),
        ({"a" * 101: 1}, "must return printable names of at most 100 characters"),
        ({"a\x1b[31m": 1}, "must return printable names of at most 100 characters"),
        ({str(number): 1 for number in range(51)}, "must return at most 50 gauges, got 51"),
    ],
)
def test_hook_measure_process_with_an_invalid_result_affects_only_itself(result, problem):
    modules = [plugin("bad", measure_process=lambda: result), plugin("good", measure_process=lambda: {"a": 1})]
    with recorded(modules, plugins_autoload=False) as scout:
        assert {"good": {"a": 1.0}} == scout.report().gauges
        assert f"ValueError: measure_process {problem}" == status(scout, "bad").last_error
        assert 0 == status(scout, "good").errors


def test_hook_ignore_transaction():
    calls = []

    def make(name):
        def ignore_transaction(transaction, config):
            calls.append((name, transaction.operation, config))
            return {"zebra": transaction.operation == "Controller/striped", "apple": 1, "first": ""}.get(name)

        return ignore_transaction

    modules, names = crowd("ignore_transaction", make)
    with recorded(modules) as scout:
        with transaction("Controller/plain"):
            pass
        with transaction("Controller/named.later") as later:
            later.rename("Controller/striped")
        assert ["Controller/plain"] == scout.operations  # neither 1 nor an empty text ignores it
        assert [("Controller/striped", "by plugin zebra")] == scout.ignored
        config = scout.agent.config
        plain = [(name, "Controller/plain", config) for name in names]
        assert [*plain, *((name, "Controller/striped", config) for name in names[:-1])] == calls
        assert_only_it_failed(scout, "ignore_transaction")


class Reason(str):
    """A text whose methods are somebody else's."""

    def __getitem__(self, _):
        raise RuntimeError

    __len__ = __bool__ = __eq__ = __hash__ = __getitem__


@pytest.mark.parametrize(
    ("answer", "reason", "counted"),
    [("crawler", "crawler", "ignored"), ("sampled", "sampled", "sampled"), (Reason("own"), "own", "ignored"),
     ("long" * 100, ("long" * 100)[:300], "ignored")],
    ids=["reason", "sampled", "subclass", "long"],
)  # fmt: skip
def test_hook_ignore_transaction_returns_the_reason(answer, reason, counted):
    asked = []
    modules = [
        plugin("answers", ignore_transaction=lambda: answer),
        plugin("later", ignore_transaction=lambda: asked.append(1)),
    ]
    with recorded(modules) as scout:
        with transaction("Controller/home"):
            pass
        assert ([], [("Controller/home", reason)], []) == (scout.operations, scout.ignored, asked)
        assert {counted: 1} == scout.agent.counters().dropped


def test_hook_trace_group():
    calls = []

    def make(name):
        def trace_group(transaction, stats, config):
            calls.append((name, transaction.operation, stats.count, config))
            return f"{transaction.tags['customer']}" if name == "zebra" and "customer" in transaction.tags else None

        return trace_group

    modules, names = crowd("trace_group", make)
    with recorded(modules) as scout:
        with transaction("Controller/home"):
            pass
        for operation in ("Controller/cart", "Controller/pay"):
            with transaction(operation, customer="acme"):
                pass
        traces = {trace.name: (trace.group, trace.grouped_by) for trace in scout.traces()}
        config = scout.agent.config
        assert [(name, "Controller/home", 1, config) for name in names] == calls[:4]
        assert [(name, "Controller/cart", 1, config) for name in names[:3]] == calls[4:7], "the first result decides"
        assert ("Controller/home", "") == traces.pop("Controller/home")
        assert [("acme", "zebra")] == list(traces.values()), "one of each group"
        assert_only_it_failed(scout, "trace_group")


class Text(str):
    """A text whose methods are somebody else's."""

    def __hash__(self):
        raise RuntimeError

    __eq__ = __len__ = __getitem__ = __format__ = __str__ = __hash__


def test_hook_trace_group_with_a_subclass_of_str_is_a_text():
    with recorded([plugin("own", trace_group=lambda: Text("acme"))]) as scout:
        with transaction("Controller/home"):
            pass
        (trace,) = scout.traces()

    assert (str, "acme", "own") == (type(trace.group), trace.group, trace.grouped_by)


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        (5, "must be a str or None, got int"),
        (True, "must be a str or None, got bool"),
        (b"acme", "must be a str or None, got bytes"),
        (["acme"], "must be a str or None, got list"),
        ("", "must have 1 to 500 characters, got 0"),
        ("a" * 501, "must have 1 to 500 characters, got 501"),
    ],
    ids=["number", "bool", "bytes", "list", "empty", "long"],
)
def test_hook_trace_group_with_an_invalid_result_leaves_the_decision_to_others(group, problem):
    modules = [plugin("nonsense", trace_group=lambda: group), plugin("sound", trace_group=lambda: "acme")]
    with recorded(modules) as scout:
        for _ in range(12):
            with transaction("Controller/home"):
                pass
        (trace,) = scout.traces()
        assert ("acme", "sound") == (trace.group, trace.grouped_by)
        nonsense = status(scout, "nonsense")
        assert (10, "quarantined", f"ValueError: a trace group {problem}") == (
            nonsense.errors, nonsense.state, nonsense.last_error,
        )  # fmt: skip
        assert (12, 12) == (status(scout, "sound").calls, len(scout.transactions))


def test_a_function_with_when_failed_is_called_only_for_transactions_that_failed():
    calls = []

    @hookimpl
    @when_failed
    def score_transaction(transaction):
        calls.append(f"score {transaction.operation}")

    @when_failed
    @hookimpl
    def trace_group(transaction):
        calls.append(f"group {transaction.operation}")

    with recorded([plugin("failures", score_transaction=score_transaction, trace_group=trace_group)]) as scout:
        with transaction("Controller/fine"):
            pass
        with transaction("Controller/answered") as answered:
            answered.tag("error", True)
        with pytest.raises(KeyError), transaction("Controller/raised"):
            raise KeyError
        assert 3 == len(scout.traces())

    assert [
        "group Controller/answered",
        "score Controller/answered",
        "group Controller/raised",
        "score Controller/raised",
    ] == calls


def test_a_function_with_when_errors_is_called_for_transactions_with_errors():
    calls = []

    @hookimpl
    @when_errors
    def score_transaction(transaction):
        calls.append(transaction.operation)

    with recorded([plugin("errors", score_transaction=score_transaction)]) as scout:
        with transaction("Controller/fine"), pytest.raises(KeyError), span("Cart/Load"):
            raise KeyError
        with transaction("Controller/handled") as handled:
            handled.record_error(KeyError("plan"))
        with transaction("Controller/answered") as answered:
            answered.tag("error", True)
        with pytest.raises(KeyError), transaction("Controller/raised"):
            raise KeyError
        assert 4 == len(scout.traces())

    assert ["Controller/handled", "Controller/answered", "Controller/raised"] == calls


@pytest.mark.parametrize("hook", sorted(set(HOOKS) - {"score_transaction", "trace_group"}))
@pytest.mark.parametrize("mark", [when_failed, when_errors])
def test_a_mark_is_refused_where_it_would_have_no_effect(hook, mark):
    with pytest.raises(PluginError) as caught:
        Hooks().register(plugin("wrong", **{hook: hookimpl(mark(lambda: None))}), "wrong")

    assert f"{hook} must not have @{mark.__name__}, which is for score_transaction, trace_group" == str(caught.value)


def test_hook_score_transaction():
    calls = []

    def make(name):
        def score_transaction(transaction, stats, config):
            calls.append((name, transaction.operation, stats.count, config))
            return {"zebra": 2, "apple": 0.5, "first": None, "last": -1.0}[name]

        return score_transaction

    modules, names = crowd("score_transaction", make)
    with recorded(modules, plugins_disable="speed,age,percent,percentile,collector", policies={"zebra": 1.5}) as scout:
        with transaction("Controller/home"):
            pass
        (trace,) = scout.traces()
        assert [(name, "Controller/home", 1, scout.agent.config) for name in names] == calls
        assert (2.5, {"apple": 0.5, "zebra": 3.0, "last": -1.0}) == (trace.score, trace.policies)
        assert_only_it_failed(scout, "score_transaction")


class Float(float):
    """As numpy's are: a subclass, whose methods are somebody else's."""

    def __float__(self):
        raise RuntimeError

    __mul__ = __rmul__ = __add__ = __radd__ = __float__


@pytest.mark.parametrize(
    "points",
    ["5", float("nan"), float("inf"), float("-inf"), object(), [1.0], Float(2.0), 1j, True],
    ids=["text", "nan", "inf", "-inf", "object", "list", "subclass", "complex", "bool"],
)
def test_hook_score_transaction_with_an_invalid_result_gives_no_points(points):
    modules = [
        plugin("nonsense", score_transaction=lambda: points),
        plugin("sound", score_transaction=lambda: 2.0),
    ]
    with recorded(modules, plugins_disable="speed,age,percent,percentile,collector") as scout:
        for _ in range(12):
            with transaction("Controller/home"):
                pass
        (trace,) = scout.traces()
        assert (2.0, {"sound": 2.0}) == (trace.score, trace.policies)
        nonsense = status(scout, "nonsense")
        assert (10, "quarantined") == (nonsense.errors, nonsense.state)
        assert "ValueError: a score must be a finite number or None, got " in nonsense.last_error
        assert (12, 12) == (status(scout, "sound").calls, len(scout.transactions))


def test_hook_score_transaction_that_is_slow_is_switched_off_and_the_others_stay():
    released = Event()
    modules = [
        plugin("slow", score_transaction=lambda: released.wait(0.002) or 1.0),
        plugin("sound", score_transaction=lambda: 2.0),
    ]
    off = "speed,age,percent,percentile,collector"
    with recorded(modules, plugins_disable=off, slow_hook_seconds=0.001, traces_per_period=20) as scout:
        for number in range(13):
            with transaction(f"Controller/{number}"):
                pass
        traces = scout.traces()
        slow = status(scout, "slow")

    assert 10 == slow.calls
    assert "quarantined" == slow.state
    assert "score_transaction is switched off: " in slow.reason
    assert "a call (median of the last 10 timed calls, window 100), above slow_hook_seconds = 1 ms" in slow.reason
    policies = {trace.name: trace.policies for trace in traces}
    assert {f"Controller/{n}": {"slow": 1.0, "sound": 2.0} if n < 10 else {"sound": 2.0} for n in range(13)} == policies


@pytest.mark.parametrize("hook", HOOKS)
def test_an_implementation_takes_any_of_the_arguments_in_any_order(hook):
    given = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    values = {name: object() for name in given if name != "options"}
    config = SimpleNamespace(plugin={"any": "the options"}.__getitem__)

    for size in range(len(given) + 1):
        for wanted in itertools.permutations(given, size):
            namespace = {}
            exec(
                f"def implementation({', '.join(wanted)}): return ({''.join(f'{name}, ' for name in wanted)})",
                namespace,
            )
            hooks = Hooks(reraise=True, config=config)
            hooks.register(plugin("any", **{hook: namespace["implementation"]}), "any")
            (guard,) = hooks.frozen(hook)
            expected = tuple("the options" if name == "options" else values[name] for name in wanted)
            assert expected == guard.run(*values.values())


@define
class TeamOptions:
    prefix: str = "Controller/shop."


def test_every_hook_but_register_options_can_take_the_plugin_s_options_under_any_name(monkeypatch, tmp_path):
    """The module does not know what it is called: a package's module is named with a dot, an installed plugin by its metadata."""
    got = {}

    def noting(hook, arguments):
        namespace = {"got": got}
        exec(f"def {hook}({', '.join(arguments)}): got['{hook}'] = options", namespace)
        return namespace[hook]

    functions = {
        hook: noting(hook, inspect.signature(getattr(hookspecs, hook)).parameters)
        for hook in HOOKS
        if hook != "register_options"
    }
    module = plugin("shop.team", register_options=lambda: TeamOptions, **functions)
    monkeypatch.setenv("SCOUT_SHOP_TEAM_PREFIX", "Job/")
    with recording(plugins=[module], plugin_options={"shop.team": {"prefix": "Job/"}}) as scout:
        with pytest.raises(ValueError, match="plan"), transaction("Job/mail.send"), span("SQL/Query"):
            raise ValueError("no such plan")
        with transaction("Job/heartbeat") as heartbeat:
            heartbeat.ignore()
        scout.report()
    monkeypatch.setitem(sys.modules, "shop.team", module)
    monkeypatch.setenv("SCOUT_PLUGINS", "shop.team")
    monkeypatch.chdir(tmp_path)
    cli.build()

    assert dict.fromkeys(functions, TeamOptions("Job/")) == got


@pytest.mark.parametrize("functions", [{}, {"register_options": lambda: None}])
def test_a_plugin_without_options_gets_none(functions):
    got = []
    module = plugin("bare", on_span=lambda span, options: got.append(options), **functions)
    with recording(plugins=[module]), transaction("Job/mail.send"), span("SQL/Query"):
        pass

    assert [None] == got


def test_the_options_of_two_plugins_are_not_mixed_up():
    got = {}
    modules = [
        plugin(
            name,
            register_options=lambda name=name: define(
                type(name, (), {"__annotations__": {"level": "str"}, "level": name})
            ),
            on_span=lambda options, name=name: got.update({name: options.level}),
        )
        for name in ("zebra", "apple")
    ]
    with recording(plugins=modules), transaction("Job/mail.send"), span("SQL/Query"):
        pass

    assert {"zebra": "zebra", "apple": "apple"} == got


def test_options_that_have_changed_reach_a_function_when_its_hook_is_frozen_again():
    options = {"team": "before"}
    hooks = Hooks(reraise=True, config=SimpleNamespace(plugin=options.__getitem__))
    hooks.register(plugin("team", on_span=lambda span, options: options), "team")
    (guard,) = hooks.frozen("on_span")
    assert "before" == guard.run(None)
    options["team"] = "after"

    assert [guard] == list(hooks.frozen("on_span"))
    assert "after" == guard.run(None)


def test_options_that_a_framework_adds_after_the_start_reach_hooks():
    prefixes = []
    module = plugin(
        "team", register_options=lambda: TeamOptions, on_span=lambda span, options: prefixes.append(options.prefix)
    )
    with recording(plugins=[module]) as scout:
        for prefix in ("Job/", "Mail/"):
            scout.agent.add_settings({"plugin_options": {"team": {"prefix": prefix}}})
            with transaction("Job/mail.send"), span("SQL/Query"):
                pass

    assert ["Job/", "Mail/"] == prefixes


def test_a_function_that_takes_everything_but_options_is_called_directly():
    def on_span(span):
        pass

    hooks = Hooks(config=SimpleNamespace(plugin={"team": "options"}.__getitem__))
    hooks.register(plugin("team", on_span=on_span), "team")

    assert on_span is hooks.frozen("on_span")[0].function


def test_describers_get_options_that_instrument_binds(monkeypatch):
    library = ModuleType("some_library")
    exec("def work(name): return name", library.__dict__)
    monkeypatch.setitem(sys.modules, "some_library", library)

    def describe(options, name):
        return span(f"{options.prefix}{name}")

    module = plugin(
        "team",
        register_options=lambda: TeamOptions,
        instrument=lambda wrap, options: wrap("some_library:work", functools.partial(describe, options)),
    )
    with recording(plugins=[module], plugin_options={"team": {"prefix": "Work/"}}) as scout:
        with transaction("Job/mail.send"):
            library.work("cut")
        assert ["Work/cut"] == [it.operation for it in scout.spans]


@pytest.mark.parametrize("hook", HOOKS)
def test_an_argument_that_the_hook_does_not_have_is_refused(hook):
    has = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters) or "none"

    with pytest.raises(PluginError) as caught:
        Hooks().register(plugin("wrong", **{hook: lambda nonsense: None}), "wrong")

    assert f"the hook {hook} has no argument nonsense; it has {has}" == str(caught.value)


def test_an_argument_that_is_misspelt_is_refused_with_the_nearest():
    with pytest.raises(PluginError) as caught:
        Hooks().register(plugin("wrong", score_transaction=lambda transactio, stats: None), "wrong")

    assert "the hook score_transaction has no argument transactio; did you mean transaction?" == str(caught.value)


def test_an_argument_with_a_default_is_the_function_s_own():
    hooks = Hooks(reraise=True)
    hooks.register(plugin("own", on_span=lambda span, cache={}, *rest, **more: (span, cache, rest, more)), "own")

    assert [(1, {}, (), {})] == [guard.run(1) for guard in hooks.frozen("on_span")]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("score_transactions", "there is no hook score_transactions; did you mean score_transaction?"),
        ("on_requst_end", "there is no hook on_requst_end; did you mean on_request_end?"),
        ("zzz", "there is no hook zzz"),
    ],
)
def test_a_hook_that_does_not_exist_is_refused_with_the_nearest(written, expected):
    with pytest.raises(PluginError) as caught:
        Hooks().register(plugin("wrong", **{written: lambda: None}), "wrong")

    assert expected == str(caught.value)


@pytest.mark.parametrize("options", [{"wrapper": True}, {"hookwrapper": True}])
def test_a_function_that_wraps_the_others_is_refused(options):
    def on_span(span):
        yield

    with pytest.raises(PluginError, match="on_span must not wrap the implementations of other plugins"):
        Hooks().register(plugin("wrong", on_span=hookimpl(**options)(on_span)), "wrong")


@pytest.mark.parametrize("thing", [ModuleType("empty"), object(), 5, None, SimpleNamespace(on_span=lambda span: None)])
def test_an_object_without_a_hook_is_refused(thing):
    with pytest.raises(PluginError, match="it has no function marked with @hookimpl"):
        Hooks().register(thing, "empty")


def test_a_plugin_that_is_refused_leaves_nothing_behind():
    hooks = Hooks()
    half = plugin("half", on_keep=lambda transaction: None, on_span=lambda nonsense: None)
    with pytest.raises(PluginError):
        hooks.register(half, "half")

    assert [] == [hook for hook in HOOKS if hooks.frozen(hook)]
    assert ("on_span",) == hooks.register(plugin("half", on_span=lambda span: None), "half")


def test_a_name_cannot_be_taken_twice():
    hooks = Hooks()
    hooks.register(plugin("same", on_span=lambda span: 1), "same")
    with pytest.raises(PluginError, match="there is already a plugin same"):
        hooks.register(plugin("same", on_span=lambda span: 2), "same")

    assert [1] == [guard.run(None) for guard in hooks.frozen("on_span")]


def test_a_module_with_two_names_keeps_the_first():
    hooks = Hooks()
    module = plugin("same", on_span=lambda span: 1)
    hooks.register(module, "first")
    with pytest.raises(PluginError, match="it is already loaded as the plugin first"):
        hooks.register(module, "second")

    assert [("first", 1)] == [(guard.plugin, guard.run(None)) for guard in hooks.frozen("on_span")]


def test_methods_class_methods_and_static_methods_are_implementations():
    class Policy:
        @hookimpl
        def score_transaction(self, transaction):
            return ("method", self, transaction)

        @hookimpl(specname="on_keep")
        def anything(self, score):
            return score

        @staticmethod
        @hookimpl
        def on_span(span):
            return ("static", span)

        @classmethod
        @hookimpl
        def on_report(cls, report):
            return ("class", cls, report)

        @property
        def broken(self):
            raise AttributeError("nobody reads this")

    hooks, policy = Hooks(), Policy()

    assert ("on_keep", "on_report", "on_span", "score_transaction") == hooks.register(policy, "policy")
    assert [("method", policy, 1)] == [guard.run(1, 2, 3) for guard in hooks.frozen("score_transaction")]
    assert [2] == [guard.run(1, 2) for guard in hooks.frozen("on_keep")]
    assert [("static", 1)] == [guard.run(1) for guard in hooks.frozen("on_span")]
    assert [("class", Policy, 1)] == [guard.run(1) for guard in hooks.frozen("on_report")]


def test_no_other_attribute_of_a_module_is_read():
    class Proxy:
        def __getattr__(self, name):
            raise RuntimeError("working outside of request context")

    module = plugin("shop.policies", on_span=lambda span: None)
    module.request = Proxy()

    assert ("on_span",) == Hooks().register(module, "shop.policies")


def test_two_functions_of_a_plugin_for_the_same_hook_are_both_called():
    module = plugin(
        "double",
        single=hookimpl(specname="score_transaction")(lambda: 1),
        two=hookimpl(specname="score_transaction")(lambda: 2),
    )
    hooks = Hooks()
    hooks.register(module, "double")

    assert {1, 2} == {guard.run(None, None, None) for guard in hooks.frozen("score_transaction")}


def test_the_guard_of_a_function_stays_the_same():
    hooks = Hooks()
    hooks.register(plugin("fails", on_span=lambda span: 1 / 0), "fails")
    (guard,) = hooks.frozen("on_span")
    guard.run(None)

    assert 1 == hooks.frozen("on_span")[0].failures.count


def test_a_removed_plugin_is_not_called_when_another_takes_its_name():
    hooks = Hooks()
    hooks.register(plugin("same", on_span=lambda span: "old"), "same")
    assert ["old"] == [guard.run(None) for guard in hooks.frozen("on_span")]
    hooks.unregister("same")
    assert () == hooks.frozen("on_span")
    hooks.unregister("same")
    hooks.register(plugin("same", on_span=lambda span: "new"), "same")

    assert ["new"] == [guard.run(None) for guard in hooks.frozen("on_span")]


def test_a_plugin_that_is_added_while_the_agent_runs_is_called_from_then_on(scout):
    calls = []
    with transaction("Controller/before"), span("SQL/Query"):
        pass
    scout.agent.plugins.add_object(
        SimpleNamespace(
            on_request_start=hookimpl(lambda transaction: calls.append(transaction)),
            on_span=hookimpl(lambda span: calls.append(span)),
        ),
        "newcomer",
    )
    scout.agent.freeze()
    with transaction("Controller/after") as after, span("SQL/Query") as query:
        pass

    assert [after, query] == calls


def test_a_function_with_when_changed_is_called_only_while_an_option_differs_from_its_default():
    calls = []

    @hookimpl
    @when_changed("ignore", "sample_rate")
    def on_span(span):
        calls.append(span.operation)

    def record(scout, operation):
        with transaction("Controller/home"), span(operation):
            pass

    module = plugin("careful", on_span=on_span)
    for settings in ({}, {"ignore": ()}, {"sample_rate": 1}, {"ignore_jobs": "x"}):
        with recording(plugins=[module], **settings) as scout:
            record(scout, "SQL/Default")
            assert () == scout.agent.tracer.on_span
    assert [] == calls
    for settings in ({"ignore": "/health"}, {"sample_rate": 0.9999999}):
        with recording(plugins=[module], plugins_disable="sampling,collector", **settings) as scout:
            record(scout, "SQL/Set")
    assert ["SQL/Set", "SQL/Set"] == calls
    with recording(plugins=[module]) as scout:
        scout.agent.add_settings({"ignore": "/health"})
        record(scout, "SQL/Later")
    assert ["SQL/Set", "SQL/Set", "SQL/Later"] == calls


def test_an_option_that_does_not_exist_never_differs():
    module = plugin("careful", on_span=hookimpl(when_changed("nonsense")(lambda span: None)))
    with recording(plugins=[module]) as scout:
        assert () == scout.agent.tracer.on_span


@pytest.mark.parametrize("is_strict", [False, True])
def test_a_hook_s_limit_follows_from_where_and_how_often_it_is_called(is_strict):
    settings = {"slow_hook_seconds": 0.25, "hook_budget_seconds": 0.5, "plugins.strict": is_strict}
    hooks = Hooks.from_config(read_config(settings, environment={}))
    hooks.register(plugin("all", **{hook: (lambda: None) for hook in HOOKS}), "all")

    limits = {hook: hooks.frozen(hook)[0].pace.limit for hook in HOOKS}

    on_app_thread = Limit(
        "hook_budget_seconds", 0.5, 0.95, 20, time_every=64, on_application_thread=True, switches_off=is_strict
    )
    per_transaction = Limit("slow_hook_seconds", 0.25, 0.5, 10, time_every=8, switches_off=True)
    assert {
        **dict.fromkeys(("on_request_start", "on_span"), on_app_thread),
        **dict.fromkeys(
            (
                "on_error",
                "on_request_end",
                "on_ignore",
                "on_keep",
                "ignore_transaction",
                "trace_group",
                "score_transaction",
            ),
            per_transaction,
        ),
        **dict.fromkeys(
            ("measure_process", "on_report"),
            Limit("slow_hook_seconds", 0.25, 0.5, 10, factor=100, switches_off=True),
        ),
    } == {hook: limit for hook, limit in limits.items() if limit is not None}


def test_hook_on_report_that_takes_as_long_as_a_slow_policy_stays():
    released = Event()
    modules = [plugin("patient", on_report=lambda report: released.wait(0.002))]
    with recorded(modules, slow_hook_seconds=0.001) as scout:
        for _ in range(15):
            scout.report()
        patient = status(scout, "patient")

    assert (15, "active") == (patient.calls, patient.state)
    assert patient.functions[0].p50 > 0.001


async def asynchronous(span):
    pass


def generating(span):
    yield


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (asynchronous, "on_span must not be an async function: nothing awaits it; use def"),
        (generating, "on_span must not be a generator function: it would never run; use return instead of yield"),
    ],
)
def test_a_function_that_would_never_run_is_refused(function, reason):
    with pytest.raises(PluginError, match=reason):
        Hooks().register(plugin("bad", on_span=function), "bad")


def test_plugins_in_plugins_order_come_first_then_tryfirst_then_by_name():
    hooks = Hooks(order=("zebra", "mango"))
    for name in ("apple", "mango", "zebra", "banana"):
        hooks.register(plugin(name, on_span=lambda span: None), name)
    eager = plugin("cherry")
    eager.on_span = hookimpl(lambda span: None, tryfirst=True)
    eager.on_span.__name__ = "on_span"
    hooks.register(eager, "cherry")

    assert ["zebra", "mango", "cherry", "apple", "banana"] == [guard.plugin for guard in hooks.frozen("on_span")]


def test_sys_exit_in_a_policy_costs_only_its_own_points():
    def leave():
        raise SystemExit(3)

    modules = [plugin("leaves", score_transaction=leave), plugin("sound", score_transaction=lambda: 2.0)]
    with recorded(modules, plugins_disable="speed,age,percent,percentile,collector") as scout:
        with transaction("Controller/home"):
            pass
        assert [{"sound": 2.0}] == [trace.policies for trace in scout.traces()]
        assert "SystemExit: 3" in status(scout, "leaves").last_error


def test_the_classes_that_hooks_pass_are_public_names():
    assert (Span, Transaction) == (span, transaction)
    assert issubclass(RejectedReport, Exception)


class Lazy:
    """An attribute of a module that loads something when anything of it is read."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} was read")


class LazyModule(ModuleType):
    """A module that loads something when an attribute is read that it does not have."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} was read")


@pytest.mark.parametrize("kind", [ModuleType, LazyModule])
def test_other_attributes_of_a_plugin_are_not_read(kind):
    module = kind("lazy")
    module.settings = Lazy()
    module.on_stop = staticmethod(hookimpl(lambda agent: None))
    module.helper = lambda: None
    module.on_start = hookimpl(lambda agent: None)

    hooks = Hooks()
    assert ("on_start", "on_stop") == hooks.register(module, "lazy")
    assert [1, 1] == [len(hooks.frozen(name)) for name in ("on_start", "on_stop")]
