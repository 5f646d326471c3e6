"""``scout-core doctor``: everything that can be looked at from here, and whether what is recorded arrives."""

from __future__ import annotations

import click
from attrs import asdict

from scout_core.cli import findings as look_at
from scout_core.cli.findings import Finding
from scout_core.cli.here import Here, look
from scout_core.cli.known import Suggestion, suggestions
from scout_core.cli.output import COLOURS, as_json_option, say_json
from scout_core.cli.surroundings import of_surroundings


@click.command()
@click.option("--suggest", is_flag=True, help="Only say which plugins this environment lacks, as a line for a shell.")
@as_json_option
def doctor(suggest: bool, as_json: bool) -> None:
    """
    Find out what is wrong: settings, plugins, servers that fork, files, and whether what is recorded arrives.

    \b
    scout-core doctor
    scout-core doctor --suggest        pip install ...

    A transaction of its own is followed from the application to the store, under an application name of its own.
    Exit code 1 when there is a problem; a note is none.
    """
    here = look(instrument=True, commands=True)
    lacking = list(suggestions(here.installed.installed))
    if suggest:
        _say_suggestions(lacking, as_json=as_json)
        return
    found = [*look_at.of_settings(here), *look_at.of_plugins(here), *of_surroundings(here), *look_at.of_files(here)]
    found += [_lacks(one) for one in lacking]
    probe = _probe(here)
    found += probe
    if as_json:
        say_json({"findings": [asdict(one) for one in found], "suggestions": [asdict(one) for one in lacking]})
    else:
        for one in found:
            _say(one)
    if any(one.state == "problem" for one in found):
        raise SystemExit(1)


def _probe(here: Here) -> list[Finding]:
    from scout_core.cli.probe import STEPS, follow

    if not here.config.get("monitor"):
        return [Finding("problem", "probe", "stops before app: nothing is recorded")]
    collector = here.plugins.all.get("collector")
    steps = list(follow(here.config, is_collector_active=collector is not None and collector.state == "active"))
    last = steps[-1]
    way = " → ".join(step.name for step in steps if step.is_ok)
    if last.is_ok:
        return [Finding("ok", "probe", f"{way}: {last.detail}")]
    if last.is_ok is None:
        return [Finding("note", "probe", f"{way}; {last.name} could not be asked: {last.detail}")]
    left = " → ".join(STEPS[STEPS.index(last.name) :])
    advice = "" if last.detail.endswith(last.advice) else last.advice
    return [Finding("problem", "probe", f"{way}, and stops before {left}: {last.detail}", advice)]


def _lacks(one: Suggestion) -> Finding:
    if one.problem:
        return Finding("note", "libraries", f"{one.problem}, which {one.distribution} does not know")
    return Finding("note", "libraries", f"{one.library} has no plugin", f"pip install {one.distribution}")


def _say_suggestions(lacking: list[Suggestion], *, as_json: bool) -> None:
    wanted = [one.distribution for one in lacking if not one.problem]
    line = f"pip install {' '.join(wanted)}" if wanted else ""
    if as_json:
        say_json({"suggestions": [asdict(one) for one in lacking], "command": line})
        return
    for one in lacking:
        click.echo(f"# {one.problem or one.library}: {one.distribution}{' does not know it' if one.problem else ''}")
    click.echo(line or "# nothing: every library here that we know has its plugin")


def _say(one: Finding) -> None:
    click.echo(f"{click.style(one.state.ljust(8), fg=COLOURS[one.state])} {one.area.ljust(10)} {one.text}")
    if one.advice:
        click.echo(f"{'':20}{one.advice}")
