"""``scout-core plugins enable`` and ``disable``: how they change the configuration file."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core.cli.edit import edited
from scout_core.errors import ConfigError
from tests.commandline import Commandline

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.fixture
def scout_core(tmp_path):
    return Commandline(tmp_path)


def disabled(path: Path) -> list[str]:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    ours = content["tool"]["scout-core"] if path.name == "pyproject.toml" else content
    return ours["plugins"]["disable"]


def test_a_file_is_created_in_the_working_directory_when_there_is_none(scout_core):
    ran = scout_core("plugins", "disable", "speed")
    path = scout_core.here / "scout-core.toml"

    assert (0, "") == (ran.code, ran.err)
    assert '[plugins]\ndisable = ["speed"]\n' == path.read_text()
    assert ran.out.startswith(f"created {path}\n--- /dev/null\n+++ {path}\n")
    assert 0o644 == stat.S_IMODE(path.stat().st_mode) | 0o044
    assert "disabled" == scout_core("plugins", "--json").named("speed")["state"]


PYPROJECT = """\
# the shop
[project]
name = "shop"  # its name

[tool.scout-core]   # ours
name = "Shop"

[tool.scout-core.plugins]
# too noisy here:
disable = [
    "age",  # it is young
]

[tool.other]
x = 1
"""


def test_comments_in_the_file_are_kept_and_the_diff_is_printed(scout_core):
    path = scout_core.write("pyproject.toml", PYPROJECT)
    ran = scout_core("plugins", "disable", "speed")

    assert (0, "") == (ran.code, ran.err)
    assert PYPROJECT.replace("# it is young\n", '# it is young\n    "speed",\n') == path.read_text()
    assert [f"changed {path}", '+    "speed",'] == [
        line for line in ran.out.splitlines() if line.startswith(("changed", "created", "+ "))
    ]


@pytest.mark.parametrize("name", ["jinja2", "redis", "speed"])
def test_enabling_a_plugin_removes_only_the_line_with_its_name(scout_core, name):
    """A comment on that line is about the name and goes with it; comments on other lines stay."""
    lines = [
        "[plugins]", "# all", "disable = [", "    # above", '    "jinja2",  # jinja2', "    # between",
        '    "redis",  # redis', '    "speed",  # speed', "    # below", "]  # after", "",
    ]  # fmt: skip
    for known in ("jinja2", "redis"):
        scout_core.install(known, "", distribution=f"acme-of-{known}")
    path = scout_core.write("scout-core.toml", "\n".join(lines))
    ran = scout_core("plugins", "enable", name)

    assert 0 == ran.code
    assert [line for line in lines if f'"{name}"' not in line] == path.read_text().split("\n")


def test_disabling_and_enabling_again_restores_the_file(scout_core):
    path = scout_core.write("pyproject.toml", PYPROJECT)
    scout_core("plugins", "disable", "speed", "percent")
    scout_core("plugins", "enable", "percent", "speed")

    assert PYPROJECT == path.read_text()


@pytest.mark.parametrize("word, names", [("disable", ["age"]), ("enable", ["speed"])])
def test_repeating_a_command_does_not_change_the_file(scout_core, word, names):
    path = scout_core.write("pyproject.toml", PYPROJECT)
    before = path.stat()
    ran = scout_core("plugins", word, *names)

    assert (0, f"nothing to change in {path}\n", "") == (ran.code, ran.out, ran.err)
    assert (before.st_ino, before.st_mtime_ns) == (path.stat().st_ino, path.stat().st_mtime_ns)


@pytest.mark.parametrize("before", [None, "", "[plugins]\ndisable = []\n", '[plugins]\ndisable = "age"\n'])
def test_a_name_that_is_given_twice_is_written_once(scout_core, before):
    path = scout_core.here / "scout-core.toml"
    if before is not None:
        path.write_text(before)

    assert 0 == scout_core("plugins", "disable", "speed", "speed").code
    assert ["speed"] == [name for name in disabled(path) if name != "age"]


def test_enabling_does_not_create_a_file(scout_core):
    ran = scout_core("plugins", "enable", "speed")

    assert (0, []) == (ran.code, list(scout_core.here.iterdir()))


def test_a_dry_run_prints_the_diff_and_changes_nothing(scout_core):
    path = scout_core.write("pyproject.toml", PYPROJECT)
    ran = scout_core("plugins", "disable", "--dry-run", "speed")

    assert (0, PYPROJECT) == (ran.code, path.read_text())
    assert ran.out.startswith(f"would be changed: {path}\n--- {path}\n")
    assert '+    "speed",' in ran.out


def test_the_nearest_file_with_our_settings_is_changed(scout_core):
    path = scout_core.write("pyproject.toml", "[tool.scout-core]\n")
    below = scout_core.write("deep/down/pyproject.toml", "[project]\nname = 'other'\n")
    scout_core("plugins", "disable", "speed", cwd=below.parent)

    assert ["speed"] == disabled(path)
    assert "[project]\nname = 'other'\n" == below.read_text()


@pytest.mark.parametrize(
    "before, after",
    [
        ("", {"plugins": {"disable": ["speed"]}}),
        ('plugins = ["json"]', {"plugins": {"modules": ["json"], "disable": ["speed"]}}),
        ('plugins.disable = ["age"]', {"plugins": {"disable": ["age", "speed"]}}),
        ('plugins = {disable = ["age"]}', {"plugins": {"disable": ["age", "speed"]}}),
        ('[plugins]\ndisable = "age, percent"', {"plugins": {"disable": ["age", "percent", "speed"]}}),
        ("[plugins.dashboard]\nport = 1", {"plugins": {"dashboard": {"port": 1}, "disable": ["speed"]}}),
        ('disabled_instruments = ["age"]', {"disabled_instruments": ["age", "speed"]}),
        ("[plugins]\ndisable = []", {"plugins": {"disable": ["speed"]}}),
    ],
)
def test_every_way_to_write_the_list_is_understood(scout_core, before, after):
    path = scout_core.write("scout-core.toml", before)
    ran = scout_core("plugins", "disable", "speed")
    state = scout_core("plugins", "--json").named("speed")["state"]

    assert (0, after, "disabled") == (ran.code, tomllib.loads(path.read_text()), state)


def test_enabling_a_plugin_without_autoload_lists_it_as_enabled(scout_core):
    path = scout_core.write("scout-core.toml", '[plugins]\nautoload = false\ndisable = ["speed"]\n')
    scout_core("plugins", "enable", "speed")

    assert {"autoload": False, "disable": [], "enable": ["speed"]} == tomllib.loads(path.read_text())["plugins"]
    assert "active" == scout_core("plugins", "--json").named("speed")["state"]


def test_all_plugins_can_be_disabled_and_enabled_at_once(scout_core):
    scout_core("plugins", "disable", "*")
    single = scout_core("plugins", "enable", "speed")
    states = {status["state"] for status in scout_core("plugins", "--json").json}
    every = scout_core("plugins", "enable", "*")

    assert ({"disabled"}, 1, 0) == (states, single.code, every.code)
    assert "scout-core plugins enable '*'" in single.err
    assert [] == disabled(scout_core.here / "scout-core.toml")


@pytest.mark.parametrize("word", ["enable", "disable"])
def test_an_unknown_name_is_refused(scout_core, word):
    ran = scout_core("plugins", word, "speed", "percentil")

    assert (2, "", []) == (ran.code, ran.out, list(scout_core.here.iterdir()))
    assert "No such plugin 'percentil'. Did you mean 'percentile'?" in ran.err


def test_a_plugin_that_hangs_during_import_can_be_disabled(scout_core):
    scout_core.install("stuck", "import time\ntime.sleep(1000)")
    ran = scout_core("plugins", "disable", "stuck")

    assert (0, ["stuck"]) == (ran.code, disabled(scout_core.here / "scout-core.toml"))


def test_a_variable_that_overrides_the_file_is_reported(scout_core):
    ran = scout_core("plugins", "disable", "speed", SCOUT_DISABLED_INSTRUMENTS="age")

    assert 0 == ran.code
    assert (
        "warning: SCOUT_DISABLED_INSTRUMENTS is set in the environment and overrides the file; unset or change it\n"
        == ran.err
    )


def test_a_plugin_that_stays_disabled_for_another_reason_is_reported(scout_core):
    scout_core.install("letters", "from scout_core import hookimpl")
    path = scout_core.write("scout-core.toml", '[plugins]\nallow = ["scout-*"]\ndisable = ["letters"]\n')
    ran = scout_core("plugins", "enable", "letters")

    expected = f"letters is still disabled: plugins.allow (file {path}) does not contain its distribution acme-letters; add acme-letters to plugins.allow (file {path})"
    assert 0 == ran.code
    assert ran.err.startswith(f"warning: {expected}")


def test_disabling_a_required_plugin_is_reported(scout_core):
    path = scout_core.write("scout-core.toml", '[plugins]\nrequire = ["speed"]\n')
    ran = scout_core("plugins", "disable", "speed")

    assert f"warning: plugins.require (file {path}) contains speed; applications will not start the agent\n" == ran.err


def test_the_result_is_printed_as_json(scout_core):
    path = scout_core.write("scout-core.toml", "")
    ran = scout_core("plugins", "disable", "speed", "--json")
    facts = ran.json

    assert {"file": str(path), "changed": True, "created": False, "dry_run": False, "warnings": []} == {
        key: value for key, value in facts.items() if key != "diff"
    }
    assert '+disable = ["speed"]' in facts["diff"]


@pytest.mark.parametrize("text", ["name = ", "\x00", "[plugins\n"])
def test_an_invalid_file_is_not_changed(scout_core, text):
    path = scout_core.write("scout-core.toml", text)
    ran = scout_core("plugins", "disable", "speed")

    assert (1, "", text) == (ran.code, ran.out, path.read_text())
    assert ran.err.startswith(f"scout-core: file {path} is not valid TOML (")
    assert ran.err.endswith("fix it first\n")


def test_a_directory_that_is_not_writable_is_reported(scout_core):
    if os.geteuid() == 0:
        (scout_core.here / "scout-core.toml").symlink_to(scout_core.here / "missing" / "file.toml")
    else:
        scout_core.here.chmod(0o500)
    ran = scout_core("plugins", "disable", "speed")

    assert (1, "") == (ran.code, ran.out)
    assert f"scout-core: cannot write {scout_core.here / 'scout-core.toml'}: " in ran.err


def test_the_mode_and_a_symbolic_link_are_kept(scout_core):
    real = scout_core.write("etc/shop.toml", "[plugins]\n")
    real.chmod(0o640)
    (scout_core.here / "scout-core.toml").symlink_to(real)
    scout_core("plugins", "disable", "speed")

    assert (["speed"], 0o640) == (
        tomllib.loads(real.read_text())["plugins"]["disable"],
        stat.S_IMODE(real.stat().st_mode),
    )
    assert (scout_core.here / "scout-core.toml").is_symlink()
    assert ["shop.toml"] == [path.name for path in real.parent.iterdir()]


@pytest.mark.parametrize("before", [b'name = "x"\r\n[plugins]\r\n', b'\xef\xbb\xbfname = "x"\n[plugins]\n'])
def test_line_endings_and_the_byte_order_mark_are_kept(tmp_path, before):
    path = tmp_path / "scout-core.toml"
    path.write_bytes(before)
    edited(path, {"disable": lambda former: [*former, "speed"]}).write()
    end = b"\r\n" if b"\r\n" in before else b"\n"

    assert before + b'disable = ["speed"]' + end == path.read_bytes()


def test_a_concurrent_change_is_not_overwritten(tmp_path):
    path = tmp_path / "scout-core.toml"
    path.write_text("[plugins]\n")
    change = edited(path, {"disable": lambda former: ["speed"]})
    path.write_text("name = 'other'\n")

    with pytest.raises(ConfigError, match="someone else"):
        change.write()

    assert (["scout-core.toml"], "name = 'other'\n") == ([file.name for file in tmp_path.iterdir()], path.read_text())


NAMES = st.lists(st.sampled_from(["age", "speed", "percent", "flask"]), unique=True)
LISTS = st.builds(
    lambda names, shape: shape(names),
    NAMES,
    st.sampled_from(
        [
            lambda names: f"disable = {names!r}  # why",
            lambda names: "disable = [\n" + "".join(f"  {name!r}, # {name}!\n" for name in names) + "]",
            lambda names: "disable = [ # first\n" + ",\n".join(f"  {name!r}" for name in names) + "\n  # last\n]",
            lambda names: f"disable = {','.join(names)!r}",
            lambda names: "# no list yet",
        ]
    ),
)


@settings(max_examples=150, deadline=None)
@given(written=LISTS, off=NAMES, on=NAMES)
def test_changing_the_list_keeps_the_rest_of_the_file(tmp_path_factory, written, off, on):
    path = tmp_path_factory.mktemp("edit") / "pyproject.toml"
    path.write_text(
        f'[tool.scout-core]\nname = "x" # keep\n\n[tool.scout-core.plugins]\n{written}\norder = ["age"] # keep\n\n[tool.z]\ny = 2 # keep\n'
    )
    former = tomllib.loads(path.read_text())["tool"]["scout-core"]["plugins"].get("disable", [])
    former = [name for name in former.split(",") if name] if isinstance(former, str) else former

    edited(path, {"disable": lambda names: [*names, *off]}).write()
    edited(path, {"disable": lambda names: [name for name in names if name not in on]}).write()
    content = tomllib.loads(path.read_text())

    expected = [name for name in dict.fromkeys([*former, *off]) if name not in on]
    assert expected == content["tool"]["scout-core"]["plugins"].pop("disable", [])
    assert {"scout-core": {"name": "x", "plugins": {"order": ["age"]}}, "z": {"y": 2}} == content["tool"]
    assert 3 == path.read_text().count("# keep")
