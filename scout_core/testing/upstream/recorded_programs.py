"""
Run a program whose tests are those of ``unittest``, unchanged, with the agent on:
``python -m scout_core.testing.upstream.recorded_programs --scout-outcomes=FILE --scout-plugin=django tests/runtests.py``.

Each test is a transaction, from its set-up to its tear-down, unless ``--scout-outside`` is given. The agent runs no thread and sends
nothing. What forked children record is not counted.
"""

from __future__ import annotations

from pathlib import Path

from scout_core import Transaction, transaction
from scout_core.operations import JOB
from scout_core.testing.unattended import Evidence, Unattended
from scout_core.testing.upstream.programs import ProgramOutcomes, parser


class RecordedProgram(ProgramOutcomes):
    """
    The outcomes while the agent is on.

    Args:
        is_outside: no test is inside a transaction.
    """

    def __init__(self, file: Path, agent: Unattended, *, is_outside: bool) -> None:
        super().__init__(file)
        self._agent = agent
        self._is_outside = is_outside
        self._total = Evidence()
        self._open: list[Transaction] = []

    def begin(self, test: str) -> None:
        """Begin the transaction of a test; one that runs other tests has theirs inside."""
        if not self._is_outside:
            self._open.append(transaction(f"{JOB}/test", test=test).begin())

    def end(self, test: str) -> None:
        """End it, and process what has been recorded."""
        if self._open:
            self._open.pop().end()
        self._total.add(self._agent.take())

    def finish(self) -> None:
        """Stop the agent, and keep what it has noticed."""
        self._total.add(self._agent.stop())
        self.more["agent"] = self._total.as_data()


def main() -> None:
    """Start the agent before the program is imported, as ``scout-core run`` does, and run the program."""
    options = parser()
    options.add_argument(
        "--scout-plugin", metavar="NAME", action="append", help="load this plugin and those of the core"
    )
    options.add_argument("--scout-outside", action="store_true", help="run no test inside a transaction")
    given = options.parse_args()
    agent = Unattended(given.scout_plugin or ())
    outcomes = RecordedProgram(given.scout_outcomes.absolute(), agent, is_outside=given.scout_outside)
    outcomes.observe()
    outcomes.run(given.program, given.arguments)


if __name__ == "__main__":
    main()
