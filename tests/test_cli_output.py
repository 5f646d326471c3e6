"""The colours of states in the tables and facts that commands print."""

from __future__ import annotations

import click
import pytest
from click import style

from scout_core.cli.output import Styled, coloured, print_facts, print_table
from scout_core.cli.plugin_detail import _describe_state
from scout_core.measuring.report import PluginStatus
from scout_core.states import State


@pytest.fixture
def terminal(capsys):
    with click.Context(click.Command("test")) as context:
        context.color = True
        yield lambda: capsys.readouterr().out


COLOUR = {
    "active": "green",
    "waiting": "yellow",
    "disabled": None,
    "skipped": "yellow",
    "quarantined": "red",
    "failed": "red",
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("reason", ["", "there is no hook on_spam", "failed: twice"])
def test_a_fact_has_the_colour_of_the_state_whatever_its_text_begins_with(terminal, state, reason):
    status = PluginStatus(
        name="flask", distribution=None, version=None, state=state, reason=reason, target="", hooks=(), calls=0, errors=0,
        last_error=None, wrapped=(), waiting=(), not_found=(), seconds_per_call=None,
    )  # fmt: skip
    print_facts([("state", _describe_state(status, None)), ("last error", ["failed to start"])])
    text = f"{state}: {reason}" if reason else str(state)
    shown = style(text, fg=COLOUR[state.value]) if COLOUR[state.value] else text

    assert f"  {'state':12}{shown}\n  {'last error':12}failed to start\n" == terminal()


def test_a_cell_has_a_colour_only_where_it_is_a_state(terminal):
    print_table(("NAME", "STATE"), [("failed", coloured("failed", "failed (1/3)")), ("ok", Styled("ok"))])

    assert f"NAME    STATE\nfailed  {style('failed (1/3)', fg='red')}\nok      ok\n" == terminal()
