"""The values in force: layers, origins, and what is told of those that cannot be used."""

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
from scout_core.config.options import BY_KEY, OPTIONS, variable_of
from scout_core.config.origin import Layer, Origin
from scout_core.errors import ConfigError

unhurried = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # the machine may be busy

FILE = Path("/srv/app/pyproject.toml")


def config(code=None, *, environment=None, file=None, plugins=None):
    settings = None if file is None and plugins is None else Settings(FILE, values=file or {}, plugins=plugins or {})
    return read_config(code, environment=environment or {}, settings=settings)


# Layers


@pytest.mark.parametrize(
    ("layers", "value", "origin"),
    [
        ({}, "Python App", "default"),
        ({"file": {"name": "File"}}, "File", f"file {FILE}"),
        ({"file": {"name": "File"}, "code": {"name": "Code"}}, "Code", "code"),
        (
            {"file": {"name": "File"}, "code": {"name": "Code"}, "environment": {"SCOUT_NAME": "Env"}},
            "Env",
            "environment SCOUT_NAME",
        ),
        ({"file": {"name": "File"}, "environment": {"SCOUT_NAME": ""}}, "", "environment SCOUT_NAME"),
    ],
)
def test_the_strongest_layer_counts(layers, value, origin):
    found = config(**layers)

    assert (value, origin, []) == (found.get("name"), str(found.origin("name")), found.problems)
    assert found.is_set("name") == (origin != "default")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_every_option_can_be_set_in_every_layer(option):
    texts = {
        "uri_reporting": "path",
        "report_period": "7",
        "plugins": "a.b",
        "sample_endpoints": "a:0.5",
        "sample_jobs": "a:0.5",
    }
    text = texts.get(option.key, "speed:2" if option.key == "policies" else "0.25" if "rate" in option.key else "8")
    if isinstance(option.default, bool):
        text = str(not option.default).lower()
    expected = option.convert(text)
    given = expected if option.key != "plugins" else ["a.b"]

    assert expected != option.default
    for layer in (
        {"environment": {option.variable: text}},
        {"code": {option.key.replace(".", "_"): given}},
        {"code": {option.key: given}},
        {"code": {option.key: text}},
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
        if option.key not in ("hostname", "state_dir"):
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
    ],
)
def test_a_former_name_keeps_working(layer):
    found = config(**layer)

    assert (("redis",), []) == (found.get("plugins.disable"), found.problems)


def test_of_a_name_and_a_former_one_the_name_counts():
    found = config(environment={"SCOUT_DISABLED_INSTRUMENTS": "old", "SCOUT_PLUGINS_DISABLE": "new"})

    assert (("new",), "environment SCOUT_PLUGINS_DISABLE") == (
        found.get("plugins.disable"),
        str(found.origin("plugins.disable")),
    )


def test_the_environment_is_that_of_the_process_unless_one_is_given(monkeypatch):
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


def test_what_is_derived_gives_way_to_every_other_layer():
    environment = {"XDG_STATE_HOME": "/state", "KAMAL_VERSION": "k", "HEROKU_BUILD_COMMIT": "h"}
    assert ("/state/scout-core", "h") == (
        config(environment=environment).get("state_dir"),
        config(environment=environment).get("revision_sha"),
    )
    found = config(environment=environment, file={"revision_sha": "file", "state_dir": "/x", "hostname": "y"})

    assert ("file", "/x", "y") == (found.get("revision_sha"), found.get("state_dir"), found.get("hostname"))


@pytest.mark.parametrize("empty", ["", "  ", None])
def test_empty_is_what_is_derived(empty):
    """The state directory must never be the working directory, where others could put a collector."""
    environment = {} if empty is None else {"SCOUT_HOSTNAME": empty, "SCOUT_STATE_DIR": empty}
    found = config({"hostname": empty, "state_dir": empty}, environment={"HOME": "/home/ann", **environment})

    assert (os.uname().nodename, "/home/ann/.local/state/scout-core") == (found.get("hostname"), found.get("state_dir"))
    assert [] == found.problems


def test_without_any_home_there_is_a_state_directory_all_the_same():
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


# What cannot be used


@pytest.mark.parametrize(
    ("layers", "value", "problems"),
    [
        (
            {"environment": {"SCOUT_REPORT_PERIOD": "abc"}},
            60.0,
            [
                "report_period = 'abc' (environment SCOUT_REPORT_PERIOD): expected a number, 0 or more; the default, 60.0, is used"
            ],
        ),
        (
            {"environment": {"SCOUT_REPORT_PERIOD": "0"}, "file": {"report_period": 5}},
            5.0,
            [
                "report_period = '0' (environment SCOUT_REPORT_PERIOD): expected a number above 0; "
                f"the value from file {FILE} is used"
            ],
        ),
        (
            {
                "environment": {"SCOUT_REPORT_PERIOD": ""},
                "code": {"report_period": [5]},
                "file": {"report_period": True},
            },
            60.0,
            [
                "report_period = '' (environment SCOUT_REPORT_PERIOD): expected a number, 0 or more; the default, 60.0, is used",
                "report_period = [5] (code): expected a number, 0 or more; the default, 60.0, is used",
                f"report_period = True (file {FILE}): expected a number, 0 or more; the default, 60.0, is used",
            ],
        ),
        (
            {"code": {"report_period": "x"}, "environment": {"SCOUT_REPORT_PERIOD": "y"}, "file": {"report_period": 7}},
            7.0,
            [
                "report_period = 'y' (environment SCOUT_REPORT_PERIOD): expected a number, 0 or more; "
                f"the value from file {FILE} is used",
                f"report_period = 'x' (code): expected a number, 0 or more; the value from file {FILE} is used",
            ],
        ),
    ],
)
def test_a_bad_value_is_told_with_its_origin_and_what_is_used_instead(layers, value, problems):
    found = config(**layers)

    assert (value, problems) == (found.get("report_period"), found.problems)


@pytest.mark.parametrize(
    ("layers", "problem"),
    [
        ({"code": {"nam": 1}}, "nam (code) is not an option and has no effect; did you mean name?"),
        (
            {"code": {"plugins_disabel": 1}},
            "plugins_disabel (code) is not an option and has no effect; did you mean plugins_disable?",
        ),
        ({"code": {"zzz": 1}}, "zzz (code) is not an option and has no effect; see scout-core config for all keys"),
        (
            {"file": {"sample_rat": 1}},
            f"sample_rat (file {FILE}) is not an option and has no effect; did you mean sample_rate?",
        ),
        (
            {"file": {"plugins.disabel": []}},
            f"plugins.disabel (file {FILE}) is not an option and has no effect; did you mean plugins.disable?",
        ),
        (
            {"environment": {"SCOUT_REPORT_PEROID": "1"}},
            "SCOUT_REPORT_PEROID (environment) is not an option and has no effect; did you mean SCOUT_REPORT_PERIOD?",
        ),
        (
            {"environment": {"SCOUT_PLUGIN": "a"}},
            "SCOUT_PLUGIN (environment) is not an option and has no effect; did you mean SCOUT_PLUGINS?",
        ),
    ],
)
def test_a_key_that_does_not_exist_is_told_with_the_nearest(layers, problem):
    assert [problem] == config(**layers).problems


def test_what_belongs_to_others_in_the_environment_is_no_problem():
    environment = {
        "SCOUT_KEY": "x",
        "SCOUT_CORE_RUN": "1",
        "SCOUT_LOG_LEVEL": "debug",
        "SCOUT_REDIS_ARGS": "1",
        "scout_name": "y",
    }

    assert [] == config(environment=environment).problems


class Refuses:
    """Cannot be shown, nor converted."""

    def __repr__(self):
        raise RuntimeError("no text")

    __str__ = __repr__


@pytest.mark.parametrize(
    "value",
    [Refuses(), 10**400, 10**5000, float("nan"), b"\xff", {"a": None}, [Refuses()]],
    ids=["refuses", "huge", "larger than it may be printed", "nan", "bytes", "table", "list"],
)
@pytest.mark.parametrize("key", ["report_period", "plugins_disable", "sample_endpoints", "monitor", "max_spans"])
def test_whatever_code_gives_it_is_told_and_not_raised(key, value):
    found = config({key: value})
    real = BY_KEY[key.replace("plugins_", "plugins.")]

    assert real.default == found.get(real.key)
    (problem,) = found.problems
    assert problem.startswith(f"{real.key} = ")
    assert "is used" in problem
    assert len(problem) < 400


def test_what_raises_when_it_is_read_is_told_too():
    def names():
        yield "redis"
        raise OSError("gone")

    found = config({"plugins_disable": names(), "sample_endpoints": {Refuses(): 1}})

    assert ((), {}) == (found.get("plugins.disable"), found.get("sample_endpoints"))
    told = sorted(problem.split("(code): ")[1] for problem in found.problems)
    assert ["OSError; the default, (), is used", "RuntimeError; the default, {}, is used"] == told


def test_secrets_are_never_shown():
    secret = "hunter2-hunter2"
    for layers in (
        {"code": {"collector_token": [secret]}},
        {"file": {"collector_token": {"a": secret}}},
        {"environment": {"SCOUT_COLLECTOR_TOKENS": secret}},
        {"code": {"collector_tokn": secret}},
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
    for problem in found.problems:
        assert "is used" in problem or "did you mean" in problem


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
        option.convert(found.get(option.key)) if found.get(option.key) is not None else None


# Plugins' own options


@attrs.define
class Options:
    on: bool = False
    count: int = -1
    share: float = 0.5
    label: str = "none"
    names: tuple[str, ...] = ()
    made: tuple[str, ...] = attrs.field(factory=lambda: ("x",))
    api_key: str = "none"


def plugin_options(options=Options, *, environment=None, file=None, name="team-policy"):
    found = config(plugins={name: file or {}})
    found.add_plugin_options(name, options, environment or {})
    return found.plugin(name), found.problems


def test_options_of_a_plugin_have_their_defaults():
    assert (Options(), []) == plugin_options()


def test_options_of_a_plugin_from_the_environment():
    environment = {
        "SCOUT_TEAM_POLICY_ON": "yes",
        "SCOUT_TEAM_POLICY_COUNT": "-7",
        "SCOUT_TEAM_POLICY_SHARE": "-0.25",
        "SCOUT_TEAM_POLICY_LABEL": " gold ",
        "SCOUT_TEAM_POLICY_NAMES": "a, b",
        "SCOUT_TEAM_POLICY_MADE": "",
        "SCOUT_TEAM_POLICY_OTHER": "no option, perhaps of another program",
    }

    assert (Options(True, -7, -0.25, "gold", ("a", "b"), ()), []) == plugin_options(environment=environment)


def test_options_of_a_plugin_from_the_file_and_the_environment_wins():
    file = {"on": True, "count": 3, "share": 2, "label": "silver", "names": ["c"]}

    expected = Options(True, 3, 2.0, "gold", ("c",))
    assert (expected, []) == plugin_options(file=file, environment={"SCOUT_TEAM_POLICY_LABEL": "gold"})


def test_a_bad_option_of_a_plugin_is_told_and_the_next_layer_is_used():
    found, problems = plugin_options(
        file={"count": 5, "on": "perhaps", "lable": "x"},
        environment={"SCOUT_TEAM_POLICY_COUNT": "1.5", "SCOUT_TEAM_POLICY_SHARE": "half"},
    )

    assert Options(count=5) == found
    assert [
        f"team-policy.lable (file {FILE}) is not an option and has no effect; did you mean label?",
        f"team-policy.on = 'perhaps' (file {FILE}): expected true or false; the default is used",
        f"team-policy.count = '1.5' (environment SCOUT_TEAM_POLICY_COUNT): expected a whole number; the value from file {FILE} is used",
        "team-policy.share = 'half' (environment SCOUT_TEAM_POLICY_SHARE): expected a number; the default is used",
    ] == problems


def test_a_secret_option_of_a_plugin_is_never_shown():
    _, problems = plugin_options(file={"api_key": ["hunter2"]})

    assert [f"team-policy.api_key = … (file {FILE}): expected a text; the default is used"] == problems


def test_types_may_be_written_as_text_or_not():
    @attrs.define
    class Written:
        on: bool = False
        names: tuple[str, ...] = ()

    made = attrs.make_class(
        "Made", {"on": attrs.field(type=bool, default=False), "names": attrs.field(type=tuple[str, ...], default=())}
    )
    for options in (Written, made):
        found, problems = plugin_options(options, file={"on": "yes", "names": "a,b"})
        assert (True, ("a", "b"), []) == (found.on, found.names, problems)


@pytest.mark.parametrize("kind", ["str | None", "dict[str, int]", "Path", list, None])
def test_a_type_that_cannot_be_read_is_told_to_whoever_sets_it(kind):
    options = attrs.make_class("Made", {"odd": attrs.field(type=kind, default=None)})
    assert [] == plugin_options(options)[1]
    found, problems = plugin_options(options, file={"odd": "x"})

    assert found.odd is None
    spelled = kind.__name__ if isinstance(kind, type) else kind
    assert [
        f"team-policy.odd = 'x' (file {FILE}): the plugin declares the type {spelled}, which cannot be read from text; "
        "it may be bool, int, float, str, tuple[str, ...]; the default is used"
    ] == problems


def test_what_a_validator_refuses_is_told():
    @attrs.define
    class Checked:
        level: int = attrs.field(default=1, validator=attrs.validators.le(3))
        label: str = "none"

    found, problems = plugin_options(Checked, file={"level": 5, "label": "x"})

    assert Checked() == found
    assert ["plugin team-policy: 'level' must be <= 3: 5; the defaults of all its options are used"] == problems


def test_private_and_computed_attributes():
    @attrs.define
    class Odd:
        _hidden: str = "a"
        computed: str = attrs.field(init=False, default="b")

    found, problems = plugin_options(Odd, file={"hidden": "x", "computed": "y"})

    assert ("x", "b") == (found._hidden, found.computed)
    assert ["team-policy.computed"] == [problem.split(" (")[0] for problem in problems]


def test_a_class_without_defaults_is_refused():
    @attrs.define
    class Needy:
        first: str
        second: int

    with pytest.raises(ConfigError, match="every option needs a default; there is none for first, second"):
        plugin_options(Needy)
    for nonsense in (5, None, object, Options(), "Options"):
        with pytest.raises(ConfigError, match="register_options returns an attrs class, not "):
            plugin_options(nonsense)


def test_a_plugin_without_options_has_none():
    with pytest.raises(KeyError):
        config().plugin("redis")


@unhurried
@given(st.dictionaries(st.sampled_from([one.name for one in attrs.fields(Options)]), st.text()))
def test_no_text_for_an_option_of_a_plugin_raises(values):
    environment = {variable_of(f"team-policy.{key}"): value for key, value in values.items()}
    found, problems = plugin_options(environment=environment)

    assert isinstance(found, Options)
    assert all("is used" in problem for problem in problems)


# What an import costs


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
