"""Runs the static rules in a fresh process, so that a plugin's import affects only that process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from attrs import asdict

from scout_core.testing.problems import Problem

_PROGRAM = "from scout_core.testing.isolated import main; main()"


def static_problems(
    module: str, *, packaged: bool = True, path: Sequence[str] | None = None, timeout: float = 60.0
) -> list[Problem]:
    """
    Check the rules of ``STATIC_RULES``, which need no calls of the library.

    Runs in a fresh process of this interpreter. Nothing that the plugin does reaches the current process, and nothing is raised.

    Args:
        module: the plugin's module.
        packaged: False: it is not a distribution, so its metadata is not checked.
        path: ``sys.path`` of that process; None: as in this one.
        timeout: seconds after which the process is stopped and reported as hanging.
    """
    with tempfile.TemporaryDirectory(prefix="scout-core-") as folder:
        answer = Path(folder, "answer")
        question = json.dumps(
            {
                "module": module,
                "packaged": packaged,
                "path": list(sys.path if path is None else path),
                "answer": str(answer),
            }
        )
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SCOUT_")}
        command = [sys.executable, "-W", "ignore", "-c", f"import sys; sys.path[:] = {list(sys.path)!r}; {_PROGRAM}"]
        try:
            done = subprocess.run(  # noqa: S603  # our own program
                command, input=question, env=environment, capture_output=True, text=True, timeout=timeout, check=False
            )
            ended = (
                f"the process ended with {done.returncode}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
            )
        except subprocess.TimeoutExpired:
            ended = f"it did not end within {timeout:.0f} s"
        lines = answer.read_text(encoding="utf-8").splitlines() if answer.exists() else []
    rule, problems = "import", []
    for line in map(json.loads, lines):
        rule = line.get("rule", rule)
        if "problem" in line:
            problems.append(Problem(**line["problem"]))
    if rule != "end":
        advice = "a plugin must neither end nor block its process"
        problems.append(Problem(rule, f"{module}: {ended}", advice, is_fatal=True, ends_process=True))
    return problems


def main() -> None:
    """Program of that process: reads the question from standard input, and writes the answer to a file line by line."""
    question, encode = json.load(sys.stdin), json.JSONEncoder().encode  # a plugin may replace json.dumps
    from scout_core.testing.static import static_rules

    sys.path[:] = question["path"]
    with open(question["answer"], "w", encoding="utf-8") as file:

        def write(**line: object) -> None:
            file.write(encode(line) + "\n")
            file.flush()

        rules = static_rules(question["module"], packaged=question["packaged"], begin=lambda rule: write(rule=rule))
        for problem in rules:
            write(problem=asdict(problem))
        write(rule="end")
    os._exit(0)  # even if a thread of the plugin is still running
