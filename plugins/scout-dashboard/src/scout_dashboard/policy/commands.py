"""``scout-core policy``: explain a trace, and replay the stored ones under other policies."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from scout_dashboard.store.reader import Reader

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _seconds(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """A stretch of time as people write it: ``90s``, ``10m``, ``1h``, ``7d``."""
    if text is None:
        return None
    parts = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if parts is None or not int(parts[1]):
        raise click.BadParameter(f"{text!r} is no time: a number and s, m, h or d, such as 90s, 10m, 1h or 7d")
    return float(int(parts[1]) * _SECONDS[parts[2]])


def _weights(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, float]:
    """``NAME=2`` of each."""
    weights = {}
    for text in texts:
        name, _equals, number = text.rpartition("=")
        if not name or not re.fullmatch(r"-?\d{1,6}(\.\d{1,6})?", number):
            raise click.BadParameter(f"{text!r} is no weight: a policy's name, '=' and a number, such as speed=2")
        weights[name] = float(number)
    return weights


def _places(command: _Command) -> _Command:
    """Where the store is: as for ``scout-core up``."""
    folder = click.Path(path_type=Path)
    for name, text in (
        ("--state-dir", "The state directory of the collector; default as for agents."),
        ("--data-dir", "Where its data is kept; default 'data' in the state directory."),
    ):
        command = click.option(name, type=folder, help=text)(command)
    return command


@click.group("policy")
def policy() -> None:
    """
    See why traces are kept, and try other policies on the stored ones.

    \b
    scout-core policy explain                     the newest traces
    scout-core policy explain 5f3a                why this one was kept
    scout-core policy replay --last 1h my_policies
    """


@policy.command("explain")
@click.argument("trace", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_places
def explain_command(trace: str | None, as_json: bool, data_dir: Path | None, state_dir: Path | None) -> None:
    """
    Show the points of each policy for TRACE, and what each was told.

    TRACE is the id that the dashboard shows, or the beginning of it. Without one, the newest traces are listed.

    \b
    scout-core policy explain
    scout-core policy explain 5f3a9c01
    """
    from attrs import asdict

    from scout_dashboard.policy import telling
    from scout_dashboard.policy.evidence import Estimates
    from scout_dashboard.policy.explain import explain, found, newest

    with _reader(data_dir, state_dir) as reader:
        if trace is None:
            rows = newest(reader)
            _say([asdict(row) for row in rows] if as_json else None, telling.traces_lines(rows))
            return
        facts = explain(reader, found(reader, trace), Estimates(reader))
    _say(facts if as_json else None, telling.explanation_lines(facts))


@policy.command("replay")
@click.argument("modules", nargs=-1)
@click.option(
    "--last",
    callback=_seconds,
    metavar="TIME",
    default="1h",
    show_default=True,
    help="How far to look back: 90s, 10m, 1h, 7d.",
)
@click.option(
    "--per", callback=_seconds, metavar="TIME", help="Let traces of so long compete; default: those of one report."
)
@click.option("--keep", type=click.IntRange(1), help="Places in a period; default: half of its names.")
@click.option(
    "--weight", "weights", callback=_weights, metavar="NAME=NUMBER", multiple=True, help="Of a policy; repeatable."
)
@click.option("--app", help="Traces of this application alone.")
@click.option("--all", "show_all", is_flag=True, help="Also show periods in which nothing changes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_places
def replay_command(
    modules: tuple[str, ...],
    last: float,
    per: float | None,
    keep: int | None,
    weights: dict[str, float],
    app: str | None,
    show_all: bool,
    as_json: bool,
    data_dir: Path | None,
    state_dir: Path | None,
) -> None:
    """
    Show which of the stored traces other policies would have kept.

    MODULES are policies as in SCOUT_PLUGINS: a file my_policies.py in this directory is my_policies.
    They are added to the policies that an agent started here would have.

    \b
    scout-core policy replay --last 1h my_policies
    scout-core policy replay --weight speed=3 --per 10m
    SCOUT_PLUGINS_DISABLE=age scout-core policy replay --last 1d --json

    Only kept traces are stored, so it can choose among those alone. Each period gives out half as many places as it has
    names, once by the points that the agent gave and once by the new ones.
    """
    from scout_dashboard.policy import telling
    from scout_dashboard.policy.evidence import Estimates
    from scout_dashboard.policy.replay import replay
    from scout_dashboard.policy.scoring import load_policies
    from scout_dashboard.store.kept import whole_traces

    policies = load_policies(modules, weights)
    with _reader(data_dir, state_dir) as reader:
        now = time.time()
        traces = whole_traces(reader, start=now - last, end=now + 60, app=app)
        if not traces:
            raise _nothing(reader, app)
        with redirect_stdout(sys.stderr):  # what a policy prints must not be amid our JSON
            periods = replay(traces, policies, Estimates(reader), per=per, places=keep)
    problems = [*policies.problems(), *_absent(traces, policies.names)]
    facts = {
        "policies": policies.names,
        "weights": {name: policies.weights.get(name, 1.0) for name in policies.names},
        "traces": len(traces),
        "note": telling.HONEST,
        "problems": problems,
        "periods": [period.facts() for period in periods],
    }
    shown = [name + (f" x {policies.weights[name]:g}" if name in policies.weights else "") for name in policies.names]
    _say(facts if as_json else None, telling.replay_lines(periods, shown, show_all=show_all))
    for problem in problems:
        click.echo(f"problem: {problem}", err=True)
    if policies.problems():
        raise SystemExit(1)


@contextmanager
def _reader(data_dir: Path | None, state_dir: Path | None) -> Iterator[Reader]:
    """Beside a collector that runs, or after it has gone."""
    from scout_dashboard.commands import configured
    from scout_dashboard.errors import StoreError
    from scout_dashboard.store import files
    from scout_dashboard.store.reader import Reader

    configured_dir, options = configured()
    directory = data_dir or (Path(options.data_dir).expanduser() if options.data_dir else None)
    directory = directory or (state_dir or configured_dir) / "data"
    try:
        is_empty = not any(files.days(directory, kind) for kind in files.KINDS)
    except OSError:
        is_empty = True
    if is_empty:
        raise StoreError(f"there is no store in {directory}; 'scout-core up' makes one, --data-dir names another")
    reader = Reader(directory)
    try:
        yield reader
    finally:
        reader.close()


def _nothing(reader: Reader, app: str | None) -> Exception:
    from scout_dashboard.errors import NotFound

    apps = [each.name for each in reader.apps()]
    if app is not None and app not in apps:
        return NotFound(f"no application {app!r} is in the store; it has {', '.join(apps) or 'none'}")
    return NotFound("no trace was kept in that time; look further back with --last, for instance --last 1d")


def _absent(traces: Any, names: list[str]) -> list[str]:  # Any: rows with their traces
    """Policies that gave points then and are not here, so that the new sums lack them."""
    then = {name for row, _ in traces for name, points in row.policies.items() if points}
    missing = sorted(then - set(names))
    return [f"{', '.join(missing)} gave points then and is not among these policies"] if missing else []


def _say(facts: object, lines: Iterator[str]) -> None:
    if facts is not None:
        click.echo(json.dumps(facts))
        return
    for line in lines:
        click.echo(line)
