"""The current values: layers, origins, and problems of invalid values."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scout_core.config.config import read_config
from scout_core.config.files import Settings
from scout_core.config.foreign import FOREIGN
from scout_core.config.options import BY_KEY, OPTIONS
from scout_core.config.origin import Layer, Origin

unhurried = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # the machine may be busy

FILE = Path("/srv/app/pyproject.toml")


def config(code=None, *, environment=None, framework=None, file=None):
    settings = None if file is None else Settings(FILE, values=file)
    flask = None if framework is None else ("Flask", framework)
    return read_config(code, environment=environment or {}, framework=flask, settings=settings)


def texts(found):
    """The problems as a person reads them."""
    return [str(problem) for problem in found.problems]


# Layers


@pytest.mark.parametrize(
    ("layers", "value", "origin"),
    [
        ({}, "Python App", "default"),
        ({"file": {"name": "File"}}, "File", f"file {FILE}"),
        ({"file": {"name": "File"}, "framework": {"SCOUT_NAME": "Shop", "NAME": "no"}}, "Shop", "Flask settings"),
        (
            {"file": {"name": "File"}, "framework": {"SCOUT_NAME": "Shop"}, "code": {"name": "Code"}},
            "Code",
            "code",
        ),
        (
            {"file": {"name": "File"}, "code": {"name": "Code"}, "environment": {"SCOUT_NAME": "Env"}},
            "Env",
            "environment SCOUT_NAME",
        ),
        ({"file": {"name": "File"}, "environment": {"SCOUT_NAME": ""}}, "File", f"file {FILE}"),
        ({"file": {"name": "File"}, "code": {"name": ""}}, "", "code"),
    ],
)
def test_the_strongest_layer_counts(layers, value, origin):
    found = config(**layers)

    assert (value, origin, []) == (found.get("name"), str(found.origin("name")), found.problems)
    assert found.is_set("name") == (origin != "default")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_every_option_can_be_set_in_every_layer(option):
    texts = {
        "errors_ignored_exceptions": "KeyError",
        "uri_reporting": "path",
        "report_period": "7",
        "collector_url": "http://h",
        "plugins": "a.b",
        "sample_endpoints": "a:0.5",
        "sample_jobs": "a:0.5",
        "reserved_places": "a:0.5",
    }
    text = texts.get(option.key, "speed:2" if option.key == "policies" else "0.25" if "rate" in option.key else "8")
    if isinstance(option.default, bool):
        text = str(not option.default).lower()
    expected = option.kind.read(text)
    given = expected if option.key != "plugins" else ["a.b"]

    assert expected != option.default
    for layer in (
        {"environment": {option.variable: text}},
        {"code": {option.key.replace(".", "_"): given}},
        {"code": {option.key: given}},
        {"code": {option.key: text}},
        {"framework": {option.variable: given}},
        {"file": {option.key: given}},
    ):
        found = config(**layer)
        assert (expected, [], True) == (found.get(option.key), found.problems, found.is_set(option.key))
        assert found.is_changed(option.key)


def test_every_option_has_a_value_without_any_layer():
    found = config()

    assert [] == found.problems
    for option in OPTIONS:
        assert not found.is_set(option.key)
        if option.key not in ("hostname", "revision_sha", "state_dir"):
            assert option.default == found.get(option.key)
            assert not found.is_changed(option.key)


def test_an_option_that_does_not_exist():
    with pytest.raises(KeyError):
        config().get("nonsense")
    assert not config().is_changed("nonsense")


@pytest.mark.parametrize(
    "layer",
    [
        {"environment": {"SCOUT_DISABLED_INSTRUMENTS": "redis"}},
        {"code": {"disabled_instruments": ["redis"]}},
        {"file": {"disabled_instruments": ["redis"]}},
        {"framework": {"SCOUT_DISABLED_INSTRUMENTS": "redis"}},
    ],
)
def test_a_former_name_keeps_working(layer):
    found = config(**layer)

    assert (("redis",), []) == (found.get("plugins.disable"), found.problems)


def test_a_name_wins_over_its_former_name():
    found = config(environment={"SCOUT_DISABLED_INSTRUMENTS": "old", "SCOUT_PLUGINS_DISABLE": "new"})

    assert (("new",), "environment SCOUT_PLUGINS_DISABLE") == (
        found.get("plugins.disable"),
        str(found.origin("plugins.disable")),
    )


def test_the_environment_of_the_process_is_the_default(monkeypatch):
    monkeypatch.setenv("SCOUT_NAME", "Shop")

    assert "Shop" == read_config().get("name")
    assert "Python App" == read_config(environment={}).get("name")


@pytest.mark.parametrize(
    ("origin", "text", "is_set"),
    [
        (Origin(Layer.ENVIRONMENT, "SCOUT_NAME"), "environment SCOUT_NAME", True),
        (Origin(Layer.CODE), "code", True),
        (Origin(Layer.FRAMEWORK, "Flask"), "Flask settings", True),
        (Origin(Layer.FILE, "/srv/app/pyproject.toml"), "file /srv/app/pyproject.toml", True),
        (Origin(Layer.DERIVED, "the operating system"), "derived: the operating system", False),
        (Origin(Layer.DEFAULT), "default", False),
    ],
)
def test_an_origin_is_data_and_reads_as_a_phrase(origin, text, is_set):
    assert (text, is_set) == (str(origin), origin.is_set)


# Derived


def test_what_is_derived_from_the_machine_and_the_platform():
    found = config(environment={"HOME": "/home/ann", "HEROKU_SLUG_COMMIT": "abc"})

    assert (os.uname().nodename, "derived: the operating system") == (
        found.get("hostname"),
        str(found.origin("hostname")),
    )
    assert (Path("/home/ann/.local/state/scout-core"), "derived: the user's state directory") == (
        found.state_dir,
        str(found.origin("state_dir")),
    )
    assert ("abc", "derived: environment HEROKU_SLUG_COMMIT") == (
        found.get("revision_sha"),
        str(found.origin("revision_sha")),
    )


def test_every_other_layer_wins_over_what_is_derived():
    environment = {"XDG_STATE_HOME": "/state", "KAMAL_VERSION": "k", "HEROKU_BUILD_COMMIT": "h"}
    assert ("/state/scout-core", "h") == (
        config(environment=environment).get("state_dir"),
        config(environment=environment).get("revision_sha"),
    )
    found = config(environment=environment, file={"revision_sha": "file", "state_dir": "/x", "hostname": "y"})

    assert ("file", "/x", "y") == (found.get("revision_sha"), found.get("state_dir"), found.get("hostname"))


@pytest.mark.parametrize("empty", ["", "  ", None])
def test_an_empty_value_gives_way_to_what_is_derived(empty):
    """The state directory must never be the working directory, where others could put a collector."""
    environment = {} if empty is None else {"SCOUT_HOSTNAME": empty, "SCOUT_STATE_DIR": empty}
    found = config({"hostname": empty, "state_dir": empty}, environment={"HOME": "/home/ann", **environment})

    assert (os.uname().nodename, "/home/ann/.local/state/scout-core") == (found.get("hostname"), found.get("state_dir"))
    assert [] == found.problems


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_an_empty_environment_variable_is_not_set(option, empty):
    """As in ``SCOUT_MONITOR=${SCOUT_MONITOR}`` of a compose file."""
    unset, found = config(), config(environment=dict.fromkeys(option.variables, empty))
    in_code = config({option.key: option.default}, environment={option.variable: empty})

    assert ([], unset.get(option.key)) == (found.problems, found.get(option.key))
    assert (unset.origin(option.key), False) == (found.origin(option.key), found.is_set(option.key))
    assert str(in_code.origin(option.key)) in ("code", str(unset.origin(option.key)))


def test_an_empty_variable_gives_way_to_the_former_name():
    found = config(environment={"SCOUT_DISABLED_INSTRUMENTS": "old", "SCOUT_PLUGINS_DISABLE": ""})

    assert ("old",) == found.get("plugins.disable")


@pytest.mark.parametrize(("key", "some"), [("ignore", ["/x"]), ("plugins.disable", ["a"]), ("policies", {"speed": 2})])
def test_a_comma_is_an_empty_list_or_table(key, some):
    variable = "SCOUT_" + key.replace(".", "_").upper()
    found = config(file={key: some}, environment={variable: ","})

    assert ([], f"environment {variable}") == (found.problems, str(found.origin(key)))
    assert not found.get(key)


@pytest.mark.parametrize("layer", ["code", "file", "framework"])
@pytest.mark.parametrize("key", ["monitor", "max_spans", "report_period", "sample_rate", "uri_reporting"])
def test_an_empty_text_in_other_layers_is_invalid_where_text_is_not_expected(layer, key):
    found = config(**{layer: {f"SCOUT_{key.upper()}" if layer == "framework" else key: ""}})

    assert config().get(key) == found.get(key)
    assert [key] == [problem.subject for problem in found.problems]


def test_there_is_a_state_directory_without_a_home():
    assert config(environment={"HOME": ""}).state_dir.is_absolute()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("~/scout", Path.home() / "scout"),
        ("/var/scout", Path("/var/scout")),
        ("~nobody-of-that-name/x", Path("~nobody-of-that-name/x")),
    ],
)
def test_the_state_directory_may_begin_with_a_tilde(written, expected):
    assert expected == config({"state_dir": written}).state_dir


# Invalid values


POSITIVE = "expected a duration above 0, in seconds or as 500 ms, 2 min, 1h30m"


@pytest.mark.parametrize(
    ("layers", "value", "problems"),
    [
        (
            {"environment": {"SCOUT_REPORT_PERIOD": "abc"}},
            60.0,
            [
                f"invalid value 'abc' for report_period (environment SCOUT_REPORT_PERIOD); {POSITIVE}; using the default, 1 min"
            ],
        ),
        (
            {"environment": {"SCOUT_REPORT_PERIOD": "0"}, "file": {"report_period": 5}},
            5.0,
            [
                f"invalid value '0' for report_period (environment SCOUT_REPORT_PERIOD); {POSITIVE}; using the value from file {FILE}"
            ],
        ),
        (
            {
                "environment": {"SCOUT_REPORT_PERIOD": "0"},
                "code": {"report_period": [5]},
                "framework": {"SCOUT_REPORT_PERIOD": "never"},
                "file": {"report_period": True},
            },
            60.0,
            [
                f"invalid value '0' for report_period (environment SCOUT_REPORT_PERIOD); {POSITIVE}; using the default, 1 min",
                f"invalid value [5] for report_period (code); {POSITIVE}; using the default, 1 min",
                f"invalid value 'never' for report_period (Flask settings); {POSITIVE}; using the default, 1 min",
                f"invalid value True for report_period (file {FILE}); {POSITIVE}; using the default, 1 min",
            ],
        ),
        (
            {"code": {"report_period": "x"}, "environment": {"SCOUT_REPORT_PERIOD": "y"}, "file": {"report_period": 7}},
            7.0,
            [
                f"invalid value 'y' for report_period (environment SCOUT_REPORT_PERIOD); {POSITIVE}; using the value from file {FILE}",
                f"invalid value 'x' for report_period (code); {POSITIVE}; using the value from file {FILE}",
            ],
        ),
    ],
)
def test_a_bad_value_is_reported_with_its_origin_and_what_is_used_instead(layers, value, problems):
    found = config(**layers)

    assert (value, problems) == (found.get("report_period"), texts(found))
    assert {("invalid-value", "report_period")} == {(problem.kind, problem.subject) for problem in found.problems}


@pytest.mark.parametrize(
    ("layers", "name", "problem"),
    [
        ({"code": {"nam": 1}}, "nam", "unknown option nam (code) is ignored; did you mean name?"),
        (
            {"code": {"plugins_disabel": 1}},
            "plugins_disabel",
            "unknown option plugins_disabel (code) is ignored; did you mean plugins_disable?",
        ),
        ({"code": {"zzz": 1}}, "zzz", "unknown option zzz (code) is ignored; see 'scout-core config' for all options"),
        (
            {"file": {"sample_rat": 1}},
            "sample_rat",
            f"unknown option sample_rat (file {FILE}) is ignored; did you mean sample_rate?",
        ),
        (
            {"file": {"plugins.disabel": []}},
            "plugins.disabel",
            f"unknown option plugins.disabel (file {FILE}) is ignored; did you mean plugins.disable?",
        ),
        (
            {"framework": {"SCOUT_NAEM": "Shop", "DEBUG": True, 7: "seven"}},
            "SCOUT_NAEM",
            "unknown option SCOUT_NAEM (Flask settings) is ignored; did you mean SCOUT_NAME?",
        ),
        (
            {"environment": {"SCOUT_REPORT_PEROID": "1"}},
            "SCOUT_REPORT_PEROID",
            "unknown option SCOUT_REPORT_PEROID (environment) is ignored; did you mean SCOUT_REPORT_PERIOD?",
        ),
        (
            {"environment": {"SCOUT_PLUGIN": "a"}},
            "SCOUT_PLUGIN",
            "unknown option SCOUT_PLUGIN (environment) is ignored; did you mean SCOUT_PLUGINS?",
        ),
    ],
)
def test_an_unknown_option_is_reported_with_the_nearest(layers, name, problem):
    found = config(**layers)

    assert [problem] == texts(found)
    assert [("unknown-option", name)] == [
        (found_problem.kind, found_problem.subject) for found_problem in found.problems
    ]


@pytest.mark.parametrize("key", FOREIGN)
def test_options_of_scouts_own_agents_are_known_and_need_an_exporter(key):
    variable = f"SCOUT_{key.upper()}"
    places = {
        "environment": {"environment": {variable: "secret-4711"}},
        "code": {"code": {key: "secret-4711"}},
        f"file {FILE}": {"file": {key: "secret-4711"}},
        "Flask settings": {"framework": {variable: "secret-4711"}},
    }
    for place, layers in places.items():
        (found,) = config(**layers).problems
        name = variable if place in ("environment", "Flask settings") else key

        assert ("needs-exporter", name) == (found.kind, found.subject)
        assert f"{name} ({place}) has no effect: it is for {FOREIGN[key]}" in str(found)
        assert "secret" not in str(found).replace(name, "")


def test_an_option_of_a_plugin_wins_over_that_of_another_agent():
    @attrs.frozen
    class Options:
        level: str = "info"

    found = config(environment={"SCOUT_LOG_LEVEL": "debug", "SCOUT_LOG_FILE": "x"})
    found.add_plugin_options("log", Options)

    assert "debug" == found.plugin("log").level
    assert [("unknown-option", "SCOUT_LOG_FILE")] == [(problem.kind, problem.subject) for problem in found.problems]


def test_variables_of_other_programs_are_not_a_problem():
    environment = {
        "SCOUT_CORE_RUN": "1",
        "SCOUT_REDIS_ARGS": "1",
        "scout_name": "y",
    }

    assert [] == config(environment=environment).problems


class Refuses:
    """Can neither be shown nor converted."""

    def __repr__(self):
        raise RuntimeError("no text")

    __str__ = __repr__


@pytest.mark.parametrize(
    "value",
    [Refuses(), 10**400, 10**5000, float("nan"), b"\xff", {"a": None}, [Refuses()]],
    ids=["refuses", "huge", "larger than it may be printed", "nan", "bytes", "table", "list"],
)
@pytest.mark.parametrize("key", ["report_period", "plugins_disable", "sample_endpoints", "monitor", "max_spans"])
def test_whatever_code_gives_is_reported_and_not_raised(key, value):
    found = config({key: value})
    real = BY_KEY[key.replace("plugins_", "plugins.")]

    assert real.default == found.get(real.key)
    (problem,) = texts(found)
    assert problem.startswith("invalid value ")
    assert f" for {real.key} (code); " in problem
    assert problem.endswith(real.kind.written(real.default) if real.kind.written else repr(real.default))
    assert len(problem) < 400


def test_a_value_that_raises_when_it_is_read_is_reported_too():
    def names():
        yield "redis"
        raise OSError("gone")

    found = config({"plugins_disable": names(), "sample_endpoints": {Refuses(): 1}})

    assert ((), {}) == (found.get("plugins.disable"), found.get("sample_endpoints"))
    reasons = sorted(problem.split("(code); ")[1] for problem in texts(found))
    assert ["it raised OSError; using the default, ()", "it raised RuntimeError; using the default, {}"] == reasons


def test_secrets_are_never_shown():
    secret = "hunter2-hunter2"
    for layers in (
        {"code": {"collector_token": [secret]}},
        {"file": {"collector_token": {"a": secret}}},
        {"environment": {"SCOUT_COLLECTOR_TOKENS": secret}},
        {"code": {"collector_tokn": secret}},
        {"framework": {"SCOUT_COLLECTOR_TOKEN": [secret]}},
        {"code": {"collector_url": [f"https://ann:{secret}@collector.example"]}},
        {"code": {"collector_url": f"https://ann:{secret}@collector.example"}},
        {"code": {"collector_url": f"https://collector.example?key={secret}"}},
        {"file": {"collector_url": f"https://collector.example#{secret}"}},
    ):
        found = config(**layers)
        assert 1 == len(found.problems)
        assert secret not in str(found.problems)


@unhurried
@given(
    st.dictionaries(
        st.sampled_from([option.variable for option in OPTIONS])
        | st.text(min_size=1).map(lambda text: f"SCOUT_{text}"),
        st.text(),
    )
)
def test_no_content_of_the_environment_raises(environment):
    found = config(environment=environment)

    assert isinstance(found.state_dir, Path)
    for option in OPTIONS:
        found.get(option.key)
    for problem in texts(found):
        assert "; using " in problem or "; did you mean " in problem


@unhurried
@given(
    st.dictionaries(
        st.sampled_from([option.key for option in OPTIONS]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.lists(st.text() | st.integers())
        | st.dictionaries(st.text(), st.floats()),
    )
)
def test_no_content_of_a_file_raises(values):
    found = config(file=values)

    for option in OPTIONS:
        option.kind.read(found.get(option.key))


# Settings that come later


def test_added_settings_take_their_place_among_the_layers():
    found = config({"name": "Code"}, environment={"SCOUT_MAX_SPANS": "7"}, file={"report_period": 5, "max_names": 3})

    assert [] == found.add_settings({"max_names": 4}, ("Flask", {"SCOUT_NAME": "Flask", "SCOUT_REPORT_PERIOD": "2m"}))
    assert [] == found.add_settings({}, ("Flask", {"SCOUT_MAX_SPANS": 9, "SCOUT_MAX_NAMES": 5}))

    assert [("Code", "code"), (120.0, "Flask settings"), (7, "environment SCOUT_MAX_SPANS"), (4, "code")] == [
        (found.get(key), str(found.origin(key))) for key in ("name", "report_period", "max_spans", "max_names")
    ]


def test_settings_that_come_too_late_are_problems_and_change_nothing():
    found = config({"name": "Code"})
    problems = found.add_settings({"name": "Late", "plugins_disable": "age"}, fixed=["plugins.disable", "hostname"])

    assert ["plugins.disable (code) was set after the agent had started and has no effect; set it in the file, or as SCOUT_PLUGINS_DISABLE"] == [
        str(problem) for problem in problems
    ]  # fmt: skip
    assert ("Late", (), "default") == (
        found.get("name"),
        found.get("plugins.disable"),
        str(found.origin("plugins.disable")),
    )


def test_only_new_problems_are_returned():
    found = config({"nam": 1, "max_spans": "many"})

    assert ["unknown-option", "invalid-value"] == [
        problem.kind for problem in found.add_settings({"max_names": "many", "nme": 1, "nam": 2})
    ][::-1]
    assert 4 == len(found.problems)


# Imports


HEAVY = {"asyncio", "attr", "cattrs", "click", "email", "http", "importlib.metadata", "logging.config", "packaging", "psutil", "socket",
         "ssl", "tomllib", "wrapt"}  # fmt: skip


def loaded_by(code, folder):
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            f"import sys; sys.path[:] = {sys.path!r}; {code}; import json; print(json.dumps(sorted(sys.modules)))",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return set(json.loads(done.stdout))


def test_importing_scout_core_loads_nothing_heavy(tmp_path):
    assert set() == HEAVY & loaded_by("import scout_core", tmp_path)


def test_starting_the_agent_loads_no_metadata_reader_and_no_network(tmp_path):
    settings = f"plugins_disable='collector', state_dir={str(tmp_path)!r}"
    modules = loaded_by(f"import scout_core; scout_core.start({settings}); scout_core.stop(0)", tmp_path)

    assert "scout_core.agent" in modules
    assert set() == (HEAVY - {"attr", "packaging", "socket"}) & modules


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        *((url, "") for url in (
            "notaurl", "127.0.0.1:7600", "ftp://127.0.0.1/", "http://", "http:///x", "http://:7600", "http://h:99999", "http://h:0", "http://h:port",
            "http://h:-1", "http://[::1", "http://a b/", "http://a/b c", "http://a\n/", "http://a..b", "http://h\\x", "http://h/ü", "//h", "/x", "http:h",
        )),
        *((url, ", without user, password, query and fragment") for url in ("http://ann:pw@h/", "https://ann@h", "http://h/?a=1", "http://h#x")),
    ],
)  # fmt: skip
def test_an_unusable_url_is_reported_when_it_is_read(url, hint):
    (problem,) = texts(config(environment={"SCOUT_COLLECTOR_URL": url}))

    shown = "'…'" if hint else repr(url)
    expected = f"expected a URL such as http://127.0.0.1:7600{hint}; using the default, ''"
    assert problem.replace("value … for", "value '…' for") == (
        f"invalid value {shown} for collector_url (environment SCOUT_COLLECTOR_URL); {expected}"
    )


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:7600", "https://collector.example/scout/", "http://[::1]:7600", "HTTP://h", "http://münchen.example", "http://h.", "  http://h  "],
)  # fmt: skip
def test_a_usable_url_is_kept(url):
    found = config(environment={"SCOUT_COLLECTOR_URL": url})

    assert ([], url.strip()) == (texts(found), found.get("collector_url"))


def test_a_framework_setting_of_none_removes_an_earlier_one():
    config = read_config(framework=("Flask", {"SCOUT_NAME": "Shop", "SCOUT_HOSTNAME": None}))
    config.add_settings({}, ("Flask", {"SCOUT_NAME": None}))

    assert ("Python App", "default") == (config.get("name"), str(config.origin("name")))
