"""No command passes control characters to the terminal, wherever they come from: they are shown as escapes."""

from __future__ import annotations

import pytest

from scout_core.text.plain import visible
from tests.commandline import Commandline

BAD = "\x1b[31m\x1b]0;title\x07\x9b2J\u202e\u200b\u2066\x7f\x08"
"""A colour, a window title, C1, bidirectional overrides, no width, delete, backspace."""
SOURCE = f"""
import attrs
from scout_core import hookimpl

@attrs.define
class Options:
    level: str = attrs.field(default={BAD!r}, metadata={{"help": {BAD + "HELP"!r}}})

@hookimpl
def register_options():
    return Options

@hookimpl
def register_commands(cli):
    cli.command({BAD + "cmd"!r})(lambda: None)
    raise KeyError({BAD + "two" + chr(10) + "ok       plugins    all fine"!r})

@hookimpl
def instrument(wrap):
    wrap("json:dumps", lambda *args: None)
"""


@pytest.fixture
def scout_core(tmp_path):
    return Commandline(tmp_path)


@pytest.mark.parametrize(
    "bad", [*BAD, "\n", "\r", "\x00", "\x85", "\u2028", "\u200f", "\ufeff", "\u00ad", "\ud800", "\U000e0041"]
)
def test_each_character_that_a_terminal_obeys_is_shown_as_an_escape(bad):
    if bad.isprintable():
        assert bad == visible(bad)
    else:
        assert f"a{bad.encode('unicode_escape').decode()}b" == visible(f"a{bad}b")


def test_ordinary_text_stays():
    assert "Größe 5 µs → naïve 日本 🎉" == visible("Größe 5 µs → naïve 日本 🎉")


def hidden(ran):
    """Return the characters that a terminal would obey."""
    return sorted({character for character in ran.out + ran.err if not character.isprintable() and character != "\n"})


def install(scout_core, source):
    scout_core.install("letters", source, version=f"1.0{BAD.replace(chr(10), '')}", distribution="acme-letters")
    (metadata,) = scout_core.site.glob("acme_letters-*")
    text = (metadata / "METADATA").read_text(encoding="utf-8").replace("acme-letters", f"acme{BAD}letters")
    (metadata / "METADATA").write_text(text, encoding="utf-8")


LOADING = [
    ("plugins",),
    ("plugins", "letters"),
    ("plugins", "check", "letters"),
    ("hooks",),
    ("config",),
    ("doctor",),
    ("--help",),
    ("plugins", BAD),
    (BAD,),
]
"""Commands that load the plugin."""
REFUSED = [
    ("plugins", "enable", BAD),
    ("plugins", "new", BAD),
    ("plugins", "new", "letters", "--kind", BAD),
    ("plugins", "new", "letters", "--target", BAD),
    ("plugins", "new", "letters", "--into", BAD),
    ("plugins", "check", BAD),
    ("config", BAD),
    ("hooks", BAD),
    (f"--{BAD}",),
    ("plugins", f"--{BAD}"),
    ("run", BAD),
    ("up", f"--{BAD}"),
]
FAILING = [f"raise KeyError({BAD!r})", f"print({BAD!r})\nimport sys\nsys.exit({BAD!r})"]


@pytest.mark.parametrize(
    ("arguments", "source"),
    [
        *((arguments, SOURCE) for arguments in (*LOADING, *REFUSED)),
        *((arguments, source) for arguments in LOADING for source in FAILING),
    ],
    ids=lambda value: " ".join(value).replace(BAD, "BAD") if isinstance(value, tuple) else "",
)
def test_no_command_prints_control_characters(scout_core, arguments, source):
    install(scout_core, source)
    ran = scout_core(*arguments, SCOUT_NAME=f"shop{BAD}", SCOUT_PLUGINS_DISABLE=f"nothing{BAD}")

    assert [] == hidden(ran)
    assert "all fine" not in {line.partition("plugins    ")[2] for line in ran.out.splitlines()}


def test_a_file_whose_path_has_control_characters_is_shown(scout_core):
    folder = scout_core.here / f"folder{BAD}"
    folder.mkdir()
    (folder / "scout-core.toml").write_text("plugins = {disable = ['speed']}\nunknown = 1\n", encoding="utf-8")
    commands = [("plugins",), ("plugins", "speed"), ("config",), ("doctor",), ("plugins", "enable", "speed")]
    ran = [scout_core(*arguments, cwd=folder) for arguments in commands]

    assert [[]] * len(ran) == [hidden(ended) for ended in ran]
    assert [True] * len(ran) == ["folder\\x1b[31m" in ended.out + ended.err for ended in ran]


def test_a_plugin_cannot_add_a_command_whose_name_has_control_characters(scout_core):
    install(scout_core, SOURCE)
    ran = scout_core("--help")

    assert 0 == ran.code
    assert "cannot add the command" in ran.err
    assert "cmd" not in ran.out
