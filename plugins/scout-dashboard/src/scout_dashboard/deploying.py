"""``scout-core deploy``: mark a deploy by hand, with a running collector or without one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from scout_core.cli.output import echo
from scout_core.config.kinds import SECONDS, within
from scout_core.errors import ScoutError

if TYPE_CHECKING:
    from scout_core.sending.rendezvous import CollectorAddress
    from scout_dashboard.marking import GivenMarker, MarkerAnswer
    from scout_dashboard.options import Options

_TIMEOUT_SECONDS: Final = 10.0
_PAUSE: Final = 0.05
_MAX_BYTES: Final = 65_536
_AGO: Final = within(SECONDS, ge=0, le=36_500 * 86_400)

_HELP: Final = """
Mark a deploy in the charts, for applications whose processes do not report a revision, or another event.

SHA is the revision, or a text of at most 100 characters.

\b
scout-core deploy "$(git rev-parse HEAD)"
scout-core deploy 3f2a9c1 --at "5m ago"
scout-core deploy "new price list" --at 2026-11-30T14:05 --app Shop

The same SHA within ten minutes is the same deploy, also where processes report it.
"""


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Parse a time: ISO 8601, without a zone in that of this machine, or a duration with ``ago``."""
    if text is None:
        return None
    given = text.strip()
    if given.lower().endswith("ago"):
        try:
            return time.time() - float(_AGO.read(given[:-3].strip()))
        except ValueError as error:
            raise click.BadParameter(f"invalid time {text!r}; before 'ago': {error}, such as 5m ago") from None
    try:
        # Python 3.10 does not read the Z of UTC.
        return datetime.fromisoformat(f"{given[:-1]}+00:00" if given[-1:] in ("Z", "z") else given).timestamp()
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(
            f"invalid time {text!r}; expected ISO 8601, such as 2026-11-30T14:05 or 2026-11-30T13:05Z, or a duration,"
            " such as '5m ago'"
        ) from None


@click.command("deploy", help=_HELP)
@click.argument("revision", metavar="SHA")
@click.option("--at", callback=_moment, metavar="TIME", help="When it happened. Default: now.")
@click.option("--app", help="Name of the application. Default: the only one that has reported.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    help="State directory of the collector. Default: the agents' state directory.",
)
def deploy(revision: str, at: float | None, app: str | None, state_dir: Path | None) -> None:
    """Run the command ``deploy``."""
    from scout_dashboard.commands import read_settings
    from scout_dashboard.marking import GivenMarker

    configured_dir, options = read_settings()
    given = GivenMarker(revision=revision, at=at, app=app)
    answer = _mark(given, state_dir or configured_dir, options)
    when = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(answer.at))
    echo(f"{'Marked' if answer.is_new else 'Marked before:'} {answer.revision} of {answer.app} at {when}")


def _mark(given: GivenMarker, state_dir: Path, options: Options) -> MarkerAnswer:
    """Ask the running collector, or write into its store while none runs; wait for one that is starting or stopping."""
    from scout_core.sending.rendezvous import locate
    from scout_dashboard.locks import LockHeld, describe

    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        try:
            address = locate(state_dir)
        except OSError as error:
            raise ScoutError(f"cannot read {error.filename or state_dir}: {error.strerror}") from error
        if address is not None and not address.has_ended:
            return _ask(address, given)
        try:
            return _write(given, state_dir, options)
        except LockHeld as error:
            if time.monotonic() > deadline:
                raise ScoutError(
                    f"{describe(error.holder)} has locked {state_dir}, but does not answer; try again when it has started or ended"
                ) from error
        time.sleep(_PAUSE)


def _ask(address: CollectorAddress, given: GivenMarker) -> MarkerAnswer:
    import json
    from http.client import HTTPException

    from attrs import asdict

    from scout_core.sending.asking import connection_to
    from scout_core.sending.protocol import CONTENT_TYPE, error_text, read_answer
    from scout_dashboard.marking import DEPLOYS, MarkerAnswer

    try:
        with closing(connection_to(address, timeout=_TIMEOUT_SECONDS)) as connection:
            headers = {"Authorization": f"Bearer {address.token}", "Content-Type": CONTENT_TYPE}
            connection.request("POST", DEPLOYS, json.dumps(asdict(given)), headers)
            with connection.getresponse() as response:
                found = json.loads(response.read(_MAX_BYTES))
        if response.status in (200, 201):
            return read_answer(found, MarkerAnswer)
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        raise ScoutError(f"the collector at {address.url} does not answer: {error}; run the command again") from error
    raise ScoutError(error_text(found))


def _write(given: GivenMarker, state_dir: Path, options: Options) -> MarkerAnswer:
    """
    Write into the store of a collector that does not run.

    Raises:
        LockHeld: one is running, starting or stopping.
        ScoutError: there is no data, or it cannot be used.
    """
    from scout_dashboard.errors import StoreError
    from scout_dashboard.locks import LockHeld
    from scout_dashboard.marking import mark
    from scout_dashboard.options import MOST_DAYS
    from scout_dashboard.store import Store, files

    directory = Path(options.data_dir).expanduser() if options.data_dir else files.default_data_directory(state_dir)
    try:
        is_empty = not files.days(directory, "metrics")
    except OSError:
        is_empty = True
    if is_empty:
        raise ScoutError(
            f"no collector is running for {state_dir}, and there is no data in {directory}; start one with: scout-core up"
        )
    _check_versions(directory)
    now = time.time()
    oldest = float((files.day_of(now) - options.retention_days) * files.DAY)
    with _locked(state_dir):
        try:
            # A collector may have been started with a longer retention than is configured: nothing is deleted here.
            store = Store(directory, retention_days=MOST_DAYS, trace_retention_days=MOST_DAYS)
        except StoreError as error:
            if isinstance(error.__cause__, LockHeld):
                raise ScoutError(
                    f"{directory} is in use by {error.__cause__.holder or 'another collector'}, which is not the one of {state_dir};"
                    " name its state directory with --state-dir"
                ) from error
            raise
        with closing(store):
            return mark(store, given, oldest=oldest, now=now)


def _check_versions(directory: Path) -> None:
    """Raise ScoutError where a newer version wrote into the store: opening it would set aside the files of that version."""
    from scout_dashboard.store import files
    from scout_dashboard.store.tables import VERSION

    for day in files.days(directory, "metrics"):
        path = files.path_of(directory, "metrics", day)
        try:
            with path.open("rb") as file:
                head = file.read(64)
        except OSError:  # opening the store shows why
            continue
        # The format of SQLite: user_version is the number at byte 60.
        if head.startswith(b"SQLite format 3\0") and int.from_bytes(head[60:64], "big") > VERSION:
            raise ScoutError(f"{path} was written by a newer version of scout-core; mark the deploy with that version")


@contextmanager
def _locked(state_dir: Path) -> Iterator[None]:
    """Keep a collector from starting, which waits meanwhile; the announcement of one that was killed is removed, as at its next start."""
    from scout_core.private_files import private_directory
    from scout_core.sending.rendezvous import LOCK_NAME, discard
    from scout_dashboard.locks import FileLock

    directory = private_directory(state_dir)
    lock = FileLock(directory / LOCK_NAME)
    try:
        discard(directory)
        yield
    finally:
        lock.release()
