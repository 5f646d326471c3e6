"""Options that plugins declare: layers, validators, problems, and names that two options share."""

from __future__ import annotations

import asyncio
import enum
import re
import sys
import typing
from datetime import date, timedelta
from decimal import Decimal
from ipaddress import IPv4Network
from pathlib import Path
from types import ModuleType
from typing import Literal

import attrs
import pytest
from attrs import field, validators
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scout_core.config.config import read_config
from scout_core.config.files import Settings, find_settings
from scout_core.config.library_types import library_types
from scout_core.config.options import variable_of
from scout_core.config.types import kind_of
from scout_core.errors import ConfigError

unhurried = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # the machine may be busy

FILE = Path("/srv/app/pyproject.toml")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.define
class Options:
    on: bool = False
    count: int = -1
    share: float = 0.5
    label: str = "none"
    names: tuple[str, ...] = ()
    made: tuple[str, ...] = field(factory=lambda: ("x",))
    api_key: str = "none"
    limit: int | None = None
    path: Path | None = None
    mode: Literal["fast", "exact"] = "fast"
    colour: Colour = Colour.RED
    ids: frozenset[int] = frozenset()
    weights: dict[str, float] = field(factory=dict)
    every: timedelta = timedelta(minutes=1)


@attrs.frozen
class Limited:
    """Each way to state a limit."""

    level: int = field(default=1, validator=[validators.ge(0), validators.le(3)])
    share: float | None = field(default=None, validator=validators.optional(validators.and_(validators.gt(0), validators.lt(1))))  # fmt: skip
    mode: str = field(default="a", validator=validators.in_(["a", "b"]))
    prefix: str = field(default="Job/", validator=validators.matches_re(r"[A-Z].*"))
    token: str = field(default="", validator=validators.max_len(5))


def configured(options=Options, *, name="team-policy", environment=None, code=None, framework=None, file=None):
    """A configuration that has read the options of one plugin."""
    found = read_config(
        None if code is None else {"plugin_options": {name: code}},
        environment=environment or {},
        framework=None if framework is None else ("Flask", framework),
        settings=None if file is None else Settings(FILE, plugins={name: file}),
    )
    found.add_plugin_options(name, options)
    return found


def texts(found):
    return [str(problem) for problem in found.problems]


def test_options_have_their_defaults():
    found = configured()

    assert (Options(), []) == (found.plugin("team-policy"), found.problems)
    assert ("default", False, False) == (
        str(found.origin("plugins.team-policy.count")),
        found.is_set("plugins.team-policy.count"),
        found.is_changed("plugins.team-policy.count"),
    )


def test_options_from_the_environment():
    environment = {
        "SCOUT_TEAM_POLICY_ON": "yes",
        "SCOUT_TEAM_POLICY_COUNT": "-7",
        "SCOUT_TEAM_POLICY_SHARE": "-0.25",
        "SCOUT_TEAM_POLICY_LABEL": " gold ",
        "SCOUT_TEAM_POLICY_NAMES": "a, b",
        "SCOUT_TEAM_POLICY_MADE": ",",
        "SCOUT_TEAM_POLICY_LIMIT": "5",
        "SCOUT_TEAM_POLICY_PATH": "/srv",
        "SCOUT_TEAM_POLICY_MODE": "EXACT",
        "SCOUT_TEAM_POLICY_COLOUR": "blue",
        "SCOUT_TEAM_POLICY_IDS": "3,4",
        "SCOUT_TEAM_POLICY_WEIGHTS": "a:1, b:0.5",
        "SCOUT_TEAM_POLICY_EVERY": "2 min",
    }

    expected = Options(
        True, -7, -0.25, "gold", ("a", "b"), (), "none", 5, Path("/srv"), "exact", Colour.BLUE, frozenset({3, 4}),
        {"a": 1.0, "b": 0.5}, timedelta(minutes=2),
    )  # fmt: skip
    found = configured(environment=environment)
    assert (expected, []) == (found.plugin("team-policy"), found.problems)


def test_the_environment_wins_over_code_over_the_framework_over_the_file():
    found = configured(
        environment={"SCOUT_TEAM_POLICY_LABEL": "environment"},
        code={"label": "code", "count": 2},
        framework={"SCOUT_TEAM_POLICY_LABEL": "Flask", "SCOUT_TEAM_POLICY_COUNT": 3, "SCOUT_TEAM_POLICY_SHARE": 3},
        file={"label": "file", "count": 4, "share": 4, "limit": 4},
    )

    assert Options(label="environment", count=2, share=3.0, limit=4) == found.plugin("team-policy")
    assert ["environment SCOUT_TEAM_POLICY_LABEL", "code", "Flask settings", f"file {FILE}", "default"] == [
        str(found.origin(f"plugins.team-policy.{key}")) for key in ("label", "count", "share", "limit", "on")
    ]
    assert [] == found.problems


def test_a_dash_in_the_file_is_an_underscore():
    assert "secret" == configured(file={"api-key": "secret"}).plugin("team-policy").api_key


def test_a_bad_value_leaves_the_other_options_as_they_are():
    found = configured(
        file={"count": 5, "on": "perhaps", "lable": "x", "label": "kept"},
        environment={"SCOUT_TEAM_POLICY_COUNT": "1.5", "SCOUT_TEAM_POLICY_SHARE": "half"},
    )

    assert Options(count=5, label="kept") == found.plugin("team-policy")
    assert [
        f"invalid value 'perhaps' for plugins.team-policy.on (file {FILE}); expected true or false; using the default, False",
        f"invalid value '1.5' for plugins.team-policy.count (environment SCOUT_TEAM_POLICY_COUNT); expected a whole number; using the value from file {FILE}",
        "invalid value 'half' for plugins.team-policy.share (environment SCOUT_TEAM_POLICY_SHARE); expected a number; using the default, 0.5",
        f"unknown option plugins.team-policy.lable (file {FILE}) is ignored; did you mean plugins.team-policy.label?",
    ] == texts(found)


@pytest.mark.parametrize(
    ("given", "expected", "reason"),
    [
        ({"level": 3}, {"level": 3}, ""),
        ({"level": "4"}, {}, "expected a whole number from 0 to 3; using the default, 1"),
        ({"share": "1"}, {}, "expected a number above 0 and below 1, or empty; using the default, None"),
        ({"share": ""}, {"share": None}, ""),
        ({"mode": "B"}, {"mode": "b"}, ""),
        ({"mode": "c"}, {}, "expected one of a, b; using the default, 'a'"),
        ({"prefix": "job"}, {}, "expected text that matches '[A-Z].*'; using the default, 'Job/'"),
        ({"token": "too long"}, {}, "expected text of at most 5 characters; using the default, …"),
    ],
)
def test_validators_of_attrs_hold_for_their_own_option(given, expected, reason):
    found = configured(Limited, code={"level": 2, **given})

    assert Limited(**{"level": 2, **expected} if "level" not in given else expected) == found.plugin("team-policy")
    assert [reason] * bool(reason) == [text.split("(code); ")[1] for text in texts(found)]


def test_a_value_that_a_validator_refuses_gives_way_to_the_next_layer():
    found = configured(
        Limited,
        environment={"SCOUT_TEAM_POLICY_PREFIX": "job", "SCOUT_TEAM_POLICY_LEVEL": "9"},
        file={"prefix": "SQL/", "level": 2},
    )

    assert Limited(prefix="SQL/", level=2) == found.plugin("team-policy")
    assert [f"file {FILE}"] * 2 == [str(found.origin(f"plugins.team-policy.{key}")) for key in ("prefix", "level")]
    assert [True] * 2 == [text.endswith(f"; using the value from file {FILE}") for text in texts(found)]


def test_limits_are_shown():
    found = configured(Limited)

    assert {
        "level": "a whole number from 0 to 3",
        "share": "a number above 0 and below 1, or empty",
        "mode": "one of a, b",
        "prefix": "text that matches '[A-Z].*'",
        "token": "text of at most 5 characters",
    } == {option.name: option.kind.expected for option in found.options.values() if option.plugin}


def test_limits_hold_also_where_they_cannot_be_shown(monkeypatch):
    """As with a version of attrs that has other classes of validators."""
    for name in ("_NUMBER", "_IN", "_AND", "_OPTIONAL"):
        monkeypatch.setattr(f"scout_core.config.conditions.{name}", None)
    found = configured(Limited, code={"level": 9, "mode": "c", "share": 0.25})

    assert Limited(share=0.25) == found.plugin("team-policy")
    assert [f"expected {kind}, and the plugin does not allow this value" for kind in ("a whole number", "text")] == [
        text.split("(code); ")[1].split("; using")[0] for text in texts(found)
    ]


def test_values_may_be_refused_together():
    @attrs.define
    class Range:
        low: int = 0
        high: int = 3

        def __attrs_post_init__(self):
            if self.low > self.high:
                raise ValueError("low must not be above high")

    assert Range(5, 9) == configured(Range, code={"low": 5, "high": 9}).plugin("team-policy")
    found = configured(Range, code={"low": 2, "high": 1}, file={"high": 7})
    assert (Range(2, 7), 1) == (found.plugin("team-policy"), len(found.problems))
    found = configured(Range, code={"low": 5}, file={"low": 1})
    assert (Range(1, 3), 1) == (found.plugin("team-policy"), len(found.problems))


def test_a_converter_of_the_plugin_gets_the_converted_value():
    @attrs.define
    class Converted:
        names: tuple[str, ...] = field(default=(), converter=lambda names: tuple(name.upper() for name in names))
        odd: complex = field(default=0j, converter=complex)

    found = configured(Converted, environment={"SCOUT_TEAM_POLICY_NAMES": "a,b", "SCOUT_TEAM_POLICY_ODD": "1+2j"})

    assert (Converted(["a", "b"], 1 + 2j), []) == (found.plugin("team-policy"), found.problems)
    assert ("A", "B") == found.get("plugins.team-policy.names")
    (problem,) = texts(configured(Converted, environment={"SCOUT_TEAM_POLICY_ODD": "1+"}))
    assert problem.endswith("; complex() arg is a malformed string; using the default, 0j")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (complex, "options cannot have the type complex"),
        ("dict[bytes, int]", "options cannot have the type bytes"),
        ("Missing | None", "the type Missing | None cannot be resolved; import its names when the module runs"),
        ("dict[str]", "not enough values to unpack (expected 2, got 1)"),
        (None, "the plugin declares no type for it"),
    ],
)
def test_a_type_that_options_cannot_have_is_reported_whether_it_is_set_or_not(kind, reason):
    options = attrs.make_class("Made", {"odd": field(type=kind, default=None), "even": field(type=int, default=2)})
    advice = "declare another type in the plugin, or a converter"
    assert [f"plugins.team-policy.odd cannot be set; {reason}; {advice}"] == texts(configured(options))
    found = configured(options, file={"odd": "x", "even": 4})

    assert (None, 4) == (found.plugin("team-policy").odd, found.plugin("team-policy").even)
    assert [f"invalid value 'x' for plugins.team-policy.odd (file {FILE}); {reason}; using the default, None"] == texts(
        found
    )


def test_secrets_are_never_shown():
    found = configured(file={"api_key": ["hunter2"]})

    (problem,) = texts(found)
    assert (
        f"invalid value … for plugins.team-policy.api_key (file {FILE}); expected text; using the default, …" == problem
    )


def test_private_and_computed_attributes():
    @attrs.define
    class Odd:
        _hidden: str = "a"
        computed: str = field(init=False, default="b")

    found = configured(Odd, file={"hidden": "x", "computed": "y"})

    assert ("x", "b") == (found.plugin("team-policy")._hidden, found.plugin("team-policy").computed)
    assert "x" == found.get("plugins.team-policy.hidden")
    assert ["plugins.team-policy.computed"] == [problem.subject for problem in found.problems]


def test_a_class_that_cannot_be_used_is_refused():
    @attrs.define
    class Needy:
        first: str
        second: int

    @attrs.define
    class Contradiction:
        level: int = field(default=9, validator=validators.le(3))

    with pytest.raises(ConfigError, match="every option must have a default; missing for first, second"):
        configured(Needy)
    with pytest.raises(
        ConfigError, match="Contradiction refuses its own defaults: level is 9; expected a whole number of at most 3"
    ):
        configured(Contradiction)
    for nonsense in (5, object, Options(), "Options"):
        with pytest.raises(ConfigError, match="register_options must return an attrs class, got "):
            configured(nonsense)


def test_a_plugin_without_options_has_none():
    found = configured(None, code={"prefix": "x"})

    with pytest.raises(KeyError):
        found.plugin("team-policy")
    assert ["plugins.team-policy.prefix"] == [problem.subject for problem in found.problems]


def test_options_of_a_plugin_that_is_not_loaded_may_be_right():
    assert [] == read_config({"plugin_options": {"redis": {"capture": True}}}, environment={}).problems


@pytest.mark.parametrize("given", [5, ["team"], {"team": 5}, {7: {}}, {"team": {7: 1}}])
def test_plugin_options_in_code_are_mappings(given):
    found = read_config({"plugin_options": given}, environment={})

    assert [("invalid-value", "plugin_options")] == [(problem.kind, problem.subject) for problem in found.problems]


@pytest.mark.parametrize(
    ("others", "problem"),
    [
        ({"flask": None}, "plugin_options['flask'] are ignored (code); expected a mapping of the plugin's options, got NoneType"),
        ({"flask": "hunter2"}, "plugin_options['flask'] are ignored (code); expected a mapping of the plugin's options, got str"),
        ({7: {"count": 1}}, "name 7 of a plugin in plugin_options is ignored (code); expected text"),
        ({None: None}, "name None of a plugin in plugin_options is ignored (code); expected text"),
    ],
)  # fmt: skip
def test_an_invalid_entry_of_plugin_options_is_ignored_alone(others, problem):
    given = {"plugin_options": {**others, "team": {"count": 7}}}
    found = read_config(given, environment={})
    found.add_settings(given)
    found.add_plugin_options("team", Options)

    assert Options(count=7) == found.plugin("team")
    assert [f"invalid {problem}; write plugin_options={{'team': {{'prefix': 'Job/'}}}}"] == texts(found)


@pytest.mark.parametrize("name", [5, None, b"label", ("label",)])
def test_a_name_of_an_option_that_is_no_text_leaves_the_other_options(name):
    found = configured(code={"count": 7, name: 1, "label": "x"})

    assert Options(count=7, label="x") == found.plugin("team-policy")
    assert [
        f"invalid name {name!r} of an option in plugin_options['team-policy'] is ignored (code); expected text; "
        "write plugin_options={'team': {'prefix': 'Job/'}}"
    ] == texts(found)


class Unprintable:
    def __str__(self):
        raise SystemExit(9)


class OwnEnd(BaseException):
    pass


RAISED = {
    "exit": (SystemExit(4), "it raised SystemExit: 4"),
    "generator exit": (GeneratorExit(), "it raised GeneratorExit"),
    "cancelled": (asyncio.CancelledError(), "it raised CancelledError"),
    "a class of its own": (OwnEnd("over"), "it raised OwnEnd: over"),
    "unprintable": (ValueError(Unprintable()), "it raised ValueError: <unprintable exception>"),
    "empty": (AssertionError(), "it raised AssertionError"),
    "lookup": (KeyError("low"), "it raised KeyError: low"),
    "control characters": (ValueError("\x1b[31mred\nnext\u202e"), r"\x1b[31mred\nnext\u202e"),
    "long": (ValueError("x" * 100_000), "x" * 499 + "…"),
}


@pytest.fixture(params=RAISED.values(), ids=RAISED)
def raised(request):
    return request.param


def refuse_five(error):
    def check(*args):
        if args[-1] == 5:
            raise error
        return args[-1]

    return check


def test_whatever_a_validator_raises_only_its_option_is_invalid(raised):
    error, reason = raised
    made = attrs.make_class("Made", {"a": field(type=int, default=1, validator=refuse_five(error)), "b": field(type=int, default=2)})  # fmt: skip
    found = configured(made, code={"a": "5", "b": 7})

    assert made(a=1, b=7) == found.plugin("team-policy")
    assert [f"invalid value '5' for plugins.team-policy.a (code); {reason}; using the default, 1"] == texts(found)


def test_whatever_a_converter_raises_only_its_option_is_invalid(raised):
    error, reason = raised
    made = attrs.make_class("Made", {"a": field(type=int, default=1, converter=refuse_five(error)), "b": field(type=int, default=2)})  # fmt: skip
    found = configured(made, code={"a": 5, "b": 7}, file={"a": 3})

    assert made(a=3, b=7) == found.plugin("team-policy")
    assert [f"invalid value 5 for plugins.team-policy.a (code); {reason}; using the value from file {FILE}"] == texts(
        found
    )


def test_the_message_of_a_secret_is_not_shown_whatever_is_raised():
    made = attrs.make_class("Made", {"api_key": field(type=int, default=1, validator=refuse_five(SystemExit("hunter2")))})  # fmt: skip

    (problem,) = texts(configured(made, code={"api_key": 5}))
    assert problem.endswith("(code); it raised SystemExit; using the default, …")


def test_an_interrupt_in_a_validator_passes():
    made = attrs.make_class("Made", {"a": field(type=int, default=1, validator=refuse_five(KeyboardInterrupt()))})

    with pytest.raises(KeyboardInterrupt):
        configured(made, code={"a": 5})


def test_defaults_that_are_refused_name_the_exception(raised):
    error, reason = raised
    made = attrs.make_class("Made", {"a": field(type=int, factory=lambda: refuse_five(error)(5))})

    with pytest.raises(ConfigError) as caught:
        configured(made)
    assert f"Made refuses its own defaults: {reason}" == str(caught.value)


def test_defaults_that_are_refused_later_leave_every_option_a_value():
    calls = iter((1,))
    made = attrs.make_class("Made", {"a": field(type=int, factory=lambda: next(calls))})
    found = read_config(environment={})

    with pytest.raises(ConfigError, match="Made refuses its own defaults: it raised StopIteration"):
        found.add_plugin_options("team", made)
    assert 1 == found.get("plugins.team.a")


@pytest.mark.parametrize(
    ("layers", "problem"),
    [
        (
            {"environment": {"SCOUT_TEAM_POLICY_CUONT": "1"}},
            "unknown option SCOUT_TEAM_POLICY_CUONT (environment) is ignored; did you mean SCOUT_TEAM_POLICY_COUNT?",
        ),
        (
            {"framework": {"SCOUT_TEAM_POLICY_COUNTS": 1}},
            "unknown option SCOUT_TEAM_POLICY_COUNTS (Flask settings) is ignored; did you mean SCOUT_TEAM_POLICY_COUNT?",
        ),
        (
            {"code": {"counts": 1}},
            "unknown option plugins.team-policy.counts (code) is ignored; did you mean plugins.team-policy.count?",
        ),
        (
            {"code": {"ON": True}},
            "unknown option plugins.team-policy.ON (code) is ignored; did you mean plugins.team-policy.on?",
        ),
        (
            {"file": {"On": True}},
            f"unknown option plugins.team-policy.On (file {FILE}) is ignored; did you mean plugins.team-policy.on?",
        ),
    ],
)
def test_an_unknown_name_is_reported_with_the_nearest(layers, problem):
    assert [problem] == texts(configured(**layers))


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (
            {"code": {"fuel": 1}},
            "unknown option plugins.team-policy.fuel (code) is ignored; see 'scout-core plugins team-policy' for its options",
        ),
        (
            {"framework": {"SCOUT_KEEP_WARM": 1}},
            "unknown option SCOUT_KEEP_WARM (Flask settings) is ignored; see 'scout-core config' for all options",
        ),
    ],
)
def test_a_name_that_resembles_no_option_is_reported_without_a_suggestion(layers, expected):
    options = attrs.make_class("Made", {"colour": field(type=str, default="red")})

    assert [expected] == texts(configured(options, **layers))


@pytest.mark.parametrize(
    ("default", "shown"),
    [
        (Colour.BLUE, "'blue'"),
        (Path("/srv"), "'/srv'"),
        (timedelta(minutes=2), "'2 min'"),
        (date(2026, 1, 31), "'2026-01-31'"),
        (IPv4Network("10.0.0.0/8"), "'10.0.0.0/8'"),
        (Decimal("1.10"), "'1.10'"),
        (re.compile("a+"), "'a+'"),
        (frozenset({2, 1}), "[1, 2]"),
        ((Path("/srv"), Path("/var")), "('/srv', '/var')"),
        ({"a": timedelta(seconds=1)}, "{'a': '1 s'}"),
    ],
)
def test_problems_show_values_as_they_are_written_in_the_file(default, shown):
    options = attrs.make_class("Made", {"every": field(type=int, default=default)})

    (problem,) = texts(configured(options, code={"every": "x"}))
    assert problem.endswith(f"using the default, {shown}")


def test_a_variable_of_a_plugin_is_not_a_mistyped_option_of_the_core():
    options = attrs.make_class("Made", {"periods": field(type=int, default=0)})

    assert [] == configured(options, name="report", environment={"SCOUT_REPORT_PERIODS": "3"}).problems


def option_class(*names):
    return attrs.make_class("Made", {name: field(type=int, default=0) for name in names})


def with_foo(*names, **environment):
    """A configuration with the plugins foo, which has options, and bare, which has none; further plugins are not loaded."""
    found = read_config(environment=environment)
    found.plugin_names = {"foo", "bare", *names}
    found.add_plugin_options("foo", option_class("level", "bar_level"))
    found.add_plugin_options("bare", None)
    return found


@pytest.mark.parametrize(
    ("variable", "advice"),
    [
        ("SCOUT_FOO_TOTALLYWRONG", "see 'scout-core plugins foo' for its options"),
        ("SCOUT_FOO_TOTALLY_WRONG", "see 'scout-core plugins foo' for its options"),
        ("SCOUT_FOO_LEVELS", "did you mean SCOUT_FOO_LEVEL?"),
        ("SCOUT_FOO_LVEEL", "did you mean SCOUT_FOO_LEVEL?"),
        ("SCOUT_BARE_LEVEL", "the plugin bare has no options"),
    ],
)
def test_a_variable_that_begins_with_the_name_of_a_loaded_plugin_is_one_of_its_options(variable, advice):
    found = with_foo("foo_bar", **{variable: "1"})

    assert [f"unknown option {variable} (environment) is ignored; {advice}"] == texts(found)


@pytest.mark.parametrize(
    "variable",
    [
        "SCOUT_FOO_LEVEL",
        "SCOUT_FOO_BAR_LEVEL",
        "SCOUT_FOO_BAR_OTHER",
        "SCOUT_FOO_BAZ_LEVEL",
        "SCOUT_QUX_LEVEL",
        "SCOUT_FOOD",
        "SCOUT_FOO",
        "SCOUT_REPORT_PERIOD",
        "SCOUT_PLUGINS_STRICT",
        "SCOUTING_FOO_X",
    ],
)
def test_variables_of_the_core_and_of_plugins_that_are_not_loaded_are_no_mistakes(variable):
    environment = {"SCOUT_PLUGINS_DISABLE": "foo_baz", variable: "1"}

    assert [] == texts(with_foo("foo-bar", **environment))


def test_a_variable_that_two_plugins_share_sets_the_first_and_is_a_problem():
    found = read_config({"plugin_options": {"foo_bar": {"baz": 5}}}, environment={"SCOUT_FOO_BAR_BAZ": "7"})
    found.add_plugin_options("foo", option_class("bar_baz"))
    found.add_plugin_options("foo_bar", option_class("baz"))

    assert (7, 5) == (found.plugin("foo").bar_baz, found.plugin("foo_bar").baz)
    assert [
        "SCOUT_FOO_BAR_BAZ is the environment variable of plugins.foo.bar_baz and of plugins.foo_bar.baz, and sets only "
        "plugins.foo.bar_baz; set plugins.foo_bar.baz in the file or in code"
    ] == texts(found)
    assert ["shared-variable"] == [problem.kind for problem in found.problems]


def test_a_variable_of_the_core_sets_the_core():
    found = read_config(environment={"SCOUT_REPORT_PERIOD": "7"})
    found.add_plugin_options("report", option_class("period"))

    assert (7.0, 0) == (found.get("report_period"), found.plugin("report").period)
    (problem,) = texts(found)
    assert "of report_period and of plugins.report.period, and sets only report_period" in problem


def test_added_settings_reach_the_options():
    found = configured(code={"label": "code"}, file={"count": 5})
    before = found.plugin("team-policy")
    problems = found.add_settings(
        {"plugin_options": {"team-policy": {"names": "a", "nmaes": "b"}}},
        ("Flask", {"SCOUT_TEAM_POLICY_LABEL": "weaker", "SCOUT_TEAM_POLICY_COUNT": "6"}),
    )

    assert Options(label="code", count=6, names=("a",)) == found.plugin("team-policy")
    assert Options(label="code", count=5) == before
    assert ["plugins.team-policy.nmaes"] == [problem.subject for problem in problems]


@unhurried
@given(st.dictionaries(st.sampled_from([attribute.name for attribute in attrs.fields(Options)]), st.text()))
def test_no_text_for_an_option_raises(values):
    environment = {variable_of(f"team-policy.{key}"): value for key, value in values.items()}
    found = configured(environment=environment)

    assert isinstance(found.plugin("team-policy"), Options)
    assert {"invalid-value"} >= {problem.kind for problem in found.problems}


@unhurried
@given(
    st.dictionaries(
        st.sampled_from([attribute.name for attribute in attrs.fields(Limited)]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
    ),
    st.dictionaries(st.sampled_from([attribute.name for attribute in attrs.fields(Limited)]), st.text()),
)
def test_whatever_is_written_the_options_keep_their_limits(code, file):
    """The object could be made, so every validator has accepted it; and each value that is used is one that was written."""
    found = configured(Limited, code=code, file=file)

    assert isinstance(found.plugin("team-policy"), Limited)
    for option in found.options.values():
        if option.plugin:
            value = found.values[option.key]
            assert value.value == getattr(found.plugin("team-policy"), option.name)
            written = {"code": code, f"file {FILE}": file, "default": {option.name: option.default}}
            assert option.name in written[str(value.origin)]


# The claims of the documentation

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "writing-a-plugin.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`.*) \| .* \|$", PAGE.partition("| annotation | text |")[2].partition("\n\n")[0], re.MULTILINE)
ANNOTATIONS = [annotation.replace("\\", "") for row in ROWS for annotation in re.findall("`(.*?)`", row)]


def test_the_page_lists_annotations():
    assert {"bool", "int | None", "Path", "timedelta", "dict[str, float]"} < set(ANNOTATIONS)


@pytest.mark.parametrize("annotation", ANNOTATIONS)
def test_a_documented_annotation_is_supported(annotation):
    if annotation == "Enum":
        annotation = "Colour"
    kind_of(eval(annotation, {**vars(typing), **library_types(), **globals()}))


def test_the_documented_plugin_and_its_message():
    (source,) = re.findall(r"```python\n(# slow_jobs\.py.*?)```", PAGE, re.DOTALL)
    module = ModuleType("slow_jobs")
    sys.modules["slow_jobs"] = module
    try:
        exec(source, vars(module))
        found = configured(module.register_options(), name="slow_jobs", environment={"SCOUT_SLOW_JOBS_POINTS": "9"})
    finally:
        del sys.modules["slow_jobs"]

    (message,) = re.findall("`SCOUT_SLOW_JOBS_POINTS=9` is reported as `(.*?)`", PAGE)
    assert [message] == [text.split("; ")[1] for text in texts(found)]
    assert {
        "after": "a duration above 0, in seconds or as 500 ms, 2 min, 1h30m",
        "points": "a number from 0 to 5",
        "queues": "a list of texts, separated by commas",
        "compare": "one of duration, queue_time",
    } == {option.name: option.kind.expected for option in found.options.values() if option.plugin}


def test_the_documented_warnings():
    (invalid,) = re.findall(r"^invalid value .*$", CONFIGURATION, re.MULTILINE)
    (unknown,) = re.findall(r"`(unknown option .*?)`", CONFIGURATION)
    found = read_config({"nam": "Shop"}, environment={"SCOUT_REPORT_PERIOD": "0"})

    assert [invalid, unknown] == texts(found)


@pytest.mark.parametrize(
    ("layer", "pattern"),
    [
        ("environment", r"`SCOUT_TEAM_PREFIX`"),
        ("code", r"start\(plugin_options=\{\"team\": \{\"prefix\": \"Job/\"\}\}\)"),
        ("framework settings", r"app\.config\[\"SCOUT_TEAM_PREFIX\"\] = \"Job/\""),
        ("file", r"`prefix = \"Job/\"` in the table `\[tool\.scout-core\.plugins\.team\]`"),
    ],
)
def test_the_documented_layers_of_a_plugin_s_option(layer, pattern, tmp_path):
    assert re.search(rf"^\| {layer} \| .*{pattern}.* \|$", CONFIGURATION, re.MULTILINE)
    (tmp_path / "pyproject.toml").write_text('[tool.scout-core.plugins.team]\nprefix = "Job/"\n', encoding="utf-8")
    found = read_config(
        {"plugin_options": {"team": {"prefix": "Job/"}}} if layer == "code" else None,
        environment={"SCOUT_TEAM_PREFIX": "Job/"} if layer == "environment" else {},
        framework=("Flask", {"SCOUT_TEAM_PREFIX": "Job/"}) if layer == "framework settings" else None,
        settings=find_settings(tmp_path) if layer == "file" else None,
    )
    found.add_plugin_options("team", attrs.make_class("Team", {"prefix": field(type=str, default="")}))

    assert ("Job/", layer, []) == (
        found.plugin("team").prefix,
        found.origin("plugins.team.prefix").layer.value,
        found.problems,
    )
