"""``scout-core plugins``: which plugins it finds, their states, and the reasons."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

from scout_core.agent import VERSION
from tests.commandline import MODULE, NEEDS, PLUGIN, SCRIPT, Commandline


@pytest.fixture
def scout_core(tmp_path):
    return Commandline(tmp_path)


POLICY = """
    from scout_core import hookimpl

    @hookimpl
    def score_transaction(transaction):
        return 1.0
"""


def state(ran, name):
    """Return the state and reason of a plugin."""
    status = ran.named(name)
    return status["state"], status["reason"]


@pytest.fixture
def here(scout_core):
    """The working directory of the command."""
    return scout_core.here


def test_plugins_are_shown_as_a_table(scout_core):
    done = scout_core("plugins")

    assert (0, "") == (done.code, done.err)
    head, *rows = done.out.splitlines()
    assert ["NAME", "VERSION", "STATE", "TARGET", "HOOKS", "FROM"] == head.split()
    row = next(row for row in rows if row.startswith("sampling "))
    assert ["sampling", VERSION, "active", "ignore_transaction,", "on_request_start", "scout-core"] == row.split()


def test_plugins_are_printed_as_json(scout_core, here):
    (here / "my_plugin.py").write_text(PLUGIN)
    done = scout_core("plugins", "--json", SCOUT_PLUGINS="my_plugin", SCOUT_PLUGINS_DISABLE="age")
    by_name = {plugin["name"]: plugin for plugin in json.loads(done.out)}

    assert (0, "") == (done.code, done.err)
    assert {"age", "collector", "ignoring", "my_plugin", "percent", "percentile", "sampling", "speed"} <= set(by_name)
    assert "disabled" == by_name["age"]["state"]
    assert by_name["age"]["reason"] == "plugins.disable (environment SCOUT_PLUGINS_DISABLE) contains it"
    mine = by_name["my_plugin"]
    assert ("active", None, ["instrument", "register_options", "score_transaction"]) == (
        mine["state"],
        mine["distribution"],
        mine["hooks"],
    )
    assert (["json:dumps"], ["a_library_that_is_not_there:work"], ["json:nothing"]) == (
        mine["wrapped"],
        mine["waiting"],
        mine["not_found"],
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nowhere_at_all", "my_plugin cannot be imported: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("import sys; sys.exit(7)", "my_plugin called sys.exit(7) when it was imported"),
        ("x = 1", "it has no function marked with @hookimpl"),
        (PLUGIN.replace("score_transaction", "score_transactions"), "there is no hook score_transactions; did you mean score_transaction?"),
        (PLUGIN.replace("instrument(wrap)", "instrument(wrapp)"), "the hook instrument has no argument wrapp; did you mean wrap?"),
        (PLUGIN.replace('wrap("json:dumps"', 'wrap("json.dumps"'), "invalid target 'json.dumps'; expected"),
    ],
)  # fmt: skip
def test_a_failed_plugin_is_shown_with_its_reason_and_exit_code_1(scout_core, here, source, reason):
    (here / "my_plugin.py").write_text(source)
    done = scout_core("plugins", SCOUT_PLUGINS="my_plugin")

    assert (1, "") == (done.code, done.err)
    assert f"\nmy_plugin has failed: {reason}" in done.out
    assert "speed" in done.out


def test_a_missing_required_plugin_is_a_problem_beside_the_table(scout_core):
    ran = scout_core("plugins", SCOUT_PLUGINS_REQUIRE="quartz")

    assert (1, ["required plugins (environment SCOUT_PLUGINS_REQUIRE): quartz is not installed"]) == (
        ran.code,
        ran.problems,
    )
    assert "\nspeed " in ran.out


def test_problems_are_printed_beside_the_table(scout_core):
    done = scout_core("plugins", SCOUT_PLUGINS_ENABLE="nonsense")

    assert 1 == done.code
    assert "\nspeed " in done.out
    assert (
        "problem: plugins.enable (environment SCOUT_PLUGINS_ENABLE) names 'nonsense', which is not a plugin here; 'scout-core plugins' lists all plugins\n"
        == done.err
    )


@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["module", "script"])
def test_a_named_module_is_found_in_the_working_directory(scout_core, here, command):
    """``python -m`` puts it on the path; an installed script does not."""
    scout_core.write_module("shop_policies", POLICY)
    (here / "scout-core.toml").write_text('plugins = ["shop_policies"]\n', encoding="utf-8")

    ran = scout_core("plugins", "--json", command=command)

    assert (0, "", ("active", "")) == (ran.code, ran.err, state(ran, "shop_policies"))


@pytest.mark.parametrize(
    "source, reason",
    [
        ("raise ValueError(1)", "broken cannot be imported: ValueError: "),
        ("def", "broken cannot be imported: SyntaxError: "),
        (
            "from scout_core import hookimpl\n@hookimpl\ndef instrument(wrap): raise KeyError('x')",
            "instrument raised K",
        ),
        (
            "from scout_core import hookimpl\n@hookimpl\ndef instrument(wrap): wrap('json:no_such', lambda *args: None)",
            "json:no_such: ",
        ),
    ],
)
def test_a_failed_plugin_does_not_affect_the_others(scout_core, source, reason):
    scout_core.write_module("broken", source)

    ran = scout_core("plugins", "--json", SCOUT_PLUGINS="broken")
    failed, found = state(ran, "broken")

    assert (1, "failed", ("active", "")) == (ran.code, failed, state(ran, "speed"))
    assert found.startswith(reason)


def test_a_disabled_module_is_not_imported(scout_core):
    scout_core.write_module("broken", "raise ValueError('it must not be imported')")

    ran = scout_core("plugins", "--json", SCOUT_PLUGINS="broken", SCOUT_PLUGINS_DISABLE="broken")

    assert (0, "") == (ran.code, ran.err)
    found, reason = state(ran, "broken")
    assert "disabled" == found
    assert reason == "plugins.disable (environment SCOUT_PLUGINS_DISABLE) contains it"


def test_only_enabled_plugins_are_active_without_autoload(scout_core):
    ran = scout_core("plugins", "--json", SCOUT_PLUGINS_AUTOLOAD="false", SCOUT_PLUGINS_ENABLE="speed")

    assert ["speed"] == [status["name"] for status in json.loads(ran.out) if status["state"] == "active"]
    assert 0 == ran.code


def test_the_table_ends_with_a_count_and_the_next_step(scout_core):
    scout_core.install("broken", "import nowhere_to_be_found")
    ran = scout_core(
        "plugins",
        SCOUT_PLUGINS_DISABLE="age,percent",
        SCOUT_PLUGINS_ENABLE="broken,speed",
        SCOUT_PLUGINS_AUTOLOAD="false",
    )

    last = ran.out.splitlines()[-1]
    assert " plugins: 1 active, " in last
    assert last.endswith(" 1 failed. Details: scout-core plugins broken")


def test_a_plugin_that_prints_during_import_does_not_corrupt_the_json(scout_core):
    scout_core.install("loud", "print('hello')\n" + textwrap.dedent(POLICY))
    ran = scout_core("plugins", "--json")

    assert ("active", "hello\n") == (ran.named("loud")["state"], ran.err)


@pytest.mark.parametrize("hook", ["register_options()", "instrument(wrap)"])
def test_a_plugin_that_exits_in_a_hook_is_reported(scout_core, hook):
    file = scout_core.install(
        "leaving", f"import sys\nfrom scout_core import hookimpl\n@hookimpl\ndef {hook}:\n    sys.exit(3)\n"
    )
    ran = scout_core("plugins")

    assert 1 == ran.code
    assert "\nspeed " in ran.out
    reported = "".join(line for line in (ran.out + ran.err).splitlines() if "leaving" in line and f"{file}:5" in line)
    assert "SystemExit: 3" in reported


@pytest.mark.parametrize("variable", ["SCOUT_PLUGINS_STRICT", "SCOUT_PLUGINS_RERAISE"])
def test_settings_meant_for_tests_do_not_hide_plugins(scout_core, variable):
    source = "from scout_core import hookimpl\n@hookimpl\ndef instrument(wrap):\n    raise KeyError('plan')\n"
    scout_core.install("broken", source)
    ran = scout_core("plugins", "--json", **{variable: "true"})

    assert (1, "failed", "active") == (ran.code, state(ran, "broken")[0], state(ran, "speed")[0])
    assert len(ran.problems) == (variable == "SCOUT_PLUGINS_STRICT")


# details of a plugin


def test_the_details_of_a_plugin_are_shown(scout_core):
    file = scout_core.write_module("my_plugin", PLUGIN)
    ran = scout_core("plugins", "my_plugin", SCOUT_PLUGINS="my_plugin", SCOUT_MY_PLUGIN_LEVEL="7")

    assert (0, "") == (ran.code, ran.err)
    assert [
        f"my_plugin (named module, {file})",
        "  state       active",
        "  hooks       instrument, register_options, score_transaction",
        "  wrapped     json:dumps",
        "  waiting     a_library_that_is_not_there:work",
        "  not found   json:nothing: json has no nothing",
        "  options     plugins.my_plugin.level = 7  (environment SCOUT_MY_PLUGIN_LEVEL)",
        "                  A whole number. How deep. Default: 1.",
        "              plugins.my_plugin.api_key = ''  (default)",
    ] == ran.out.splitlines()[:9]


@pytest.mark.parametrize(
    ("source", "line", "marked"),
    [
        ("import os\n\nraise KeyError('x')\n", 3, "raise KeyError('x')"),
        ("import os\nimport sys\nsys.exit(3)\n", 3, "sys.exit(3)"),
        ("x = 1\ndef broken(:\n    pass\n", 2, "def broken(:"),
        ("def deeper():\n    return {}['plan']\n\ndeeper()\n", 2, "    return {}['plan']"),
        (PLUGIN.replace("score_transaction", "score_transactions"), 15, "def score_transactions():"),
        (PLUGIN.replace("instrument(wrap)", "instrument(wrapp)"), 19, "def instrument(wrapp):"),
        (
            PLUGIN.replace('wrap("json:dumps"', "nothing('json:dumps'"),
            20,
            "    nothing('json:dumps', lambda *args, **kwargs: None)",
        ),
    ],
)
def test_the_line_that_failed_is_shown(scout_core, source, line, marked):
    file = scout_core.install("broken", "")
    file.write_text(source)
    ran = scout_core("plugins", "broken")

    lines = ran.out.splitlines()
    (place,) = [number for number, text in enumerate(lines) if text.strip().startswith("where ")]
    assert 1 == ran.code
    assert f"{file}:{line}" in lines[place]
    assert f"> {line:4}  {marked}" in [text.strip() for text in lines[place + 1 : place + 4]]
    assert "upgrade or disable the plugin: pip install -U acme-broken, or: scout-core plugins disable broken" in ran.out


def test_the_details_are_json_wherever_the_option_is(scout_core):
    after = scout_core("plugins", "speed", "--json")
    before = scout_core("plugins", "--json", "speed")

    assert (0, after) == (after.code, before)
    assert ("speed", "active", [], None) == tuple(after.json[key] for key in ("name", "state", "processes", "place"))
    assert after.json["file"].endswith("speed.py")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sped", "Did you mean 'speed'?"),
        ("enabel", "Did you mean 'enable'?"),
        ("zzz", "'scout-core plugins' lists all plugins."),
    ],
)
def test_an_unknown_plugin_is_a_usage_error(scout_core, name, hint):
    ran = scout_core("plugins", name)

    assert (2, "") == (ran.code, ran.out)
    assert f"Error: No such plugin {name!r}. {hint}\n" in ran.err


@pytest.mark.parametrize(
    ("requires", "state", "step"),
    [
        (('json-of-acme>=2; extra == "instruments"',), "waiting", "pip install 'json-of-acme>=2'"),
        (('pluggy>=99; extra == "instruments"',), "skipped", "pip install -U acme-letters"),
        (
            ('pluggy>=1; extra == "instruments"',),
            "waiting",
            "nothing; the plugin starts when the application imports its library",
        ),
    ],
)
def test_the_next_step_is_shown(scout_core, requires, state, step):
    source = (
        'from scout_core import hookimpl\n@hookimpl\ndef instrument(wrap): wrap("letters_of_acme:send", lambda: None)\n'
    )
    scout_core.install("letters", source, requires=requires)
    ran = scout_core("plugins", "letters")

    assert (0, "") == (ran.code, ran.err)
    assert f"  state       {state}" in ran.out
    assert step in ran.out


@pytest.mark.parametrize(
    ("settings", "environment", "step"),
    [
        ("plugins = {disable = ['speed']}", {}, "scout-core plugins enable speed"),
        ("plugins = {disable = ['*']}", {}, "scout-core plugins enable '*'"),
        ("plugins = {disable = ['speed', '*']}", {}, "scout-core plugins enable '*' speed"),
        ("", {"SCOUT_PLUGINS_DISABLE": "age,speed"}, "remove speed from SCOUT_PLUGINS_DISABLE"),
        ("", {"SCOUT_PLUGINS_DISABLE": "*"}, "remove * from SCOUT_PLUGINS_DISABLE"),
        ("", {"SCOUT_DISABLED_INSTRUMENTS": "speed"}, "remove speed from SCOUT_DISABLED_INSTRUMENTS"),
        ("", {"SCOUT_PLUGINS_AUTOLOAD": "false", "SCOUT_PLUGINS_DISABLE": "age"}, "scout-core plugins enable speed"),
        ("", {"SCOUT_PLUGINS_AUTOLOAD": "false", "SCOUT_PLUGINS_ENABLE": "age"}, "add speed to SCOUT_PLUGINS_ENABLE"),
    ],
)  # fmt: skip
def test_a_disabled_plugin_is_shown_with_the_way_to_enable_it(scout_core, settings, environment, step):
    scout_core.write("scout-core.toml", settings)
    ran = scout_core("plugins", "speed", **environment)
    as_json = scout_core("plugins", "speed", "--json", **environment)

    found = as_json.json["next_step"]
    assert "disabled" == as_json.json["state"]
    assert [step] == (found["commands"] or [found["text"]])
    assert f"  next        {': '.join([found['text'], *found['commands']])}\n" in ran.out


@pytest.mark.parametrize("environment", [{}, {"SCOUT_PLUGINS_ALLOW": "scout-*"}])
def test_a_plugin_whose_distribution_is_not_allowed_is_shown_with_the_option_to_change(scout_core, environment):
    scout_core.install("letters", POLICY)
    file = scout_core.write("scout-core.toml", "plugins = {allow = ['scout-*']}")
    ran = scout_core("plugins", "letters", **environment)

    place = "SCOUT_PLUGINS_ALLOW" if environment else f"plugins.allow (file {file})"
    origin = "environment SCOUT_PLUGINS_ALLOW" if environment else f"file {file}"
    assert (
        f"  state       disabled: plugins.allow ({origin}) does not contain its distribution acme-letters\n" in ran.out
    )
    assert f"  next        add acme-letters to {place}\n" in ran.out


def test_the_next_step_works(scout_core):
    scout_core.write("scout-core.toml", "plugins = {disable = ['speed', '*']}")
    enabled = scout_core("plugins", "enable", "*", "speed")
    ran = scout_core("plugins", "speed", "--json")

    assert (0, "active") == (enabled.code, ran.json["state"])


# problems


@pytest.mark.parametrize(
    "arguments",
    [("plugins",), ("plugins", "--json"), ("plugins", "speed"), ("plugins", "speed", "--json"), ("hooks",), ("hooks", "--json"), ("config",), ("config", "--json")],
)  # fmt: skip
@pytest.mark.parametrize(
    ("settings", "environment", "expected"),
    [
        ("plugins = [", {}, "is not valid TOML"),
        ("", {"SCOUT_PLUGINS_DISABLE": "falsk"}, "names 'falsk'"),
    ],
)
def test_a_printed_problem_sets_exit_code_1(scout_core, arguments, settings, environment, expected):
    scout_core.write("scout-core.toml", settings)
    ran = scout_core(*arguments, **environment)

    (problem,) = [problem for problem in ran.problems if expected in problem]
    assert (1, [problem]) == (ran.code, ran.problems)


@pytest.mark.parametrize("raised", ["raise KeyError('shop')", "raise SystemExit(0)"])
def test_commands_that_cannot_be_added_are_a_problem_with_their_plugin(scout_core, raised):
    file = scout_core.install(
        "shop", f"from scout_core import hookimpl\n@hookimpl\ndef register_commands(cli):\n    {raised}\n"
    )
    detail = scout_core("plugins", "shop")
    table = scout_core("plugins")

    (problem,) = detail.problems
    assert (1, 1, [problem]) == (detail.code, table.code, table.problems)
    assert problem.startswith("plugin 'shop' raised an exception: ")
    assert f"{file}:4 in register_commands" in problem
    assert f">    4      {raised}" in detail.out


@pytest.mark.parametrize("arguments", [("plugins",), ("doctor",), ("hooks",)])
def test_an_environment_without_any_plugins_is_reported_as_missing_metadata(scout_core, arguments, tmp_path):
    """As in an environment that was copied without its metadata; scout-core and its dependencies are linked into it."""
    site = tmp_path / "bare"
    site.mkdir()
    for spec in filter(None, map(find_spec, NEEDS)):
        origin = Path(spec.origin)
        place = origin.parent if origin.name == "__init__.py" else origin
        (site / place.name).symlink_to(place)
    done = subprocess.run(
        [sys.executable, "-S", "-m", "scout_core", *arguments],
        cwd=scout_core.here, env=scout_core.environment(PYTHONPATH=str(site)), capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    problem = "no plugins found, not even the built-in ones: this environment lacks the metadata of scout-core, so applications record nothing"
    assert 1 == done.returncode
    assert problem in done.stdout + done.stderr
    assert "reinstall it: pip install --force-reinstall scout-core" in done.stdout + done.stderr
    assert "0 plugins:" not in done.stdout
