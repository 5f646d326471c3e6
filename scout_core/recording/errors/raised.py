"""
The exceptions that an error consists of: itself, what it was raised from, and the members of exception groups.

On the application's thread no code of an exception runs: what is read are fields of built-in classes, and texts are copied, not built;
see ``copies.py``. How many exceptions and frames are read is limited, whatever the application has chained.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType, TracebackType
from typing import Any, Final

from scout_core.recording.errors.copies import LONGEST, Group, attributes_of, backport_group, copy_of, size_of
from scout_core.signals import is_from_signal_handler
from scout_core.tracebacks import MAX_FRAMES, steps_of

MOST_RELATED: Final = 20
"""Exceptions besides the error itself."""
MOST_STEPS: Final = 10
"""Causes, contexts and groups on the way from the error to an exception."""
MOST_RELATED_FRAMES: Final = 20
"""Innermost frames of each exception besides the error itself."""
MOST_NOTES: Final = 10
"""Notes of each exception."""
CAUSE, CONTEXT, MEMBER = "cause", "context", "member"
"""How an exception is related to another one: it is its ``__cause__``, its ``__context__``, or in its ``exceptions``."""
EXCEPTIONS, FRAMES, NOTES = "exceptions", "frames", "notes"
"""Parts of an error that are counted when they are left out."""
_SIZE: Final = 400
_FRAME_SIZE: Final = 100

# The descriptors themselves: an attribute of an exception may be foreign code.
_cause: Final[Callable[[BaseException], BaseException | None]] = BaseException.__dict__["__cause__"].__get__
_context: Final[Callable[[BaseException], BaseException | None]] = BaseException.__dict__["__context__"].__get__
_suppresses: Final[Callable[[BaseException], bool]] = BaseException.__dict__["__suppress_context__"].__get__
trace_of: Final[Callable[[BaseException], TracebackType | None]] = BaseException.__dict__["__traceback__"].__get__
_exit_code: Final[Callable[[SystemExit], object]] = SystemExit.__dict__["code"].__get__
_group_members: Final[Any] = Group.__dict__["exceptions"].__get__ if Group else None
_type_name: Final[Callable[[type], str]] = type.__dict__["__name__"].__get__


class Raised:
    """An exception as data."""

    __slots__ = ("kind", "frames", "notes", "parent", "relation", "source", "_message")

    def __init__(self, kind: type[BaseException], parent: int, relation: str) -> None:
        self.kind = kind
        self.frames: list[tuple[CodeType, int]] = []
        """Code and line, innermost first."""
        self.notes: tuple[str, ...] = ()
        self.parent = parent
        """Number of the exception that it is related to, in the list that it is in; 0 for the error itself."""
        self.relation = relation
        """``cause``, ``context`` or ``member``; empty for the error itself."""
        self.source: BaseException | None = None
        """Prints the text; None when it has been read, or will not be."""
        self._message: str | None = None

    @property
    def message(self) -> str:
        """Literals masked; see ``text/message.py``. Built when it is first read: on the agent's thread."""
        from scout_core.text.message import UNREADABLE  # loaded by start()

        source = self.source
        if source is not None:
            self._message = _text_of(source, self.kind)
            self.source = None
        return UNREADABLE if self._message is None else self._message


class Reading:
    """The exceptions of one error, read on the application's thread."""

    __slots__ = ("raised", "left_out", "size", "is_ours")

    def __init__(self, error: BaseException, trace: TracebackType | None) -> None:
        self.raised: list[Raised] = []
        """The error first; each one after what it is related to."""
        self.left_out: dict[str, int] = {}
        """``exceptions``, ``frames`` or ``notes`` to how many exceeded a limit; exceptions beyond those are not counted."""
        self.size = 0
        """Bytes, about."""
        self.is_ours = True
        """Whether it keeps nothing of the application's alive."""
        try:
            self._read_all(error, trace)
        except Exception as problem:  # whatever an exception is made of, the application's must not be replaced
            if is_from_signal_handler(problem):
                raise

    def _read_all(self, error: BaseException, trace: TracebackType | None) -> None:
        raised = self._add(error, trace, MAX_FRAMES, 0, "")
        pending = self._related_to(error, raised)
        visited = [error]
        while pending:
            exception, number, relation, steps = pending.pop()
            if True in [exception is known for known in visited]:
                continue
            if len(self.raised) > MOST_RELATED or steps > MOST_STEPS:
                self._leave_out(EXCEPTIONS, 1)
                continue
            visited.append(exception)
            raised = self._add(exception, trace_of(exception), MOST_RELATED_FRAMES, number, relation)
            pending += self._related_to(exception, raised, steps)

    def _add(
        self, exception: BaseException, trace: TracebackType | None, most_frames: int, parent: int, relation: str
    ) -> Raised:
        raised = Raised(type(exception), parent, relation)
        self.raised.append(raised)
        steps = steps_of(trace)
        if len(steps) > most_frames:
            self._leave_out(FRAMES, len(steps) - most_frames)
        raised.frames = [(step.tb_frame.f_code, step.tb_lineno) for step in steps[: -most_frames - 1 : -1]]
        self.size += _SIZE + _FRAME_SIZE * len(raised.frames)
        notes = attributes_of(exception).get("__notes__")
        if notes is not None:
            raised.notes = self._notes(notes)
        try:
            raised.source, is_ours = copy_of(exception)
            self.size += size_of(raised.source)
            self.is_ours = self.is_ours and is_ours
        except Exception as problem:
            if is_from_signal_handler(problem):
                raise
        return raised

    def _notes(self, notes: object) -> tuple[str, ...]:
        """Return what ``add_note`` has added, or what the application has put there: anything."""
        kind: object = type(notes)
        given: Any = notes if kind is list or kind is tuple else (notes,)
        read = tuple([_plain(note) for note in given[:MOST_NOTES]])
        if len(given) > MOST_NOTES:
            self._leave_out(NOTES, len(given) - MOST_NOTES)
        self.size += sum([len(note) for note in read])
        return read

    def _related_to(
        self, exception: BaseException, raised: Raised, steps: int = 0
    ) -> list[tuple[BaseException, int, str, int]]:
        """Return what an exception refers to, the number of the exception, and how; the last one is followed first."""
        found: list[tuple[BaseException, int, str, int]] = []
        number = len(self.raised) - 1
        members = members_of(exception, raised.kind)
        if members:
            if len(members) > MOST_RELATED:
                self._leave_out(EXCEPTIONS, len(members) - MOST_RELATED)
            first = members[MOST_RELATED - 1 :: -1]
            found += [
                (member, number, MEMBER, steps + 1) for member in first if issubclass(type(member), BaseException)
            ]
        cause = _cause(exception)
        if cause is not None:
            found.append((cause, number, CAUSE, steps + 1))
        elif not _suppresses(exception) and (context := _context(exception)) is not None:
            found.append((context, number, CONTEXT, steps + 1))
        return found

    def _leave_out(self, what: str, count: int) -> None:
        self.left_out[what] = self.left_out.get(what, 0) + count


def members_of(exception: BaseException, kind: type[BaseException]) -> Any:  # Any: an application may have set it
    """Return the exceptions of a group, a list or tuple; empty for another exception. Runs no code of the exception."""
    if Group is not None:
        return _group_members(exception) if issubclass(kind, Group) else ()
    backport = backport_group()
    if backport is None or not issubclass(kind, backport):
        return ()
    members = attributes_of(exception).get("_exceptions")
    of: object = type(members)
    return members if of is tuple or of is list else ()


def is_failure(kind: type[BaseException], error: BaseException | None) -> bool:
    """
    Whether what left a span is an error: any ``Exception``, and the end of the process with a status other than 0.

    A server ends a request that exceeds its time limit with ``SystemExit(1)``. Ctrl-C, a cancelled task, a closed generator
    and ``sys.exit()`` are not errors. A group is one if it has such a member.
    """
    if issubclass(kind, Exception):
        return True
    if error is None:
        return False
    if issubclass(kind, SystemExit):
        code = _exit_code(error)  # type: ignore[arg-type]  # mypy does not connect the class with the object
        of: object = type(code)  # compared by identity: a metaclass may raise
        return code is not None and not ((of is int or of is bool) and code == 0)
    return True in [is_failure(type(leaf), leaf) for leaf in leaves_of(error, kind)]


def leaves_of(error: BaseException, kind: type[BaseException]) -> list[BaseException]:
    """Return the members of a group, and of groups in it, that are not groups; those of the first ``MOST_RELATED`` groups."""
    leaves = []
    groups = [(error, kind)]
    for group, of in groups:
        for member in members_of(group, of)[:MOST_RELATED]:
            inner = type(member)
            if not members_of(member, inner):
                leaves.append(member)
            elif len(groups) < MOST_RELATED:
                groups.append((member, inner))
    return leaves


def _plain(note: object) -> str:
    kind = type(note)
    if issubclass(kind, str):
        return str.__getitem__(note, slice(LONGEST))  # type: ignore[index]
    return f"<{str.__getitem__(_type_name(kind), slice(100))}>"


def _text_of(error: BaseException, kind: type[BaseException]) -> str:
    from scout_core.text.message import UNREADABLE, masked_message

    try:
        return masked_message(str(error), kind)
    except BaseException:  # noqa: BLE001  # foreign code, whatever it raises; on the agent's thread there is no Ctrl-C
        return UNREADABLE
