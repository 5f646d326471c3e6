"""The plugins of an agent: which are loaded, disabled, skipped, waiting or failed, and why; and their targets."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest

import scout_core
from scout_core import hookimpl, span, transaction
from scout_core.boundary.discovery import Environment
from scout_core.boundary.hooks import Hooks
from scout_core.boundary.importing import search_path
from scout_core.boundary.metadata import Found
from scout_core.boundary.plugins import Plugins
from scout_core.boundary.status import status_of
from scout_core.config.config import read_config
from scout_core.config.files import Settings
from scout_core.errors import PluginError
from scout_core.problems import Problem, TooManyErrors
from scout_core.recording import context
from scout_core.testing import recording
from tests.workbench import write_modules

GOOD = "from scout_core import hookimpl\n@hookimpl\ndef on_span(span): pass\n"


def found(name="redis", module="scout_quartz", **changes):
    fields = {
        "distribution": f"dist-{module}",
        "version": "1.0",
        "instruments": (),
        "core": ("scout-core>=0.1",),
        "where": "/site",
        **changes,
    }
    return Found(name=name, module=module, **fields)


def loaded(*plugins, named=(), installed=None, environment=None, settings=None, **code):
    """Return the plugins after loading them with this configuration."""
    if named:
        code["plugins"] = named
    config = read_config(code, environment=environment or {}, settings=settings)
    plugins_of_agent = Plugins(config, Hooks())
    plugins_of_agent.load(Environment(plugins, {"scout-core": "0.1.0", **(installed or {})}, ()), config.get("plugins"))
    return plugins_of_agent


def states(plugins):
    """Return name to state and reason of every plugin."""
    statuses = {name: status_of(plugin) for name, plugin in plugins.all.items()}
    return {name: (status.state, status.reason) for name, status in statuses.items()}


def texts(plugins):
    """Return the problems that do not belong to a plugin, as text."""
    return [str(problem) for problem in plugins.problems]


def module(name="shop.policies", **functions):
    plugin = ModuleType(name)
    for hook, function in functions.items() or {"on_span": lambda span: None}.items():
        setattr(plugin, hook, hookimpl(function))
    return plugin


def test_an_installed_plugin_is_loaded_and_its_hooks_are_known(site):
    write_modules(site, scout_quartz=GOOD + "@hookimpl\ndef on_keep(score): pass\n")
    plugins = loaded(found())

    assert {"redis": ("active", "")} == states(plugins)
    assert ("on_keep", "on_span") == plugins.all["redis"].hooks
    assert ["redis"] == [guard.plugin for guard in plugins.freeze("on_span")]
    assert [] == plugins.problems


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "scout_quartz cannot be imported: ModuleNotFoundError: No module named 'scout_quartz'"),
        (
            "import no_such_module",
            "scout_quartz cannot be imported: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("raise RuntimeError('not today')", "scout_quartz cannot be imported: RuntimeError: not today"),
        ("def broken(:", "scout_quartz cannot be imported: SyntaxError: invalid syntax (scout_quartz.py, line 1)"),
        ("import asyncio; raise asyncio.CancelledError", "scout_quartz cannot be imported: CancelledError"),
        ("raise AssertionError", "scout_quartz cannot be imported: AssertionError"),
        ("raise ValueError('')", "scout_quartz cannot be imported: ValueError"),
        ("import sys; sys.exit(3)", "scout_quartz called sys.exit(3) when it was imported"),
        ("raise SystemExit", "scout_quartz called sys.exit(None) when it was imported"),
        (
            "class E(Exception):\n def __str__(self): raise OSError\nraise E",
            "scout_quartz cannot be imported: E: <message could not be read>",
        ),
        ("", "it has no function marked with @hookimpl"),
        ("def on_span(span): pass", "it has no function marked with @hookimpl"),
        (GOOD.replace("on_span", "on_spam"), "there is no hook on_spam; did you mean on_span?"),
        (GOOD.replace("(span)", "(spam)"), "the hook on_span has no argument spam; did you mean span?"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_has_failed_and_the_others_are_loaded(site, source, reason):
    write_modules(site, scout_marble=GOOD, **({} if source is None else {"scout_quartz": source}))
    plugins = loaded(found("flask", "scout_marble"), found())

    assert {"flask": ("active", ""), "redis": ("failed", reason)} == states(plugins)
    assert ["flask"] == [guard.plugin for guard in plugins.freeze("on_span")]


def test_a_keyboard_interrupt_during_an_import_is_raised(site):
    write_modules(site, scout_quartz="raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        loaded(found())


@pytest.mark.parametrize("exception", ["GeneratorExit", "type('Stop', (BaseException,), {})"])
def test_any_other_exception_during_an_import_fails_only_that_plugin(site, exception):
    write_modules(site, scout_quartz=f"raise {exception}")

    state, reason = states(loaded(found()))["redis"]
    assert ("failed", True) == (state, reason.startswith("scout_quartz cannot be imported: "))


def test_a_plugin_with_broken_metadata_has_failed(site):
    write_modules(site, scout_quartz=GOOD)

    assert {"redis": ("failed", "METADATA is missing")} == states(
        loaded(found(problem=Problem("broken-metadata", "dist-scout_quartz", "METADATA is missing")))
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"plugins_disable": "redis"}, "plugins.disable (code) contains it"),
        ({"disabled_instruments": ["redis"]}, "plugins.disable (code) contains it"),
        ({"plugins_disable": "*"}, "plugins.disable (code) contains *"),
        ({"environment": {"SCOUT_PLUGINS_DISABLE": "a, redis"}}, "plugins.disable (environment SCOUT_PLUGINS_DISABLE) contains it"),
        ({"environment": {"SCOUT_DISABLED_INSTRUMENTS": "redis"}}, "plugins.disable (environment SCOUT_DISABLED_INSTRUMENTS) contains it"),
        ({"plugins_autoload": False}, "plugins.autoload is false (code) and plugins.enable does not contain it"),
        ({"plugins_autoload": False, "plugins_enable": "flask"}, "plugins.autoload is false (code) and plugins.enable does not contain it"),
        ({"plugins_enable": "redis", "plugins_disable": "redis"}, "plugins.disable (code) contains it"),
    ],
)  # fmt: skip
def test_a_disabled_plugin_is_not_imported(site, settings, expected):
    write_modules(site, scout_quartz="raise AssertionError('it was imported')")

    assert ("disabled", expected) == states(loaded(found(), **settings))["redis"]
    assert "scout_quartz" not in sys.modules


@pytest.mark.parametrize(
    "settings",
    [
        {"plugins_autoload": False, "plugins_enable": "redis"},
        {"plugins_autoload": False, "plugins_require": "redis"},
        {"plugins_autoload": False, "named": ["scout_quartz"]},
        {"plugins_disable": "flask"},
    ],
)
def test_a_plugin_that_is_enabled_required_or_named_is_loaded(site, settings):
    write_modules(site, scout_quartz=GOOD)

    assert {"redis": ("active", "")} == states(loaded(found(), **settings))


@pytest.mark.parametrize("named", [["scout_quartz"], []])
def test_a_disabled_plugin_stays_disabled_when_its_module_is_named(site, named):
    write_modules(site, scout_quartz="raise AssertionError('it was imported')")

    plugins = loaded(found(), named=named, environment={"SCOUT_PLUGINS_DISABLE": "redis"})

    assert ["disabled"] == [state for state, _ in states(plugins).values()]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"plugins_disable": "reddis"},
            "plugins.disable (code) names 'reddis', which is not a plugin here; did you mean redis?",
        ),
        ({"plugins_enable": "zzz"}, "plugins.enable (code) names 'zzz', which is not a plugin here"),
        ({"policies": {"redi": 2}}, "policies (code) names 'redi', which is not a plugin here; did you mean redis?"),
        (
            {"environment": {"SCOUT_PLUGINS_DISABLE": "flask"}},
            "plugins.disable (environment SCOUT_PLUGINS_DISABLE) names 'flask', which is not a plugin here",
        ),
        (
            {"settings": Settings("/srv/pyproject.toml", plugins={"rediss": {"level": 1}, "empty": {}})},
            "plugins.rediss (file /srv/pyproject.toml) names 'rediss', which is not a plugin here; did you mean redis?",
        ),
    ],
)
def test_an_unknown_plugin_name_in_the_configuration_is_a_problem(site, settings, expected):
    write_modules(site, scout_quartz=GOOD)

    (problem,) = texts(loaded(found(), **settings))
    assert problem.startswith(expected)


def test_known_plugin_names_in_the_configuration_are_not_a_problem(site):
    write_modules(site, scout_quartz=GOOD)
    settings = Settings("/srv/pyproject.toml", plugins={"redis": {"level": 1}})

    plugins = loaded(found(), plugins_disable="*", plugins_enable="redis", policies={"redis": 2}, settings=settings)

    assert [] == plugins.problems


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"instruments": ("redis>=4.5",)}, "redis 4.1.0 is outside >=4.5"),
        (
            {"core": ("scout-core<1,>=0.5",)},
            "scout-core 0.1.0 is outside >=0.5,<1",
        ),
        (
            {"core": ("scout-core>=1",), "instruments": ("redis>=4.5",)},
            "scout-core 0.1.0 is outside >=1",
        ),
        (
            {"instruments": ("redis >> 4",)},
            "its metadata has an invalid requirement: 'redis >> 4'",
        ),
    ],
)
def test_a_plugin_for_unsupported_versions_is_skipped_and_not_imported(site, changes, reason):
    write_modules(site, scout_quartz="raise AssertionError('it was imported')")

    assert {"redis": ("skipped", reason)} == states(loaded(found(**changes), installed={"redis": "4.1.0"}))


def test_a_plugin_has_the_version_and_range_of_its_library(site):
    write_modules(site, scout_quartz=GOOD)

    plugins = loaded(found(instruments=("redis<8,>=4",)), installed={"redis": "4.1.0"})

    assert "redis 4.1.0 (>=4,<8)" == plugins.all["redis"].support.target


def test_the_first_of_two_plugins_with_the_same_name_is_loaded(site):
    write_modules(site, scout_first=GOOD, scout_second="raise AssertionError('it was imported')")
    plugins = loaded(found("same", "scout_first"), found("same", "scout_second"))

    assert {"same": ("active", "")} == states(plugins)
    assert ["plugin 'same' of dist-scout_second is not loaded: dist-scout_first already uses the name"] == texts(
        plugins
    )


def test_a_module_with_two_names_is_loaded_under_the_first(site):
    write_modules(site, scout_quartz=GOOD)
    plugins = loaded(found("first"), found("second"))

    assert {
        "first": ("active", ""),
        "second": ("failed", "it is already loaded as the plugin first"),
    } == states(plugins)
    assert ["first"] == [guard.plugin for guard in plugins.freeze("on_span")]


def test_a_named_module_is_a_plugin_with_the_name_of_the_module(site):
    write_modules(site, my_policies=GOOD)
    plugins = loaded(named=["my_policies", module("shop.more")])

    assert {"my_policies": ("active", ""), "shop.more": ("active", "")} == states(plugins)
    assert plugins.all["my_policies"].found is None


def test_a_plugin_that_is_installed_and_named_is_loaded_once(site):
    write_modules(site, scout_quartz=GOOD)
    plugins = loaded(found(), named=["scout_quartz", "scout_quartz"])

    assert {"redis": ("active", "")} == states(plugins)
    assert 1 == len(plugins.freeze("on_span"))


def test_start_raises_when_a_plugin_named_in_code_cannot_be_used(site):
    write_modules(site, broken="raise RuntimeError('not today')", scout_quartz=GOOD)

    for named, expected in (
        (["nowhere"], r"plugin 'nowhere' \(named in code\): nowhere cannot be imported: ModuleNotFoundError: "),
        (["broken"], r"plugin 'broken' \(named in code\): broken cannot be imported: RuntimeError: not today"),
        ([ModuleType("empty")], r"plugin 'empty' \(named in code\): it has no function marked with @hookimpl"),
        ([7], r"plugin 'builtins.int-[0-9a-f]+' \(named in code\): it has no function marked with @hookimpl"),
    ):
        with pytest.raises(PluginError, match=expected):
            loaded(named=named)
    with pytest.raises(PluginError, match=r"plugin 'redis' \(named in code\): redis 1 is outside >=4"):
        loaded(found(instruments=("redis>=4",)), named=["scout_quartz"], installed={"redis": "1"})


def test_a_plugin_named_in_the_environment_that_cannot_be_used_has_failed(site):
    plugins = loaded(environment={"SCOUT_PLUGINS": "nowhere"})

    state, reason = states(plugins)["nowhere"]
    assert "failed" == state
    assert "No module named 'nowhere'" in reason


def test_a_named_module_cannot_take_the_name_of_an_installed_plugin(site):
    write_modules(site, scout_quartz=GOOD, redis=GOOD)
    plugins = loaded(found(), environment={"SCOUT_PLUGINS": "redis"})

    assert {"redis": ("active", "")} == states(plugins)
    assert "scout_quartz" == plugins.all["redis"].module
    assert ["plugin 'redis' (environment SCOUT_PLUGINS): an installed plugin already uses the name"] == texts(plugins)
    with pytest.raises(PluginError, match="an installed plugin already uses the name"):
        loaded(found(), named=["redis"])


def test_a_named_module_can_be_disabled(site):
    write_modules(site, my_policies="raise AssertionError('it was imported')")
    plugins = loaded(named=["my_policies"], environment={"SCOUT_PLUGINS_DISABLE": "my_policies"})

    expected = "plugins.disable (environment SCOUT_PLUGINS_DISABLE) contains it"
    assert {"my_policies": ("disabled", expected)} == states(plugins)


def test_a_named_module_is_loaded_when_autoload_is_false(site):
    write_modules(site, my_policies=GOOD)

    assert {"my_policies": ("active", "")} == states(loaded(named=["my_policies"], plugins_autoload=False))


def test_a_named_module_can_be_in_the_working_directory_and_sys_path_does_not_change(tmp_path, monkeypatch):
    (tmp_path / "in_working_directory.py").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder not in ("", str(tmp_path))])
    before = list(sys.path)
    try:
        assert {"in_working_directory": ("active", "")} == states(loaded(named=["in_working_directory"]))
        assert before == sys.path
    finally:
        sys.modules.pop("in_working_directory", None)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"plugins_require": "celery"}, "celery is not installed"),
        (
            {"plugins_require": "redis", "plugins_disable": "redis"},
            "redis is disabled: plugins.disable (code) contains it",
        ),
        ({"plugins_require": "broken"}, "broken has failed: broken cannot be imported: RuntimeError: not today"),
        (
            {"plugins_require": "celery, flask, broken"},
            "celery is not installed; flask is not installed; broken has failed: ",
        ),
    ],
)
def test_start_raises_when_a_required_plugin_cannot_be_used(site, settings, expected):
    write_modules(site, scout_quartz=GOOD, broken="raise RuntimeError('not today')")

    with pytest.raises(PluginError) as caught:
        loaded(found(), found("broken", "broken"), **settings)
    assert str(caught.value).startswith(f"required plugins (code): {expected}")


def test_problems_found_in_the_environment_are_kept():
    plugins = Plugins(read_config(environment={}), Hooks())
    plugins.load(Environment((), {}, (Problem("broken-metadata", "", "metadata in /x cannot be read"),)), ())

    assert ["metadata in /x cannot be read"] == texts(plugins)


def test_the_search_path_is_a_copy_of_sys_path():
    assert sys.path == search_path()
    assert sys.path is not search_path()


LIBRARY = (
    "def function():\n    return 1\ndef other():\n    return 2\nclass Client:\n    def get(self):\n        return 3\n"
)


def instrument_library(wrap):
    wrap("some_library:function", lambda: span("Library/function"))
    wrap("some_library:Client.get", lambda client: span("Library/get"))


def status(scout, name="shop.policies"):
    return next(status for status in scout.agent.plugin_statuses() if status.name == name)


def test_objects_without_a_name_are_plugins_named_after_their_class():
    class Notes:
        @hookimpl
        def on_span(self, span):
            pass

    first, second = Notes(), Notes()
    with recording(plugins=[first, second]) as scout:
        named = {status.name: status.state for status in scout.agent.plugin_statuses() if "Notes" in status.name}

    assert {f"{__name__}.Notes-{id(first):x}": "active", f"{__name__}.Notes-{id(second):x}": "active"} == named


def test_a_plugin_waits_until_its_library_is_imported(site):
    write_modules(site, some_library=LIBRARY)
    with recording(plugins=[module(instrument=instrument_library)]) as scout:
        waiting = status(scout)
        assert ("waiting", "some_library is not imported") == (waiting.state, waiting.reason)
        assert ("some_library:function", "some_library:Client.get") == waiting.waiting
        assert "some_library" not in sys.modules
        import some_library

        active = status(scout)
        assert ("active", "", (), ()) == (active.state, active.reason, active.waiting, active.not_found)
        assert ("some_library:function", "some_library:Client.get") == active.wrapped
        with transaction("Job/mail.send"):
            assert (1, 3) == (some_library.function(), some_library.Client().get())
        assert ["Library/function", "Library/get", "Job/mail.send"] == scout.operations
        wrapped = some_library.function

    assert some_library.function is not wrapped
    assert not hasattr(some_library.function, "__wrapped__")


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        ({"some_library:gone": False}, "some_library has no gone; none of its targets is wrapped"),
        (
            {"some_library:Client": False},
            "some_library.Client has neither __init__ nor __new__, so nothing runs when it is called; none of its targets is wrapped",
        ),
        ({"some_library:function": False, "some_library:Client.gone": False}, "some_library.Client has no gone"),
        ({"some_library:gone": True, "some_library:gone_too": True}, "some_library has no gone"),
        ({"some_library.sub:gone": False}, "sub has no gone"),
    ],
    ids=str,
)
def test_a_plugin_that_fails_when_its_library_is_imported_after_the_start_is_logged_once(site, caplog, targets, reason):
    write_modules(
        site,
        some_library="import sys, types\n" + LIBRARY + "sys.modules[__name__ + '.sub'] = types.ModuleType('sub')\n",
    )

    def instrument(wrap):
        for target, is_optional in targets.items():
            wrap(target, lambda *args: span("Library/function"), optional=is_optional)

    def import_library():
        importlib.import_module("some_library")
        importlib.import_module("some_library.sub")
        importlib.reload(sys.modules["some_library"])

    with recording(plugins=[module(instrument=instrument)]) as scout:
        assert "waiting" == status(scout).state
        import_library()
        failed = status(scout)

    assert "failed" == failed.state
    assert reason in failed.reason
    (record,) = [record for record in caplog.records if record.name == "scout_core"]
    assert "WARNING" == record.levelname
    assert "plugin 'shop.policies' has failed; the application is not affected: " in record.message
    assert reason in record.message
    assert "details: scout-core plugins shop.policies" in record.message


def test_targets_that_are_optional_and_missing_are_not_logged_while_another_is_wrapped(site, caplog):
    write_modules(site, some_library=LIBRARY)

    def instrument(wrap):
        wrap("some_library:gone", lambda: None, optional=True)
        wrap("some_library:function", lambda: None)

    with recording(plugins=[module(instrument=instrument)]) as scout:
        import some_library  # noqa: F401

        assert "active" == status(scout).state
    assert [] == caplog.messages


def test_a_library_imported_after_the_agent_stopped_is_not_wrapped(site):
    write_modules(site, some_library=LIBRARY)
    finders = list(sys.meta_path)
    with recording(plugins=[module(instrument=instrument_library)]):
        pass
    assert finders == sys.meta_path
    import some_library

    assert not hasattr(some_library.function, "__wrapped__")


def test_a_reloaded_library_is_wrapped_again_and_undone(site):
    write_modules(site, some_library=LIBRARY)
    import some_library

    with recording(plugins=[module(instrument=instrument_library)]) as scout:
        old = some_library.Client
        importlib.reload(some_library)
        with transaction("Job/mail.send"):
            some_library.function()
            some_library.Client().get()
            old().get()
        assert ["Library/function", "Library/get", "Library/get"] == [recorded.operation for recorded in scout.spans]

    for function in (some_library.function, some_library.Client.get, old.get):
        assert not hasattr(function, "__wrapped__")


def test_nothing_is_wrapped_when_a_target_is_missing(site):
    write_modules(site, some_library=LIBRARY.replace("Client", "Redis"))
    import some_library

    function = some_library.function
    shop = module(instrument=instrument_library)
    sys.modules["shop.policies"] = shop
    try:
        plugins = loaded(environment={"SCOUT_PLUGINS": "shop.policies"})
        plugins.instrument()
        found = status_of(plugins.all["shop.policies"])
    finally:
        del sys.modules["shop.policies"]
    assert ("failed", ()) == (found.state, found.wrapped)
    assert (
        Problem("missing-target", "some_library:Client.get", "some_library:Client.get: some_library has no Client"),
    ) == found.target_problems
    assert found.reason == ("some_library:Client.get: some_library has no Client; none of its targets is wrapped")
    assert function is some_library.function
    with pytest.raises(PluginError, match=r"plugin 'shop.policies' \(named in code\): some_library:Client.get"):
        scout_core.start(plugins=[shop])
    assert (function, None) == (some_library.function, context.tracer)


def test_a_missing_optional_target_is_listed_and_the_others_are_wrapped(site):
    write_modules(site, some_library=LIBRARY)
    import some_library

    def instrument(wrap):
        wrap("some_library:function", lambda: span("Library/function"))
        wrap("some_library:newer", lambda: span("Library/newer"), optional=True)

    with recording(plugins=[module(instrument=instrument)]) as scout:
        found = status(scout)
        assert ("active", "", ("some_library:function",)) == (found.state, found.reason, found.wrapped)
        assert ("some_library:newer",) == found.not_found
        assert hasattr(some_library.function, "__wrapped__")


def test_targets_are_unwrapped_when_another_is_found_missing_later(site):
    write_modules(site, some_library=LIBRARY, later_library="")
    import some_library

    function = some_library.function

    def instrument(wrap):
        wrap("some_library:function", lambda: span("Library/function"))
        wrap("later_library:gone", lambda: span("Library/gone"))

    with recording(plugins=[module(instrument=instrument)]) as scout:
        assert ("active", True) == (status(scout).state, hasattr(some_library.function, "__wrapped__"))
        import later_library  # noqa: F401

        assert ("failed", function) == (status(scout).state, some_library.function)


def test_with_strict_the_agent_does_not_start_when_a_plugin_has_failed_and_nothing_stays_wrapped(site, monkeypatch):
    write_modules(site, some_library=LIBRARY, scout_quartz="1 / 0")
    import some_library

    function = some_library.function
    with pytest.raises(
        PluginError, match=r"plugins.strict \(code\): redis: scout_quartz cannot be imported: ZeroDivisionError"
    ):
        loaded(found(), plugins_strict=True)
    bad = module(instrument=lambda wrap: (wrap("some_library:function", lambda: None), wrap("some_library:gone", len)))
    sys.modules["shop.policies"] = bad
    monkeypatch.setenv("SCOUT_PLUGINS", "shop.policies")
    try:
        with pytest.raises(PluginError, match=r"plugins.strict \(code\): shop.policies: some_library:gone"):
            scout_core.start(plugins_strict=True)
    finally:
        del sys.modules["shop.policies"]

    assert (function, None) == (some_library.function, context.tracer)

    assert not hasattr(some_library.function, "__wrapped__")


def test_an_error_in_wrapping_does_not_reach_the_import_of_the_application(site):
    """Not even when the library raises its own exception on assignment."""
    write_modules(site, some_library=LIBRARY + "class Meta(type):\n def __setattr__(cls, *args): raise OSError('no')\n"
          "class Client(metaclass=Meta):\n def get(self): return 3\n")  # fmt: skip
    with recording(plugins=[module(instrument=instrument_library)]) as scout:
        import some_library

        assert 3 == some_library.Client().get()
        (problem,) = status(scout).target_problems
        assert "some_library:Client.get: OSError: no" == problem.detail


def test_a_plugin_that_keeps_failing_is_quarantined_and_the_others_are_not(site):
    write_modules(site, some_library=LIBRARY)
    import some_library

    def instrument(wrap):
        wrap("some_library:function", lambda: 1 / 0)
        wrap("some_library:other", lambda: span("Library/other"))

    good = module("shop.good", instrument=lambda wrap: wrap("some_library:function", lambda: span("Library/good")))
    with recording(plugins=[module(instrument=instrument), good], plugins_reraise=False) as scout:
        with transaction("Job/mail.send"):
            for _ in range(20):
                assert (1, 2) == (some_library.function(), some_library.other())
        failing, working = status(scout), status(scout, "shop.good")
        assert "quarantined" == failing.state
        assert "some_library:function is switched off: 10 errors in a row" == failing.reason
        assert (10, "active", 0) == (failing.errors, working.state, working.errors)
        (function,) = (function for function in failing.functions if function.place == "some_library:function")
        assert ("too-many-errors", TooManyErrors(10, 10), "", None) == (
            function.off,
            function.too_many_errors,
            function.slow,
            function.too_slow,
        )
        names = [recorded.operation for recorded in scout.spans]
        assert (20, 20) == (names.count("Library/other"), names.count("Library/good"))


@pytest.mark.parametrize("key", ["plugins", "plugins_require"])
def test_the_agent_does_not_start_when_a_named_or_required_plugin_fails_to_instrument(site, monkeypatch, key):
    write_modules(
        site,
        some_library=LIBRARY,
        shop_scout="from scout_core import hookimpl\n@hookimpl\ndef instrument(wrap): wrap('some_library:gone', len)",
    )
    import some_library  # noqa: F401

    if key == "plugins_require":
        monkeypatch.setenv("SCOUT_PLUGINS", "shop_scout")
    with pytest.raises(PluginError, match="some_library:gone: some_library has no gone"):
        scout_core.start(**{key: ["shop_scout"]})

    assert context.tracer is None


@pytest.mark.parametrize(
    ("plugin", "settings", "expected"),
    [
        ({"problem": Problem("broken-metadata", "", "METADATA is missing")}, {}, "reinstall the plugin: pip install --force-reinstall dist-scout_quartz"),
        ({"problem": Problem("invalid-entry-point", "", "")}, {}, "upgrade or disable the plugin: pip install -U dist-scout_quartz, or: scout-core plugins disable redis"),
        ({"core": ("scout-core>=1",)}, {}, "upgrade the plugin: pip install -U dist-scout_quartz"),
        ({}, {"environment": {"SCOUT_PLUGINS_DISABLE": "*,redis"}}, "remove * and redis from SCOUT_PLUGINS_DISABLE"),
        ({}, {"plugins_disable": "redis"}, "remove redis from plugins.disable (code)"),
        ({}, {"settings": Settings("/srv/a.toml", {"plugins.disable": ["*"]})}, "enable it: scout-core plugins enable '*'"),
        ({}, {"plugins_allow": "acme-*"}, "add dist-scout_quartz to plugins.allow (code)"),
        ({}, {"environment": {"SCOUT_PLUGINS_ALLOW": "a"}}, "add dist-scout_quartz to SCOUT_PLUGINS_ALLOW"),
        ({}, {"plugins_autoload": False}, "enable it: scout-core plugins enable redis"),
        ({}, {"plugins_autoload": False, "environment": {"SCOUT_PLUGINS_ENABLE": "a"}}, "add redis to SCOUT_PLUGINS_ENABLE"),
    ],
)  # fmt: skip
def test_an_unused_plugin_has_a_next_step(site, plugin, settings, expected):
    write_modules(site, scout_quartz=GOOD)

    assert expected == str(status_of(loaded(found(**plugin), **settings).all["redis"]).next_step)


def test_a_failed_module_has_a_next_step_and_a_plugin_without_problems_has_none(site):
    write_modules(site, shop_scout="1 / 0", redis=GOOD, scout_quartz=GOOD)
    plugins = loaded(found(), environment={"SCOUT_PLUGINS": "shop_scout"})

    assert "fix shop_scout" == str(status_of(plugins.all["shop_scout"]).next_step)
    assert status_of(plugins.all["redis"]).next_step is None


def test_targets_that_cannot_be_wrapped_errors_and_quarantine_have_a_next_step(site):
    write_modules(site, some_library=LIBRARY)
    import some_library

    def instrument(wrap):
        wrap("some_library:function", lambda: 1 / 0)

    def instrument_newer(wrap):
        wrap("some_library:other", lambda: span("Library/other"))
        wrap("some_library:newer", lambda: span("Library/newer"), optional=True)

    newer = module("shop.newer", instrument=instrument_newer)
    with recording(plugins=[module(instrument=instrument), newer], plugins_reraise=False) as scout:
        with transaction("Job/mail.send"):
            some_library.function()
        assert "fix-error" == status(scout).next_step.kind
        with transaction("Job/mail.send"):
            for _ in range(20):
                some_library.function()
        assert "fix shop.policies and restart the process" == str(status(scout).next_step)
        assert status(scout, "shop.newer").next_step is None, "an optional target may be missing"


@pytest.mark.parametrize(
    ("source", "kind", "frame"),
    [
        ("import os\n\nraise KeyError('x')\n", "import-error", ("{file}", 3, "<module>")),
        ("x = 1\ndef broken(:\n", "import-error", ("{file}", 2, "<module>")),
        ("import sys\ndef leave():\n    sys.exit(1)\nleave()\n", "exit-on-import", ("{file}", 3, "leave")),
        (GOOD.replace("on_span", "on_spam"), "invalid-hook", ("{file}", 2, "on_spam")),
        (GOOD.replace("(span)", "(spam)"), "invalid-hook", ("{file}", 2, "on_span")),
        ("import no_such_module", "import-error", ("{file}", 1, "<module>")),
    ],
)
def test_a_plugin_that_cannot_be_loaded_has_a_traceback(site, source, kind, frame):
    write_modules(site, scout_quartz=source)
    failed = status_of(loaded(found()).all["redis"])

    assert [kind] == [problem.kind for problem in failed.problems]
    assert (str(site / "scout_quartz.py"), *frame[1:]) == failed.traceback[0]
    assert not [file for file, _, _ in failed.traceback if "scout_core" in file or "importlib" in file]


def test_a_plugin_without_its_library_is_waiting(site):
    write_modules(site, scout_quartz=GOOD + "@hookimpl\ndef instrument(wrap): wrap('missing_redis:get', print)\n")
    plugins = loaded(found(instruments=("missing-redis>=4",)))
    plugins.instrument()
    try:
        assert {"redis": ("waiting", "missing-redis (>=4) is not installed")} == states(plugins)
    finally:
        plugins.undo()


def test_a_plugin_is_not_quarantined_when_the_agent_stops(site):
    plugins = loaded(named=[module(on_span=lambda span: None)])
    plugins.freeze("on_span")
    plugins.undo()

    assert {"shop.policies": ("active", "")} == states(plugins)
    assert [None] == [guard.run(1) for guard in plugins.freeze("on_span")]


def test_an_object_can_be_a_plugin_unless_its_name_is_taken():
    plugins = loaded()
    plugins.add_object(module("first", on_span=lambda span: 1), "first")
    with pytest.raises(PluginError, match="there is already a plugin first"):
        plugins.add_object(module("second", on_span=lambda span: 2), "first")
    with pytest.raises(PluginError, match="it has no function"):
        plugins.add_object(object(), "second")

    assert ["first"] == list(plugins.all)
    assert [1] == [guard.run(None) for guard in plugins.freeze("on_span")]


def test_a_plugin_has_the_guards_of_its_hooks_once():
    plugins = loaded(named=[module(on_span=lambda span: None)])
    first = plugins.freeze("on_span")
    again = plugins.freeze("on_span")

    assert first == again == tuple(plugins.all["shop.policies"].guards)
