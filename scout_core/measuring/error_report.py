"""Errors as they leave the process: the exception, what it was raised from, and the members of exception groups."""

from __future__ import annotations

from attrs import field, frozen

from scout_core.measuring.read_only import with_read_only_mappings
from scout_core.tracebacks import Frame


@frozen(kw_only=True)
class ExceptionReport:
    """One exception."""

    exception: str
    """Module and class: ``sqlalchemy.exc.IntegrityError``."""
    message: str
    """First line, literals masked, at most 300 characters."""
    frames: tuple[tuple[str, int, str], ...]
    """``(file, line, function)``, innermost first, at most 50; 20 of an exception that another one is related to."""
    in_app: tuple[bool, ...] = ()
    """For each of ``frames``, whether it is the application's own code; empty from an agent that does not know."""
    notes: tuple[str, ...] = ()
    """What ``add_note`` has added: the first line of each, literals masked; at most 10."""

    @property
    def place(self) -> Frame | None:
        """The innermost frame that is the application's own code; the innermost one where none is, None without frames."""
        for frame, is_own in zip(self.frames, self.in_app):  # noqa: B905  # of an agent that does not know, one is empty
            if is_own:
                return frame
        return self.frames[0] if self.frames else None


@frozen(kw_only=True)
class RelatedException(ExceptionReport):
    """An exception that an error, or another exception of it, refers to."""

    parent: int
    """The exception that refers to it: 0 for the error itself, n for the nth of ``ErrorReport.related``. Smaller than its own number."""
    relation: str
    """``cause`` (``raise … from``), ``context`` (raised while it was handled), or ``member`` of an exception group."""


@frozen(kw_only=True, field_transformer=with_read_only_mappings)
class ErrorReport(ExceptionReport):
    """An exception that left a transaction, or that was recorded in it."""

    handled: bool = False
    """Whether something dealt with it, so that it did not make the transaction fail."""
    related: tuple[RelatedException, ...] = ()
    """Causes, contexts and members of groups, at most 20, each after the one that refers to it."""
    left_out: dict[str, int] = field(factory=dict)
    """
    ``exceptions``, ``frames`` or ``notes`` to how many of them exceeded a limit, in all of its exceptions. What only an exception
    that was left out refers to is not counted.
    """
