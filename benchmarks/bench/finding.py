"""The cost of finding plugins at start among 30 and 300 installed distributions, in fresh processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

from bench.child import run_once
from bench.figures import Figure
from bench.plan import PYTHON
from bench.wheels import write_plugin_wheel

INSTALLED: Final = {30: 6, 300: 20}
"""Distributions in all, and how many of them are plugins."""
CHILD: Final = """
import sys
work_name, *path = sys.argv[1:]
sys.path += path
import scout_core.agent
from scout_core.boundary import discovery
from time import process_time_ns
work = {"find": lambda: discovery.find_plugins(list(sys.path)), "start": scout_core.start}[work_name]
before, start_ns = set(sys.modules), process_time_ns()
made = work()
took_ns = process_time_ns() - start_ns
import json
plugins = made.plugins if work_name == "find" else made.plugin_statuses()
print(json.dumps({"ns": took_ns, "plugins": len(plugins), "modules": sorted(set(sys.modules) - before)}))
"""
METADATA: Final = (
    "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: attrs>=23\n\n" + "A long description.\n" * 400
)
WORK: Final = {"find": "find plugins", "start": "scout_core.start()"}
EXPENSIVE: Final = frozenset({"importlib.metadata", "packaging", "zipfile"})


def measure_finding(rounds: int, directory: Path, progress: Callable[[str], None]) -> list[Figure]:
    """Measure the CPU time of finding plugins, the minimum of all rounds: in folders only, and with one more plugin in an archive."""
    figures = []
    archive = write_plugin_wheel(max(INSTALLED.values()), directory / "wheels")
    for count, plugins in INSTALLED.items():
        site = installed(count, plugins, directory / f"site-{count}")
        paths = {"in folders": [site], "and one in an archive": [site, archive]}
        for work, what in WORK.items():
            answers: dict[str, list[dict[str, Any]]] = {name: [] for name in paths}  # Any: JSON
            for number in range(rounds + 1):
                progress(f"{what} among {count} distributions: round {number} of {rounds}")
                for name, path in paths.items():
                    answer = run_once([str(PYTHON), "-c", CHILD, work, *map(str, path)], directory=directory)
                    if number:  # the first round compiles modules
                        answers[name].append(answer)
            figures += [figure(f"{what}, {count} more installed", name, answers) for name in answers]
    return figures


def figure(what: str, name: str, answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:  # Any: JSON
    """Return the cost of a search path, compared with folders only."""
    value, folders = (min(answer["ns"] for answer in answers[key]) / 1e6 for key in (name, "in folders"))
    last = answers[name][-1]
    loaded = ", ".join(sorted(EXPENSIVE.intersection(last["modules"])))
    return Figure(
        what=what,
        variant=name,
        measure="CPU",
        unit="ms",
        bare=folders,
        value=value,
        added=value - folders,
        note=f"{last['plugins']} plugins, {'imports ' + loaded if loaded else 'no importlib.metadata, no packaging'}",
    )


def installed(count: int, plugins: int, folder: Path) -> Path:
    """Create a folder with distributions, the first of which are plugins."""
    for number in range(plugins):
        with ZipFile(write_plugin_wheel(number, folder.parent / "wheels")) as wheel:
            wheel.extractall(folder)
    for number in range(plugins, count):
        metadata = folder / f"other_{number}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(METADATA.format(name=f"other-{number}"), encoding="utf-8")
        (metadata / "RECORD").touch()
        if not number % 3:  # about as many as in an environment of web applications
            (metadata / "entry_points.txt").write_text(f"[console_scripts]\nother = other_{number}:main\n", "utf-8")
    return folder
