"""``scout-core policy``: explain a trace, and replay stored traces with other policies."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from scout_core.cli.output import echo
from scout_core.config.kinds import SECONDS, WEIGHT, within

if TYPE_CHECKING:
    from scout_dashboard.store.reader import Reader

_DURATION: Final = within(SECONDS, gt=0, le=36_500 * 86_400)
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _seconds(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Parse a duration as in the options: ``90s``, ``10m``, ``1h30m``, ``7 d``."""
    if text is None:
        return None
    try:
        return float(_DURATION.read(text))
    except ValueError as error:
        raise click.BadParameter(f"invalid value {text!r}; {error}") from None


def _weights(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, float]:
    """Parse ``NAME=NUMBER``, a number that the option ``policies`` would accept."""
    weights = {}
    for text in texts:
        name, _equals, number = text.rpartition("=")
        if not name.strip():
            raise click.BadParameter(f"{text!r} is not a weight; use NAME=NUMBER, such as speed=2")
        try:
            weights[name.strip()] = float(WEIGHT.read(number))
        except ValueError as error:
            raise click.BadParameter(f"{text!r} is not a weight; {error}, such as speed=2") from None
    return weights


def _store_options(command: _Command) -> _Command:
    """Add the options that locate the store, as for ``scout-core up``."""
    folder = click.Path(path_type=Path)
    for name, text in (
        ("--state-dir", "State directory of the collector. Default: the agents' state directory."),
        ("--data-dir", "Data directory of the collector. Default: 'data' in the state directory."),
    ):
        command = click.option(name, type=folder, help=text)(command)
    return command


_POLICY_HELP: Final = """
Explain why traces were kept, and replay stored traces with other policies.

\b
scout-core policy explain                     list the newest traces
scout-core policy explain 5f3a                why this trace was kept
scout-core policy replay --last 1h my_policies
"""


@click.group("policy", help=_POLICY_HELP)
def policy() -> None:
    """Run the command ``policy``."""


_EXPLAIN_COMMAND_HELP: Final = """
Show the points of each policy for TRACE, and the evidence for them.

TRACE is an id from the dashboard, or the first characters of one. Without TRACE, list the newest traces.

\b
scout-core policy explain
scout-core policy explain 5f3a9c01
"""


@policy.command("explain", help=_EXPLAIN_COMMAND_HELP)
@click.argument("trace", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_store_options
def explain_command(trace: str | None, as_json: bool, data_dir: Path | None, state_dir: Path | None) -> None:
    """Run the command ``explain``."""
    from attrs import asdict

    from scout_dashboard.policy import rendering
    from scout_dashboard.policy.evidence import Estimates
    from scout_dashboard.policy.explain import explain, newest, resolve_id

    with _reader(data_dir, state_dir) as reader:
        if trace is None:
            rows = reader.readable(lambda: newest(reader))
            _print([asdict(row) for row in rows] if as_json else None, rendering.traces_lines(rows))
            return
        facts = reader.readable(lambda: explain(reader, resolve_id(reader, trace), Estimates(reader)))
    _print(facts if as_json else None, rendering.explanation_lines(facts))


_REPLAY_COMMAND_HELP: Final = """
Show which stored traces other policies would have kept.

MODULES are modules with policies, as in SCOUT_PLUGINS: my_policies for the file my_policies.py in this directory.
They are added to the policies of an agent that starts here.

\b
scout-core policy replay --last 1h my_policies
scout-core policy replay --weight speed=3 --per 10m
SCOUT_PLUGINS_DISABLE=age scout-core policy replay --last 1d --json

Only kept traces are stored, so a replay selects among those. Each period has half as many places as it has groups,
assigned once by the points and groups that the agent recorded and once by the new ones.
"""


@policy.command("replay", help=_REPLAY_COMMAND_HELP)
@click.argument("modules", nargs=-1)
@click.option(
    "--last",
    callback=_seconds,
    metavar="DURATION",
    default="1h",
    show_default=True,
    help="Time range up to now: 90s, 10m, 1h30m, 7d.",
)
@click.option(
    "--per",
    callback=_seconds,
    metavar="DURATION",
    help="Length of a period in which traces compete. Default: one report.",
)
@click.option(
    "--keep", type=click.IntRange(1), help="Number of traces to keep per period. Default: half the number of groups."
)
@click.option(
    "--weight",
    "weights",
    callback=_weights,
    metavar="NAME=NUMBER",
    multiple=True,
    help="Weight of a policy; repeatable.",
)
@click.option("--app", help="Replay only this application.")
@click.option("--all", "show_all", is_flag=True, help="Also show unchanged periods.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_store_options
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
    """Run the command ``replay``."""
    from scout_dashboard.policy import rendering
    from scout_dashboard.policy.evidence import Estimates
    from scout_dashboard.policy.replay import replay
    from scout_dashboard.policy.scoring import load_policies
    from scout_dashboard.store.traces import load_traces

    policies = load_policies(modules, weights)
    with _reader(data_dir, state_dir) as reader:
        now = time.time()
        traces = reader.readable(lambda: load_traces(reader, start=now - last, end=now + 60, app=app))
        if not traces:
            raise _no_traces_error(reader, app)
        with redirect_stdout(sys.stderr):  # output of a policy must not mix with our JSON
            periods = replay(traces, policies, Estimates(reader), per=per, places=keep)
    problems = [*policies.problems(), *_missing_policies(traces, policies.names)]
    facts = {
        "policies": policies.names,
        "weights": {name: policies.weights.get(name, 1.0) for name in policies.names},
        "traces": len(traces),
        "note": " ".join(rendering.REPLAY_NOTE),
        "problems": problems,
        "periods": [period.facts() for period in periods],
    }
    shown = [name + (f" x {policies.weights[name]:g}" if name in policies.weights else "") for name in policies.names]
    _print(facts if as_json else None, rendering.replay_lines(periods, shown, show_all=show_all))
    for problem in problems:
        echo(f"problem: {problem}", err=True)
    if policies.problems():
        raise SystemExit(1)


@contextmanager
def _reader(data_dir: Path | None, state_dir: Path | None) -> Iterator[Reader]:
    """Open the store for reading, whether a collector is running or not."""
    from scout_dashboard.commands import read_settings
    from scout_dashboard.errors import StoreError
    from scout_dashboard.store import files
    from scout_dashboard.store.reader import Reader

    configured_dir, options = read_settings()
    directory = data_dir or (Path(options.data_dir).expanduser() if options.data_dir else None)
    directory = directory or files.default_data_directory(state_dir or configured_dir)
    try:
        is_empty = not any(files.days(directory, kind) for kind in files.KINDS)
    except OSError:
        is_empty = True
    if is_empty:
        raise StoreError(
            f"no data in {directory}; start a collector with 'scout-core up', or choose another directory with --data-dir"
        )
    reader = Reader(directory)
    try:
        yield reader
    finally:
        reader.close()


def _no_traces_error(reader: Reader, app: str | None) -> Exception:
    from scout_dashboard.errors import NotFound

    apps = [stored.name for stored in reader.apps()]
    if app is not None and app not in apps:
        return NotFound(f"unknown application {app!r}; the store contains {', '.join(apps) or 'none'}")
    return NotFound("no trace was kept in this time range; use a longer one, such as --last 1d")


def _missing_policies(traces: Any, names: list[str]) -> list[str]:  # Any: rows with their traces
    """Report policies that gave points originally but are missing here, so that the new scores lack them."""
    original = {name for row, _ in traces for name, points in row.policies.items() if points}
    missing = sorted(original - set(names))
    return [f"missing policies that gave points originally: {', '.join(missing)}"] if missing else []


def _print(facts: object, lines: Iterator[str]) -> None:
    if facts is not None:
        echo(json.dumps(facts))
        return
    for line in lines:
        echo(line)
