"""Names of plugins: what they may consist of, and how others are refused wherever a name comes from."""

from __future__ import annotations

import json
from types import ModuleType

import pytest

import scout_core
from scout_core import hookimpl
from scout_core.boundary.names import why_invalid
from scout_core.errors import PluginError
from tests.commandline import Commandline

POLICY = "from scout_core import hookimpl\n@hookimpl\ndef score_transaction(transaction):\n    return 1.0\n"
INVALID = {
    "*": "contains '*', which means all plugins",
    "red*": "contains '*', which means all plugins",
    "a,b": "contains a comma, which separates names",
    "a b": "contains a space",
    "-f": "begins with '-', as options and hidden files do",
    "--json": "begins with '-', as options and hidden files do",
    ".hidden": "begins with '.', as options and hidden files do",
    "a\x1b[31m": "contains the control character '\\x1b'",
    "a\x07": "contains the control character '\\x07'",
    "a\u202eb": "contains the control character '\\u202e'",
    "a\u200bb": "contains the control character '\\u200b'",
    "a/b": "contains the character '/'",
    "a:b": "contains the character ':'",
    "$(ls)": "contains the character '$'",
    "a'b": 'contains the character "\'"',
    "ä": "contains the character 'ä'",
}


@pytest.fixture
def scout_core_command(tmp_path):
    return Commandline(tmp_path)


@pytest.mark.parametrize(("name", "reason"), [*INVALID.items(), ("a\nb", "contains the control character '\\n'"), ("", "contains no character at all")])  # fmt: skip
def test_an_invalid_name_is_refused_with_the_reason(name, reason):
    problem = why_invalid(name, "module")

    assert (name, f"invalid plugin name {name!r}: it {reason}") == (problem.subject, problem.detail)
    assert "letters, digits" in problem.advice


@pytest.mark.parametrize("name", ["redis", "Redis", "to-file", "to_file", "acme.redis", "9lives", "_own", "a"])
def test_a_valid_name(name):
    assert why_invalid(name, "module") is None


def test_a_module_with_letters_of_any_alphabet_is_a_plugin_by_its_own_name():
    assert why_invalid("größe.policies", "größe.policies") is None


@pytest.mark.parametrize(("name", "reason"), INVALID.items())
def test_an_entry_point_with_an_invalid_name_is_not_loaded(scout_core_command, name, reason):
    file = scout_core_command.install("letters", "raise ValueError('it must not be imported')")
    (entries,) = scout_core_command.site.glob("*/entry_points.txt")
    entries.write_text(f"[scout_core]\n{name} = {file.stem}\n", encoding="utf-8")
    ran = scout_core_command("plugins", "--json")

    found = ran.named(name)
    assert (1, "failed") == (ran.code, found["state"])
    assert found["reason"].startswith(f"invalid plugin name {name!r}: it {reason}")
    assert ["pip uninstall acme-letters"] == found["next_step"]["commands"]
    assert "active" == ran.named("speed")["state"]


@pytest.mark.parametrize(
    "name", [name for name in INVALID if name.isprintable() and name not in ("ä", "a,b", ".hidden")]
)
def test_a_named_module_with_an_invalid_name_is_not_loaded(scout_core_command, name):
    ran = scout_core_command("plugins", "--json", SCOUT_PLUGINS=name)

    found = ran.named(name)
    assert (1, "failed") == (ran.code, found["state"])
    assert found["reason"].startswith(f"invalid plugin name {name!r}: it ")
    assert f"rename the module {name}" == found["next_step"]["text"]


@pytest.mark.parametrize("name", ["*", "a b", "-f", "a,b", "a\x1b[31m", "a\nb"])
@pytest.mark.parametrize("make", [str, ModuleType])
def test_start_refuses_an_invalid_name(name, make):
    named = make(name)
    if isinstance(named, ModuleType):
        named.score_transaction = hookimpl(lambda transaction: 1.0, specname="score_transaction")
    with pytest.raises(PluginError) as raised:
        scout_core.start(plugins=[named], plugins_autoload=False)

    assert f"invalid plugin name {name!r}: it " in str(raised.value)


@pytest.mark.parametrize("name", [*INVALID, "a\nb", ""])
def test_plugins_new_refuses_an_invalid_name(scout_core_command, name):
    ran = scout_core_command("plugins", "new", "--", name)

    assert (2, "") == (ran.code, ran.out)
    assert "invalid plugin name " in ran.err
    assert "expected lower-case letters, digits and single hyphens" in ran.err
    assert [] == list(scout_core_command.here.iterdir())


@pytest.mark.parametrize("name", [*INVALID, "a\nb"])
def test_plugins_check_refuses_a_project_with_an_invalid_name(scout_core_command, name):
    project = scout_core_command.here / "letters"
    project.mkdir()
    (project / "letters.py").write_text(POLICY, encoding="utf-8")
    entry = json.dumps(name)
    (project / "pyproject.toml").write_text(
        f'[project]\nname = "letters"\n[project.entry-points.scout_core]\n{entry} = "letters"\n', encoding="utf-8"
    )
    ran = scout_core_command("plugins", "check", "letters")

    assert (2, "") == (ran.code, ran.out)
    assert "invalid plugin name " in ran.err


INVALID_OPTIONS = {
    "number": ("return 5", "register_options must return an attrs class, got 5"),
    "class": ("return type('Options', (), {})", "register_options must return an attrs class"),
    "instance": ("return Options()", "register_options must return an attrs class"),
    "required": ("return attrs.make_class('Options', ['level'])", "every option must have a default"),
    "raises": ("raise KeyError('plan')", "KeyError: 'plan'"),
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), INVALID_OPTIONS.values(), ids=INVALID_OPTIONS)
@pytest.mark.parametrize("is_installed", [True, False])
def test_a_plugin_whose_options_cannot_be_read_is_shown_with_the_next_step(
    scout_core_command, body, reason, is_installed
):
    source = f"{POLICY}import attrs\n@attrs.define\nclass Options:\n    level: int = 1\n@hookimpl\ndef register_options():\n    {body}\n"
    if is_installed:
        scout_core_command.install("letters", source)
    else:
        scout_core_command.write_module("letters", source)
    environment = {} if is_installed else {"SCOUT_PLUGINS": "letters"}
    module = "acme_letters" if is_installed else "letters"
    table = scout_core_command("plugins", "--json", **environment)
    detail = scout_core_command("plugins", "letters", **environment)
    doctor = scout_core_command("doctor", "--json", **environment)

    found = table.named("letters")
    assert (1, 1, 1) == (table.code, detail.code, doctor.code)
    assert found["reason"].startswith("its options cannot be read, so its hooks get None: ")
    assert reason in found["reason"]
    assert f"fix register_options in {module}" == found["next_step"]["text"]
    assert f"  state       active: {found['reason']}\n" in detail.out
    assert f"  next        fix register_options in {module}" in detail.out
    problems = [finding for finding in doctor.json["findings"] if finding["state"] == "problem"]
    assert any(reason in problem["text"] and "fix register_options" in problem["advice"] for problem in problems)
