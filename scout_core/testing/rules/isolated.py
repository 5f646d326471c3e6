"""Runs the static rules in a fresh process, so that a plugin's import affects only that process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from attrs import asdict

from scout_core.children import Child
from scout_core.testing.rules.problems import Violation

_PROGRAM = "from scout_core.testing.rules.isolated import main; main()"


def static_problems(
    module: str, *, packaged: bool = True, path: Sequence[str] | None = None, timeout: float = 60.0
) -> list[Violation]:
    """
    Check the rules of ``STATIC_RULES``, which need no calls of the library.

    Runs in a fresh process of this interpreter. Nothing that the plugin does reaches the current process, and nothing is raised.

    Args:
        module: the plugin's module.
        packaged: False: it is not a distribution, so its metadata is not checked.
        path: ``sys.path`` of that process; None: as in this one.
        timeout: seconds that one rule may take; then the process is stopped and reported as hanging.
    """
    question = {"module": module, "packaged": packaged, "path": list(sys.path if path is None else path)}
    rule, problems = "import", []
    child = _start(question)
    for line in child.lines(timeout, is_last=lambda line: line.get("rule") == "end"):
        rule = line.get("rule", rule)
        if "problem" in line:
            problems.append(Violation(**line["problem"]))
    if rule != "end":
        printed = child.printed.decode("utf-8", "replace").strip().splitlines()
        evidence = ": ".join([module, child.ended, *printed[-1:]])
        advice = "a plugin must neither end nor block its process"
        problems.append(Violation(rule, evidence, advice, is_fatal=True, ends_process=True))
    return problems


def _start(question: dict[str, Any]) -> Child:  # Any: JSON
    answers, for_answers = os.pipe()
    output, for_output = os.pipe()
    question["answers"] = for_answers
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SCOUT_")}
    command = [sys.executable, "-W", "ignore", "-c", f"import sys; sys.path[:] = {list(sys.path)!r}; {_PROGRAM}"]
    with tempfile.TemporaryFile() as file:  # a pipe would be full if the interpreter did not start
        file.write(json.dumps(question).encode())
        file.seek(0)
        process = subprocess.Popen(  # noqa: S603  # our own program
            command,
            env=environment,
            stdin=file,
            stdout=for_output,
            stderr=for_output,
            pass_fds=[for_answers],
            start_new_session=True,
        )
    os.close(for_answers)
    os.close(for_output)
    return Child(process.pid, process.poll, answers, output)


def main() -> None:
    """Program of that process: reads the question from standard input, and answers line by line."""
    question, encode, write, own = json.load(sys.stdin), json.JSONEncoder().encode, os.write, os.getpid()
    # Kept before the plugin is imported, which may replace all of them.
    from scout_core.testing.rules.static import static_rules

    def answer(**line: object) -> None:
        if os.getpid() != own:  # a copy that the plugin has forked
            os._exit(0)
        text = encode(line).encode() + b"\n"
        while text:
            text = text[write(question["answers"], text) :]

    sys.path[:] = question["path"]
    rules = static_rules(question["module"], packaged=question["packaged"], begin=lambda rule: answer(rule=rule))
    for problem in rules:
        answer(problem=asdict(problem))
    answer(rule="end")
    os._exit(0)  # even if a thread of the plugin is still running
