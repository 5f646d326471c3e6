"""The stored counts that new ones are compared with: a file for each version of Python in ``benchmarks/baselines``."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from attrs import asdict, frozen

from bench.child import BENCHMARKS
from bench.cost import Cost

FOLDER: Final = BENCHMARKS / "baselines"
LIBRARIES: Final = ("attrs", "flask", "jinja2", "markupsafe", "pluggy", "sqlalchemy", "werkzeug")
"""Those that run in a request or in the agent."""
SAME_BUILD: Final = 0.02
"""Share by which the bare request may differ from the stored one; another build of Python exceeds it."""


@frozen(kw_only=True)
class Baseline:
    """Counts of one build of Python with certain libraries."""

    machine: str
    compiler: str
    valgrind: str
    libraries: Mapping[str, str]
    costs: Mapping[str, Cost]
    """``<workload>, <thread>`` to its cost."""


def default_file() -> Path:
    """Return the file of the running version of Python."""
    return FOLDER / f"{platform.python_version()}.json"


def read(file: Path) -> Baseline | None:
    """Return what is stored; None when nothing is."""
    if not file.exists():
        return None
    stored = json.loads(file.read_text(encoding="utf-8"))
    costs = {key: Cost(**cost) for key, cost in stored.pop("costs").items()}
    return Baseline(**stored, costs=costs)


def write(file: Path, costs: Iterable[Cost], *, valgrind: str, before: Baseline | None) -> None:
    """Store counts; those of workloads that were not counted now stay as they are."""
    new = {cost.key: cost for cost in costs}
    kept = dict(before.costs) if before else {}
    baseline = Baseline(
        machine=platform.machine(),
        compiler=platform.python_compiler(),
        valgrind=valgrind,
        libraries=installed_libraries(),
        costs=dict(sorted({**kept, **new}.items())),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(baseline), indent=1) + "\n", encoding="utf-8")


def installed_libraries() -> dict[str, str]:
    """Return the versions of the libraries whose code is counted."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def differences(baseline: Baseline, costs: Iterable[Cost]) -> list[str]:
    """Return why counts cannot be compared with the baseline; empty when they can."""
    found = []
    if baseline.machine != platform.machine():
        found.append(f"the baseline is of {baseline.machine}, this is {platform.machine()}")
    for name, installed in installed_libraries().items():
        stored = baseline.libraries.get(name)
        if stored != installed:
            found.append(f"the baseline is of {name} {stored}, {installed} is installed")
    for cost in costs:
        stored_cost = baseline.costs.get(cost.key)
        if stored_cost and abs(cost.request / stored_cost.request - 1) > SAME_BUILD:
            found.append(
                f"a request without an agent takes {cost.request:,} instructions, in the baseline {stored_cost.request:,}:"
                " another build of Python"
            )
            break
    return found
