"""Finding and reading the configuration file."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scout_core.config.files import find_settings, settings_here

unhurried = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # the machine may be busy

PYPROJECT = "pyproject.toml"
OWN = "scout-core.toml"


def read(tmp_path, text, name=OWN):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return find_settings(tmp_path)


def test_our_own_file(tmp_path):
    settings = read(tmp_path, 'name = "Shop"\nreport-period = 5\nsample_rate = 0.5\nignore = ["/health"]\n')

    assert {"name": "Shop", "report_period": 5, "sample_rate": 0.5, "ignore": ["/health"]} == settings.values
    assert (tmp_path / OWN, {}, []) == (settings.path, settings.plugins, settings.problems)


def test_our_table_in_a_project_file(tmp_path):
    settings = read(
        tmp_path, '[project]\nname = "shop"\n[tool.scout-core]\nname = "Shop"\n[tool.other]\nx = 1\n', PYPROJECT
    )

    assert {"name": "Shop"} == settings.values
    assert (tmp_path / PYPROJECT, []) == (settings.path, settings.problems)


@pytest.mark.parametrize(
    "text",
    [
        '[tool.scout-core]\nname = "Shop"',
        '[ tool . scout-core ]\nname = "Shop"',
        '[tool."scout-core"]\nname = "Shop"',
        "[tool.'scout-core']\nname = 'Shop'",
        '[tool]\nscout-core.name = "Shop"',
        '[tool]\nscout-core = {name = "Shop"}',
        'tool.scout-core.name = "Shop"',
        'tool = {scout-core = {name = "Shop"}}',
        '\ufeff[tool.scout-core]\nname = "Shop"',
        '[tool.scout-core]\r\nname = "Shop"\r\n',
    ],
)
def test_ways_to_write_our_table(tmp_path, text):
    assert {"name": "Shop"} == read(tmp_path, text, PYPROJECT).values


@pytest.mark.parametrize(
    "text",
    [
        "",
        '[project]\ndependencies = ["scout-core>=0.1", "scout-core-x"]',
        '[project]\ndependencies = ["scout-core"]',
        "# scout-core.",
        "[tool.other]\nx = 1",
        'tool = "scout-core = 1"',
        "this is [not TOML",
    ],
)
def test_a_project_file_without_our_table_is_skipped(tmp_path, text):
    assert read(tmp_path, text, PYPROJECT) is None


def test_plugins_and_their_options(tmp_path):
    settings = read(
        tmp_path,
        """
        [plugins]
        autoload = false
        enable = ["redis"]
        disable = ["jinja2"]
        modules = ["shop.policies"]
        [plugins.redis]
        capture_args = true
        [plugins.team-policy]
        prefix = "Controller/"
        [policies]
        speed = 2.0
        """,
    )

    assert {
        "plugins": ["shop.policies"],
        "plugins.autoload": False,
        "plugins.enable": ["redis"],
        "plugins.disable": ["jinja2"],
        "policies": {"speed": 2.0},
    } == settings.values
    assert {"redis": {"capture_args": True}, "team-policy": {"prefix": "Controller/"}} == settings.plugins


def test_modules_can_be_written_without_the_table(tmp_path):
    assert {"plugins": ["shop.policies"]} == read(tmp_path, 'plugins = ["shop.policies"]').values


def test_unknown_keys_are_kept_to_be_reported(tmp_path):
    settings = read(tmp_path, "nam = 1\n[plugins]\ndisabel = 2\n[plugin.redis]\nx = 3\n")

    assert {"nam": 1, "plugins.disabel": 2, "plugin": {"redis": {"x": 3}}} == settings.values


def test_the_nearest_file_wins_and_ours_before_the_project_file(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / PYPROJECT).write_text('[tool.scout-core]\nname = "outer project"')
    assert "outer project" == find_settings(inner).values["name"]
    (tmp_path / OWN).write_text('name = "outer"')
    assert "outer" == find_settings(inner).values["name"]
    (tmp_path / "a" / PYPROJECT).write_text('[tool.scout-core]\nname = "middle"')
    assert "middle" == find_settings(inner).values["name"]
    (inner / PYPROJECT).write_text('[project]\nname = "of no interest"')
    assert "middle" == find_settings(inner).values["name"]


def test_a_file_that_is_not_toml_is_a_problem_and_not_used(tmp_path):
    for text in ('name = "Shop', "name = ", "[[[", "a = 1\na = 2", "a = " + "[" * 5000, "\x00"):
        settings = read(tmp_path, text)
        assert ({}, {}) == (settings.values, settings.plugins)
        (problem,) = settings.problems
        assert ("unusable-file", str(tmp_path / OWN)) == (problem.kind, problem.subject)
        assert str(problem).startswith(f"file {tmp_path / OWN} is not valid TOML (")
        assert str(problem).endswith(") and is ignored")


def test_a_broken_project_file_with_our_table_is_a_problem(tmp_path):
    settings = read(tmp_path, "[tool.scout-core]\nname = \n", PYPROJECT)

    assert [f"file {tmp_path / PYPROJECT} is not valid TOML"] == [
        str(problem).split(" (")[0] for problem in settings.problems
    ]


@pytest.mark.parametrize("text", ["tool.scout-core = 5", "[tool]\nscout-core = []", '[tool]\nscout-core = "x"'])
def test_a_value_in_place_of_our_table_is_a_problem(tmp_path, text):
    settings = read(tmp_path, text, PYPROJECT)

    expected = f"file {tmp_path / PYPROJECT} has a value tool.scout-core that is not a table and is ignored"
    assert [expected] == list(map(str, settings.problems))


def test_a_file_in_another_encoding_is_a_problem(tmp_path):
    (tmp_path / OWN).write_bytes('name = "Café"'.encode("latin-1"))
    settings = find_settings(tmp_path)

    (problem,) = settings.problems
    assert str(problem).startswith(f"file {tmp_path / OWN} cannot be read (")
    assert {} == settings.values


def test_a_folder_in_its_place_is_a_problem(tmp_path):
    (tmp_path / OWN).mkdir()

    (problem,) = find_settings(tmp_path).problems
    assert "cannot be read" in str(problem)


@pytest.mark.skipif(os.geteuid() == 0, reason="not on a root account: it may read everything")
def test_a_file_that_may_not_be_read_is_a_problem(tmp_path):
    (tmp_path / OWN).write_text("")
    (tmp_path / OWN).chmod(0)

    (problem,) = find_settings(tmp_path).problems
    assert "Permission denied" in str(problem)


def test_here_is_the_working_directory(tmp_path, monkeypatch):
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / OWN).write_text('name = "Shop"')
    monkeypatch.chdir(inner)
    assert "Shop" == settings_here().values["name"]
    inner.rmdir()

    assert settings_here() is None


def test_a_project_file_without_our_table_needs_no_parser(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tomllib", None)
    monkeypatch.setitem(__import__("sys").modules, "tomli", None)

    assert read(tmp_path, '[project]\ndependencies = ["scout-core>=0.1"]\n[tool.ruff]\nx = 1\n', PYPROJECT) is None


@unhurried
@given(
    st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: f"[tool.scout-core]\n{text}".encode("utf-8", "replace"))
)
def test_no_content_raises(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("project")
    for name in (PYPROJECT, OWN):
        (folder / name).write_bytes(content)
        find_settings(folder)
        (folder / name).unlink()
