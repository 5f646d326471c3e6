"""
Plugins loaded in a child process, where no plugin can end, hold or break the command.

The child announces each step of each plugin before it makes it. When it ends or hangs, the plugin of the last step is to blame:
the next child leaves that step out, so that all other plugins are still shown.
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
from typing import Any, Final

from attrs import define, field

from scout_core.boundary.guard import Guard
from scout_core.boundary.hooks import Hooks
from scout_core.boundary.import_state import ImportState
from scout_core.boundary.plugin import Plugin
from scout_core.boundary.plugins import Plugins
from scout_core.children import Child
from scout_core.errors import PluginError
from scout_core.problems import Problem

Step = tuple[str, str]
"""A plugin, and ``import`` or the name of a hook."""
Announce = Callable[[Step], None]
IMPORT: Final = "import"
ENDED: Final = "ended-process"
"""The kind of the problem of a plugin whose import ended or held the process."""
BROKEN: Final = "broken-imports"
"""The kind of the problem of a plugin after whose import no other module can be imported."""
MOST_CHILDREN: Final = 100
"""Each one leaves out a step more than the one before."""


@define(eq=False, kw_only=True)
class AnnouncingHooks(Hooks):
    """Hooks whose functions announce when they are called, and raise when their step is to be left out."""

    announce: Announce
    left_out: Mapping[Step, str]

    def frozen(self, hook: str, *, is_changed: Callable[[str], bool] = bool) -> tuple[Guard, ...]:
        """Return the guards, as ever."""
        guards = super().frozen(hook, is_changed=is_changed)
        for guard in guards:
            guard.function = self._announced(guard.function, (guard.plugin, hook))
        return guards

    def _announced(self, function: Callable[..., Any], step: Step) -> Callable[..., Any]:
        def announced(*args: Any) -> Any:
            if step in self.left_out:
                raise PluginError(f"{step[1]}: {self.left_out[step]}")
            self.announce(step)
            return function(*args)

        return announced


@define(eq=False, kw_only=True)
class AnnouncingPlugins(Plugins):
    """Plugins that announce their import, one after the other. One that breaks all imports is undone, and has failed."""

    announce: Announce
    left_out: Mapping[Step, str]

    def load_module(self, plugin: Plugin, module: Any) -> None:
        """Import it, unless that is to be left out."""
        step = plugin.name, IMPORT
        if step in self.left_out:
            plugin.fail(Problem(ENDED, plugin.module, f"importing {plugin.module}: {self.left_out[step]}"))
            return
        self.announce(step)
        before = ImportState()
        super().load_module(plugin, module)
        broken = before.broken_thing()
        if broken:
            before.restore()
            self.hooks.unregister(plugin.name)
            detail = f"importing {plugin.module} changes {broken}, so that no other module can be imported"
            plugin.fail(Problem(BROKEN, plugin.module, detail))


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


def in_child(work: Callable[[Announce, Mapping[Step, str]], Any], *, seconds: float) -> Answer:  # Any: plain data
    """
    Do some work with plugins in child processes, until one finishes.

    Args:
        work: gets a function that announces each step, and the steps to leave out. It returns data of the core's own classes.
        seconds: the longest time that one step may take.
    """
    answer = Answer()
    for _ in range(MOST_CHILDREN):
        step, last = None, ""
        child = _fork(lambda announce: work(announce, answer.left_out))
        for line in child.lines(seconds, is_last=lambda line: "result" in line):
            step = tuple(line.get("step", ())) or step
            last = line.get("raised", last)
            answer.result = _unpacked(line["result"]) if "result" in line else None
        answer.printed = child.printed.decode("utf-8", "replace")
        answer.ended = "" if answer.result is not None else last or child.ended
        if answer.result is not None or step is None or step in answer.left_out:
            return answer
        answer.left_out[step] = answer.ended
    return answer


def _fork(work: Callable[[Announce], Any]) -> Child:
    answers, for_answers = os.pipe()
    output, for_output = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        with suppress(ValueError, AttributeError, OSError):  # closed or missing
            stream.flush()
    pid = os.fork()
    if pid == 0:
        _be_child(work, for_answers, for_output)
    os.close(for_answers)
    os.close(for_output)
    codes: list[int] = []

    def poll() -> int | None:
        if not codes:
            ended, status = os.waitpid(pid, os.WNOHANG)
            codes.extend([os.waitstatus_to_exitcode(status)] if ended else [])
        return codes[0] if codes else None

    return Child(pid, poll, answers, output)


def _be_child(work: Callable[[Announce], Any], answers: int, output: int) -> None:
    """Do the work, answer and end; nothing of the command runs in this process any more."""
    own, encode = os.getpid(), json.JSONEncoder().encode
    current, write, leave = os.getpid, os.write, os._exit  # kept, as in _packed: a plugin may replace them

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
