"""A background job: a transaction that knows how it ended, whether its library raises what the task raised or catches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final

from scout_core.classes import bases_of, class_path
from scout_core.measuring.queues import OUTCOME as OUTCOME
from scout_core.recording.context import KEPT_OPEN, current, innermost_open
from scout_core.recording.errors.ignored import is_ignored
from scout_core.recording.errors.raised import is_failure
from scout_core.recording.errors.recorded import record_in
from scout_core.recording.naming import has_error_tag
from scout_core.recording.safety.contain import lose
from scout_core.recording.transaction import Transaction, known_kinds

if TYPE_CHECKING:
    from typing_extensions import Self

Endings = Mapping[str, str]
"""
Exceptions of a queue's library to the outcome that they stand for: ``{"huey.exceptions.RetryTask": RETRY}``.

By module and name, because a plugin does not import the library. A subclass counts as its base class.
"""

SUCCESS: Final = "success"
FAILURE: Final = "failure"
RETRY: Final = "retry"
"""It will run again, because the task asked for that, or raised while attempts were left."""
IGNORED: Final = "ignored"
"""The task asked for neither success nor failure, such as ``Ignore`` of Celery."""
REJECTED: Final = "rejected"
"""The task, a lock or a limit refused it."""
REVOKED: Final = "revoked"
"""It was cancelled."""
TIMED_OUT: Final = "timed_out"
"""It exceeded its time limit, which is a failure."""
ABORTED: Final = "aborted"
"""Its worker was stopped meanwhile: what left it is not an error, such as ``KeyboardInterrupt``."""

_FAILED: Final = (FAILURE, TIMED_OUT)
_NO_ENDINGS: Final[Endings] = MappingProxyType({})


_Problem = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class JobTransaction(Transaction):
    """
    A transaction with the tag ``outcome``; ``with JobTransaction("Job/mail.send") as job: …``.

    An exception that leaves it is a failure, and recorded, unless its class is in ``endings``. Inside another transaction it is a
    span of that one, which does not fail because the job does.
    """

    __slots__ = ("endings", "has_retries", "own_outcome", "own_error")

    endings: Endings
    """Exceptions of the library that end it in another way than by a failure."""
    has_retries: bool
    """An exception leads to another attempt."""
    own_outcome: str
    """As the library has reported it; empty until then."""
    own_error: BaseException | None
    """The exception that the library has caught; None once it has ended."""

    def __init__(self, operation: str, /, **tags: Any) -> None:
        Transaction.__init__(self, operation, **tags)
        self.endings = _NO_ENDINGS
        self.has_retries = False
        self.own_outcome = ""
        self.own_error = None

    def settle(self, outcome: str, error: BaseException | None = None) -> Self:
        """
        Set how it ends, where the library catches what the task raises; the last call before its end counts.

        Args:
            outcome: ``SUCCESS``, ``FAILURE``, ``RETRY`` or another one.
            error: the exception that the library has caught. It is recorded when the job ends: as its error with ``FAILURE`` and
                ``TIMED_OUT``, else as one that was handled; one of ``endings`` only with these two. None: an earlier one stays.
        """
        self.own_outcome = outcome
        if error is not None:
            self.own_error = error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        problem: _Problem = kind, error, trace
        try:
            # One that is kept open ends here only with an exception, and one that has ended was settled by then.
            if self.start_ns and (not self.stop_ns or (self.stop_ns == KEPT_OPEN and kind is not None)):
                problem = self._settled(problem)
        except Exception as fault:  # noqa: BLE001  # see `contain.py`
            lose(self, fault)
        finally:  # a signal handler may raise meanwhile, such as the time limit of a library
            Transaction.__exit__(self, *problem)

    def _settled(self, problem: _Problem) -> _Problem:
        """Set the outcome; return the exception with which it fails, if it does."""
        kind, error, _ = problem
        outcome = self.own_outcome or self._outcome_of(kind, error)
        self.own_tags.setdefault(OUTCOME, outcome)  # the application's own tag stays
        caught, self.own_error = self.own_error, None
        has_failed = outcome in _FAILED
        if caught is not None and caught is not error and (has_failed or not self._ending_of(type(caught))):
            self._record(caught, has_failed=has_failed)
        if kind is None:
            is_error = caught is None or not self._ignores(caught)
            if has_failed and self.error is None and is_error:
                self.own_tags["error"] = True
            return problem
        if has_failed:
            return problem
        if error is not None and not self._ending_of(kind):
            self._record(error, has_failed=False)
        if self.stop_ns == KEPT_OPEN:  # an exception ends it, also this one
            self.stop_ns = 0
        return None, None, None

    def _record(self, error: BaseException, *, has_failed: bool) -> None:
        is_own = self.transaction is self
        record_in(self, error, handled=not (has_failed and is_own))
        if has_failed and not is_own and not self._ignores(error):
            # An eager one, inside a request that may well succeed.
            self.error = self.error or type(error)

    def _ignores(self, error: BaseException) -> bool:
        return is_ignored(self.transaction or self, type(error), error)

    def _outcome_of(self, kind: type[BaseException] | None, error: BaseException | None) -> str:
        if kind is None:
            return FAILURE if self.error is not None or has_error_tag(self.own_tags) else SUCCESS
        ending = self._ending_of(kind)
        if ending or not is_failure(kind, error):
            return ending or ABORTED
        return RETRY if self.has_retries else FAILURE

    def _ending_of(self, kind: type[BaseException]) -> str:
        """Return the outcome that an exception of the library stands for; empty for any other."""
        if not self.endings:
            return ""
        found = (self.endings.get(class_path(base)) for base in bases_of(kind))
        return next((outcome for outcome in found if outcome), "")

    def _kind(self) -> Callable[..., JobTransaction]:
        endings, has_retries, is_detached = self.endings, self.has_retries, self.is_detached

        def another(operation: str, /, **tags: Any) -> JobTransaction:
            job = JobTransaction(operation, **tags)
            job.endings, job.has_retries = endings, has_retries
            return job.detach() if is_detached else job

        return another


def current_job() -> JobTransaction | None:
    """Return the innermost open job of this thread or task, also where it is a span of a request; None outside a job."""
    inside = innermost_open(current.get())
    while inside is not None:
        if type(inside) is JobTransaction:
            return inside
        inside = inside.own_parent
    return None


known_kinds.add(id(JobTransaction))
