"""
Compare runs of a test suite without and with the agent: ``python -m scout_core.testing.upstream.comparison --help``.

A test that has several outcomes without the agent is unstable by itself. It differs only if it has another outcome with the agent.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import click
from attrs import field, frozen

from scout_core.cli.output import echo, print_table
from scout_core.testing.unattended import Evidence

MISSING = "missing"
"""The outcome of a test that a run does not have."""


@frozen
class Run:
    """One run of the suite, as ``scout_core.testing.upstream.outcomes`` has written it."""

    tests: Mapping[str, str]
    """Test id to outcome."""
    warnings: frozenset[str] = frozenset()
    status: int = 0
    """The exit status of pytest."""
    python: str = ""
    evidence: Evidence | None = None
    """None: without the agent."""

    @classmethod
    def from_file(cls, file: Path) -> Run:
        """
        Read the file of a run.

        Raises:
            OSError, ValueError, KeyError: it is missing, or not such a file.
        """
        data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))  # Any: JSON
        agent = data.get("agent")
        return cls(
            data["tests"],
            frozenset(data["warnings"]),
            data["exit_status"],
            data["python"],
            None if agent is None else Evidence.from_data(agent),
        )


@frozen
class Comparison:
    """Runs of one suite, without and with the agent."""

    without: Sequence[Run]
    recorded: Sequence[Run]
    expected: Set[str] = frozenset()
    """Tests that may have another outcome with the agent."""
    differing: Mapping[str, tuple[str, str]] = field(init=False)
    """Test id to its outcomes without and with the agent, where the agent causes another one."""
    unstable: Mapping[str, str] = field(init=False)
    """Test id to its outcomes without the agent, where there are several."""

    def __attrs_post_init__(self) -> None:
        differing, unstable = {}, {}
        for test in dict.fromkeys(test for run in (*self.without, *self.recorded) for test in run.tests):
            before, after = _outcomes(self.without, test), _outcomes(self.recorded, test)
            if not after <= before:
                differing[test] = (_listed(before), _listed(after))
            elif len(before) > 1:
                unstable[test] = _listed(before)
        object.__setattr__(self, "differing", differing)
        object.__setattr__(self, "unstable", unstable)

    @property
    def evidence(self) -> Evidence:
        """The agent's findings in all runs; the counts are those of the first one."""
        found = Evidence()
        for run in self.recorded:
            found.add(run.evidence or Evidence())
        first = self.recorded[0].evidence or Evidence()
        found.transactions, found.spans = first.transactions, first.spans
        return found

    @property
    def new_warnings(self) -> list[str]:
        """Warnings in every run with the agent, and in none without."""
        return sorted(
            frozenset.intersection(*(run.warnings for run in self.recorded)).difference(
                *(run.warnings for run in self.without)
            )
        )

    def problems(self) -> list[str]:
        """Return why the agent is not transparent to this suite; nothing: it is."""
        evidence = self.evidence
        found = [
            f"{test}: {before} without the agent, {after} with it"
            for test, (before, after) in self.differing.items()
            if test not in self.expected
        ]
        found += [f"{test}: expected to differ, and does not" for test in sorted(self.expected - self.differing.keys())]
        found += [f"a warning only with the agent: {warning}" for warning in self.new_warnings]
        found += evidence.failures
        if not any(run.tests for run in self.without):
            found.append("no test ran")
        if not evidence.spans.total():
            found.append("no span was recorded")
        return found

    def summary(self) -> dict[str, Any]:  # Any: JSON
        """Return the counts, as JSON."""
        evidence, first = self.evidence, self.recorded[0]
        return {
            "python": first.python,
            "tests": len(first.tests),
            "passed": sum(
                set(outcome.split(", ")) == {"passed"} for outcome in first.tests.values()
            ),  # also of subtests
            "transactions": evidence.transactions,
            "spans": evidence.spans.total(),
            "different": len(self.differing),
            "expected": sorted(self.expected & self.differing.keys()),
            "unstable": len(self.unstable),
            "problems": self.problems(),
        }


def _outcomes(runs: Iterable[Run], test: str) -> set[str]:
    return {run.tests.get(test, MISSING) for run in runs}


def _listed(outcomes: Iterable[str]) -> str:
    return " or ".join(sorted(outcomes))


_FILES = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--without", type=_FILES, multiple=True, required=True, help="A run without the agent; may be repeated.")
@click.option("--recorded", type=_FILES, multiple=True, required=True, help="A run with the agent; may be repeated.")
@click.option(
    "--expected", metavar="TEST", multiple=True, help="A test that may have another outcome; may be repeated."
)
@click.option("--summary", type=click.Path(path_type=Path), help="Write the counts to this file, as JSON.")
def main(
    without: tuple[Path, ...], recorded: tuple[Path, ...], expected: tuple[str, ...], summary: Path | None
) -> None:
    """Compare the outcomes of each test, and exit with 1 if the agent makes a difference or has failed."""
    try:
        before, after = ([Run.from_file(file) for file in files] for files in (without, recorded))
    except (OSError, ValueError, KeyError) as error:
        raise click.ClickException(f"invalid file of outcomes: {error}; write it with --scout-outcomes") from error
    comparison = Comparison(before, after, frozenset(expected))
    if summary is not None:
        summary.write_text(json.dumps(comparison.summary(), indent=1), encoding="utf-8")
    counts = comparison.summary()
    spans = ", ".join(f"{count:,} {kind}" for kind, count in comparison.evidence.spans.most_common())
    print_table(
        ("tests", "different", "transactions", "spans"),
        [(*(f"{counts[key]:,}" for key in ("tests", "different", "transactions")), spans or "0")],
    )
    for test, outcomes in comparison.unstable.items():
        echo(f"unstable without the agent: {test}: {outcomes}")
    problems = comparison.problems()
    for problem in problems:
        echo(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
