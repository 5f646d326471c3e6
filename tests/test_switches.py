"""Disabled plugins: every combination of the switches, compared with the table in ``docs/configuration.md``."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from scout_core.boundary.metadata import Found
from scout_core.boundary.plugin import Plugin
from scout_core.boundary.switches import unknown_names, why_disabled
from scout_core.config.config import read_config

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
SWITCHES = {
    "plugins.disable": ("", "contains it", "*"),
    "plugins.allow": ("", "matches", "does not match"),
    "named": ("no", "yes"),
    "plugins.enable": ("", "contains it"),
    "plugins.require": ("", "contains it"),
    "plugins.autoload": ("true", "false"),
}
WRITTEN = {"contains it": "other, redis", "*": "*", "matches": "acme-*, Scout_*", "does not match": "acme-*"}


def documented() -> list[list[str]]:
    """Return the rows of the table, of which the first match applies: a cell for each switch, then the outcome."""
    table = PAGE.read_text(encoding="utf-8").partition("<!-- switches -->")[2].partition("<!-- end -->")[0]
    lines = [line.strip().strip("|").split("|") for line in table.strip().splitlines()]
    return [[cell.strip() for cell in line] for line in lines[2:]]


def matches(cell: str, value: str) -> bool:
    return (
        cell == "any"
        or value in [part.strip().strip("`") for part in cell.split(" or ")]
        or (cell == "–" and not value)
    )


@pytest.mark.parametrize("values", list(product(*SWITCHES.values())), ids=" ".join)
def test_every_combination_has_the_outcome_in_the_table(values):
    row = next(row for row in documented() if all(map(matches, row, values)))
    switches = dict(zip(SWITCHES, values))
    variables = {
        f"SCOUT_{key.replace('.', '_').upper()}": WRITTEN.get(value, value)
        for key, value in switches.items()
        if key != "named" and value
    }
    config = read_config(environment=variables)

    problem = why_disabled(config, "redis", distribution="scout-redis", is_named=switches["named"] == "yes")
    outcome, _, key = row[-1].partition(": ")

    assert [] == config.problems
    assert (outcome == "disabled") == (problem is not None)
    assert problem is None or key.strip("`") == problem.subject


def test_every_row_is_needed():
    rows = documented()
    used = {
        next(number for number, row in enumerate(rows) if all(map(matches, row, values)))
        for values in product(*SWITCHES.values())
    }

    assert set(range(len(rows))) == used


def test_the_allow_list_does_not_apply_to_built_in_plugins_and_plain_modules():
    config = read_config({"plugins_allow": ["acme-*"]}, environment={})

    assert why_disabled(config, "speed", distribution="scout-core", is_named=False) is None
    assert why_disabled(config, "shop.scout", distribution=None, is_named=True) is None


def test_the_variable_of_the_former_agent_disables_plugins():
    config = read_config(environment={"SCOUT_DISABLED_INSTRUMENTS": "redis"})

    problem = why_disabled(config, "redis", distribution="scout-redis", is_named=False)

    assert "plugins.disable (environment SCOUT_DISABLED_INSTRUMENTS) contains it" == str(problem)


def plugin(name: str, distribution: str) -> Plugin:
    found = Found(name=name, module=name, distribution=distribution, version="1", instruments=(), core=(), where="/")
    return Plugin(name, name, found)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"plugins_disable": "reddis"}, "plugins.disable (code) names 'reddis', which is not a plugin here; did you mean redis?"),
        ({"plugins_enable": "reddis"}, "plugins.enable (code) names 'reddis', which is not a plugin here; did you mean redis?"),
        ({"plugins_order": "speed, reddis"}, "plugins.order (code) names 'reddis', which is not a plugin here; did you mean redis?"),
        ({"policies": {"sped": 2}}, "policies (code) names 'sped', which is not a plugin here; did you mean speed?"),
        ({"plugins_disable": "zzz"}, "plugins.disable (code) names 'zzz', which is not a plugin here; 'scout-core plugins' lists all plugins"),
        (
            {"plugins_allow": "scout-*, scout-reddis"},
            "plugins.allow (code) names 'scout-reddis', which matches no distribution with a plugin; did you mean scout-redis?",
        ),
    ],
)  # fmt: skip
def test_a_name_that_matches_nothing_is_a_problem_with_a_suggestion(settings, expected):
    plugins = {"redis": plugin("redis", "scout-redis"), "speed": plugin("speed", "scout-core")}

    assert [expected] == [str(problem) for problem in unknown_names(read_config(settings, environment={}), plugins)]


def test_names_that_match_are_not_reported():
    plugins = {"redis": plugin("redis", "scout-redis"), "speed": plugin("speed", "scout-core")}
    settings = {
        "plugins_disable": "*",
        "plugins_order": "redis",
        "plugins_allow": "Scout.Redis",
        "policies": {"speed": 0},
    }

    assert [] == list(unknown_names(read_config(settings, environment={}), plugins))
