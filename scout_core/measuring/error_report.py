"""Errors as they leave the process: the exception, what it was raised from, and the members of exception groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Union

from attrs import field, frozen

from scout_core.measuring.read_only import with_read_only_mappings
from scout_core.operations import OTHER_NAME, counted_under
from scout_core.tracebacks import Frame

if TYPE_CHECKING:
    from typing_extensions import Self

TagValue = Union[str, int, float, bool, None]  # noqa: UP007  # cattrs finds its hook under this spelling
Tags = dict[str, TagValue]


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
    where: str = ""
    """
    Module and qualified name of the function that it is placed in, ``shop.cart:Cart.total``: that of ``place``, except that a lambda or a
    comprehension stands for the function around it. Empty without frames, and from an agent that does not send it.
    """
    group: str = ""
    """The key of its group, see ``scout_core.measuring.error_groups``; empty from an agent that does not send it."""
    left_out: dict[str, int] = field(factory=dict)
    """
    ``exceptions``, ``frames`` or ``notes`` to how many of them exceeded a limit, in all of its exceptions. What only an exception
    that was left out refers to is not counted.
    """


@frozen(kw_only=True, field_transformer=with_read_only_mappings)
class ErrorExample:
    """One error of a group, with the facts of its request or job."""

    name: str
    """The name of the transaction, as its figures have it."""
    time: float
    """Unix time."""
    error: ErrorReport
    tags: Tags
    """Context and facts of the request, as a trace has them: filtered."""
    trace: str
    """Id of the transaction, 16 hexadecimal digits; its trace may not have been kept."""


@frozen(kw_only=True, field_transformer=with_read_only_mappings)
class ErrorGroupMetrics:
    """All errors of one group in one period, whether a trace of their transaction was kept or not."""

    group: str
    """Its key; ``other`` for the errors beyond the limits, of which nothing else is known."""
    title: str
    """One line for a person: class, root cause and place."""
    exception: str
    """Class, with its module; empty: transactions that failed without an exception."""
    cause: str
    """Class of the root cause; empty: none."""
    where: str
    """As of ``ErrorReport``; the name of transactions that failed without an exception."""
    message: str
    """The message of the latest one, masked."""
    count: int
    handled: int
    """Those of ``count`` that something dealt with."""
    endpoints: dict[str, int]
    """Name of transactions to the number of errors; at most 20, and ``other``."""
    first: float
    """Unix time at which the first one was counted."""
    last: float
    trace: str = ""
    """Id of a trace of the same report that has such an error; empty: none was kept."""
    example: ErrorExample | None = None
    """Sent with the first errors of a group in a process, and again after ten minutes."""

    @classmethod
    def sum_of(cls, groups: Sequence[ErrorGroupMetrics], *, most: int) -> Self:
        """
        Return the errors of several groups, at least one, as those of ``other``.

        Args:
            most: names of transactions that are counted; further ones are counted under ``other``, too.
        """
        endpoints: dict[str, int] = {}
        for group in groups:
            for name, count in group.endpoints.items():
                key = counted_under(name, endpoints, most)
                endpoints[key] = endpoints.get(key, 0) + count
        return cls(
            group=OTHER_NAME,
            title=OTHER_NAME,
            exception="",
            cause="",
            where="",
            message="",
            count=sum(group.count for group in groups),
            handled=sum(group.handled for group in groups),
            endpoints=endpoints,
            first=min(group.first for group in groups),
            last=max(group.last for group in groups),
        )
