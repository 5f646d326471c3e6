"""
Plugins loaded in a child process, where no plugin can end, hold or break the command.

The child announces each step of each plugin before it makes it. When it hangs, the last step is to blame, and when it
ends, the plugin that also does so by itself: the next child leaves that step out, so that all other plugins are still shown.
"""

from __future__ import annotations

import binascii
import io
import json
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import sleep
from typing import Any, Final

from attrs import define, field

from scout_core.children import Child
from scout_core.cli.announcing import IMPORT, Announce, Step

LINGER: Final = 0.3
"""Seconds that a child with one plugin waits for what that has started in threads."""
MOST_CHILDREN: Final = 100
"""Each one leaves out a step more than the one before."""


@define
class Answer:
    """The end of all children."""

    result: Any = None
    """The result of the work; None when no child finished."""
    left_out: dict[Step, str] = field(factory=dict)
    """Steps that ended or held a child, each with a clause about how."""
    ended: str = ""
    """How the last child ended, when it did not finish."""
    printed: str = ""
    """Output of the plugins in the last child."""


Work = Callable[[Announce, Mapping[Step, str]], Any]  # Any: plain data
"""Gets a function that announces each step, and the steps to leave out; returns data of the core's own classes."""


def in_child(work: Work, *, seconds: float) -> Answer:
    """
    Do some work with plugins in child processes, until one finishes.

    Args:
        seconds: the longest time that one step may take.
    """
    answer = Answer()
    for _ in range(MOST_CHILDREN):
        run = _run(work, answer.left_out, seconds)
        answer.result, answer.printed = run.result, run.printed
        answer.ended = run.ended
        if run.result is not None or not run.steps:
            return answer
        step, ended = (run.steps[-1], run.ended) if run.has_timed_out else _culprit(work, run, answer.left_out, seconds)
        if step in answer.left_out:
            return answer
        answer.left_out[step] = ended
    return answer


@define
class _Run:
    """One child."""

    result: Any = None
    steps: list[Step] = field(factory=list)
    ended: str = ""
    has_timed_out: bool = False
    has_lingered: bool = False
    """It had made all steps, and waited for what they had started."""
    printed: str = ""


class _Only(dict[Step, str]):
    """The steps to leave out: those of all plugins but one, too."""

    def __init__(self, plugin: str, left_out: Mapping[Step, str]) -> None:
        super().__init__(left_out)
        self._plugin = plugin

    def __contains__(self, step: object) -> bool:
        return super().__contains__(step) or (isinstance(step, tuple) and step[0] != self._plugin)

    def __missing__(self, step: Step) -> str:
        return "another plugin is examined"


def _culprit(work: Work, run: _Run, left_out: Mapping[Step, str], seconds: float) -> tuple[Step, str]:
    """
    Return the step that ended a child, and how.

    Usually that is the last one. A thread that another plugin has started may have ended it as well: the culprit is the plugin that
    also ends a child that has no other plugin.
    """
    last = run.steps[-1]
    for plugin in dict.fromkeys([last[0], *(name for name, _ in run.steps)]):
        single = _run(work, _Only(plugin, left_out), seconds, linger=LINGER)
        if single.result is None and not single.has_timed_out:
            is_later = not single.steps or single.has_lingered
            return ((plugin, IMPORT) if is_later else single.steps[-1]), single.ended
    return last, run.ended


def _run(work: Work, left_out: Mapping[Step, str], seconds: float, *, linger: float = 0.0) -> _Run:
    run = _Run()
    child = _fork(lambda announce: work(announce, left_out), linger)
    raised = ""
    for line in child.lines(seconds, is_last=lambda line: "result" in line):
        if "step" in line:
            run.steps.append(tuple(line["step"]))
        run.has_lingered = run.has_lingered or "lingers" in line
        raised = line.get("raised", raised)
        run.result = _unpacked(line["result"]) if "result" in line else None
    run.printed = child.printed.decode("utf-8", "replace")
    run.ended = "" if run.result is not None else raised or child.ended
    run.has_timed_out = child.has_timed_out
    return run


def _fork(work: Callable[[Announce], Any], linger: float) -> Child:
    answers, for_answers = os.pipe()
    output, for_output = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        with suppress(ValueError, AttributeError, OSError):  # closed or missing
            stream.flush()
    pid = os.fork()
    if pid == 0:
        _be_child(work, for_answers, for_output, linger)
    os.close(for_answers)
    os.close(for_output)
    codes: list[int] = []

    def poll() -> int | None:
        if not codes:
            ended, status = os.waitpid(pid, os.WNOHANG)
            codes.extend([os.waitstatus_to_exitcode(status)] if ended else [])
        return codes[0] if codes else None

    return Child(pid, poll, answers, output)


def _be_child(work: Callable[[Announce], Any], answers: int, output: int, linger: float) -> None:
    """Do the work, answer and end; nothing of the command runs in this process any more."""
    own, encode = os.getpid(), json.JSONEncoder().encode
    current, write, leave, wait = os.getpid, os.write, os._exit, sleep  # kept, as in _packed: a plugin may replace them

    def send(**line: str | tuple[str, str]) -> None:
        if current() != own:  # a copy that a plugin has forked
            leave(0)
        text = encode(line).encode() + b"\n"
        while text:
            text = text[write(answers, text) :]

    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        result = _packed(work(lambda step: send(step=step)))
        if linger:
            send(lingers="")
            wait(linger)
        for stream in (sys.stdout, sys.stderr):
            with suppress(BaseException):  # of the plugins' streams
                stream.flush()
        send(result=result)
    except BaseException as error:  # noqa: BLE001  # the command reports it
        with suppress(BaseException):
            send(raised=f"it raised {type(error).__name__}")
        leave(1)
    finally:
        leave(0)


def _packed(
    result: Any, dumps: Callable[..., bytes] = pickle.dumps, encode: Callable[..., bytes] = binascii.b2a_base64
) -> str:
    return encode(dumps(result)).decode().strip()


def _unpacked(text: str) -> Any:
    return _Unpickler(io.BytesIO(binascii.a2b_base64(text))).load()


class _Unpickler(pickle.Unpickler):
    """Makes objects of the core's own classes only: a plugin may have put anything into its answers."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class of the core."""
        found = super().find_class(module, name) if module.partition(".")[0] == "scout_core" else None
        if not isinstance(found, type):
            raise pickle.UnpicklingError(f"{module}.{name} is not a class of the core")
        return found
