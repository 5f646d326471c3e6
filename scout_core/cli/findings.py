"""What the doctor looks at: settings, plugins, files and the collector. Each look gives findings."""

from __future__ import annotations

import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from attrs import frozen

from scout_core.cli.here import FINE, Here
from scout_core.cli.live import live_plugins, living
from scout_core.measuring.report import PluginStatus
from scout_core.sending.rendezvous import FILE_NAME, read_private


@frozen
class Finding:
    """One sentence on one thing."""

    state: Literal["ok", "note", "problem"]
    """Only a problem makes the doctor end with 1; a note is worth knowing."""
    area: str
    text: str
    advice: str = ""
    """What to do about it."""


def of_settings(here: Here) -> Iterator[Finding]:
    """Where they come from, and what cannot be used."""
    for problem in here.problems:
        yield Finding("problem", "settings", str(problem))
    if not here.config.get("monitor"):
        origin = here.config.origin("monitor")
        yield Finding("problem", "settings", f"monitor is false ({origin}): nothing is recorded", "set it to true")
    if here.config.get("sample_rate") == 0:
        origin = here.config.origin("sample_rate")
        yield Finding("problem", "settings", f"sample_rate is 0 ({origin}): nothing is kept", "set it above 0")
    if not here.problems:
        yield Finding("ok", "settings", f"{here.file}; scout-core config shows every value and its origin")


def of_plugins(here: Here) -> Iterator[Finding]:
    """Their states, versions that do not fit, and targets that two of them wrap."""
    count = Counter(status.state for status in here.statuses)
    bad = [status for status in here.statuses if status.state not in FINE]
    for status in bad:
        detail = f"scout-core plugins {status.name}"
        yield Finding("problem", "plugins", f"{status.name} is {status.state}: {status.reason}", detail)
    for status in here.statuses:
        if status.state in FINE and status.not_found:
            missing = "; ".join(status.not_found)
            yield Finding("note", "plugins", f"{status.name} cannot wrap all that it names: {missing}")
    yield from _wrapped_twice(here.statuses)
    running = living(live_plugins(here.config))
    worse = {name: one for name, one in running.items() if one.is_bad}
    for name, one in worse.items():
        yield Finding("problem", "plugins", f"{name} is {one.told()}: {one.reason}", f"scout-core plugins {name}")
    if not bad and not worse:
        states = ", ".join(f"{number} {state}" for state, number in sorted(count.items()))
        yield Finding("ok", "plugins", f"{len(here.statuses)}: {states}")


def _wrapped_twice(statuses: list[PluginStatus]) -> Iterator[Finding]:
    owners = defaultdict(list)
    for status in statuses:
        for target in (*status.wrapped, *status.waiting):
            owners[target].append(status.name)
    for target, names in owners.items():
        if len(names) > 1:
            advice = f"if one is enough: scout-core plugins disable {names[-1]}"
            yield Finding("note", "plugins", f"{' and '.join(names)} both wrap {target}: a call is two spans", advice)


def of_files(here: Here) -> Iterator[Finding]:
    """Who may read and change what agents and collector trust."""
    folder = here.config.state_dir
    bad = list(_of_state_dir(folder))
    if here.settings is not None:
        bad += _of_settings_file(here.settings.path)
    yield from bad
    if not bad:
        there = "yours alone" if folder.exists() else "made when a collector starts"
        yield Finding("ok", "files", f"{folder}: {there}")


def _of_state_dir(folder: Path) -> Iterator[Finding]:
    try:
        facts = folder.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        yield Finding(
            "problem", "files", f"{folder} cannot be used: {error.strerror}", "choose another: SCOUT_STATE_DIR"
        )
        return
    if not stat.S_ISDIR(facts.st_mode):
        yield Finding("problem", "files", f"{folder} is not a directory of its own", "choose another: SCOUT_STATE_DIR")
    elif facts.st_uid != os.geteuid():
        yield Finding("problem", "files", f"{folder} belongs to another user", "choose another: SCOUT_STATE_DIR")
    elif stat.S_IMODE(facts.st_mode) & 0o022:
        yield Finding(
            "problem", "files", f"others can write to {folder}, so no collector uses it", f"chmod 700 {folder}"
        )
    for path in sorted(folder.glob(FILE_NAME)):
        if read_private(path) is None:
            text = f"{path} can be read by others or is not yours, so agents do not trust it"
            yield Finding("problem", "files", text, f"rm {path}, and start the collector again")


def _of_settings_file(path: Path) -> Iterator[Finding]:
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # told with the settings
    if stat.S_IMODE(mode) & 0o002:
        yield Finding("problem", "files", f"everybody can change {path}, and so name code to run", f"chmod o-w {path}")
