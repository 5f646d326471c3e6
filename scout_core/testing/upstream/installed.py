"""Run tests that are installed with a library without the agent and with it, in a test of its plugin: ``compare_installed(…)``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from scout_core.testing.upstream.comparison import Comparison, Run

_WITHOUT = ("-pno:scout_core", "-pscout_core.testing.upstream.outcomes")
_RECORDED = "-pscout_core.testing.upstream"


def compare_installed(
    arguments: Sequence[str],
    *,
    plugin: str,
    folder: Path,
    outside: bool = False,
    expected: Iterable[str] = (),
) -> Comparison:
    """
    Run the same tests twice, each time in a process of its own, and compare the outcomes.

    Neither process sees plugins of pytest that are installed, options of the agent, or a collector of this machine.

    Args:
        arguments: of pytest, which choose the tests: ``["--pyargs", "huey.tests.test_api"]``. Relative paths start at ``folder``.
        plugin: the installed plugin to record with.
        folder: where both run, and leave their files.
        outside: record no test inside a transaction.
        expected: tests that may have another outcome with the plugin.

    Returns:
        The comparison, whose ``problems()`` are empty if the plugin is transparent.

    Raises:
        RuntimeError: no outcomes were written; with what pytest has printed.
    """
    recorded = [_RECORDED, f"--scout-plugin={plugin}", *(["--scout-outside"] if outside else [])]
    runs = [
        _run(name, [*options, *arguments], folder) for name, options in [("without", _WITHOUT), ("recorded", recorded)]
    ]
    return Comparison(runs[:1], runs[1:], frozenset(expected))


def _run(name: str, options: Iterable[str], folder: Path) -> Run:
    file = folder / f"{name}.json"
    file.unlink(missing_ok=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SCOUT_", "PYTEST_"))}
    environment |= {"XDG_STATE_HOME": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(  # noqa: S603  # the tests that the caller names
        [sys.executable, "-m", "pytest", "-q", "-pno:cacheprovider", f"--scout-outcomes={file}", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if not file.exists():
        raise RuntimeError(f"pytest has written no outcomes: {done.stdout}{done.stderr}")
    return Run.from_file(file)
