"""A job's transaction from the facts that a plugin reads from its library.

Hot code: it runs in the worker before each job.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from scout_core.instruments.jobs.messages import Headers, finite, sent_at
from scout_core.measuring.numbers import is_number
from scout_core.operations import JOB
from scout_core.recording.job import Endings, JobTransaction
from scout_core.recording.naming import plain_name
from scout_core.recording.safety.contain import count_invalid
from scout_core.signals import is_from_signal_handler

if TYPE_CHECKING:
    from typing import SupportsFloat

    Time = float | SupportsFloat | datetime
    """Unix time in seconds, a real number of any type, or a datetime; one without a time zone is in UTC."""

_PREFIX = f"{JOB}/"
_UNNAMED: Final = f"{_PREFIX}unnamed"


def job(
    name: str,
    /,
    *,
    queue: str | None = None,
    task_id: object = None,
    attempt: int | None = None,
    priority: object = None,
    headers: Headers | None = None,
    queued_at: Time | None = None,
    eta: Time | None = None,
    begins_trace: bool = False,
    endings: Endings | None = None,
    has_retries: bool = False,
    **tags: Any,
) -> JobTransaction:
    """
    Return the transaction of a job, for a describer with ``root=True``: ``Job/<name>``.

    Its queue time begins with the last of three times: that in the headers, ``queued_at`` and ``eta``. A job that is not due yet does
    not wait, and one that a scheduler has moved into its queue waits since then. A time after the start of the job, as when the clocks
    of two machines differ, and one more than ten years before it are not used, and counted.

    Args:
        name: of the task, without arguments and ids: ``mail.send``.
        queue: tag, the queue that it was taken from.
        task_id: tag, the id of the job.
        attempt: tag, 1 for the first.
        priority: tag.
        headers: of the message, from ``stamp``: the job is a part of the trace that they name, and was sent at their time.
        queued_at: when the library put it into the queue, if it knows that.
        eta: the time before which it must not start.
        begins_trace: the job begins a trace, as one does that a scheduler repeats; only the time is read from the headers.
        endings: exceptions of the library to outcomes.
        has_retries: any other exception that leaves the call leads to another attempt, so it is not a failure.
        tags: further ones.
    """
    if type(name) is not str:
        name = plain_name(name)
    made = JobTransaction(
        (name if name.startswith(_PREFIX) else _PREFIX + name) if name and name != _PREFIX else _UNNAMED, **tags
    )
    own_tags = made.own_tags
    if queue is not None:
        own_tags["queue"] = queue
    if task_id is not None:
        own_tags["task_id"] = task_id
    if attempt is not None:
        own_tags["attempt"] = attempt
    if priority is not None:
        own_tags["priority"] = priority
    made.has_retries = has_retries
    if endings is not None:
        made.endings = endings
    try:
        since = [_unix_time(queued_at), _unix_time(eta)] if queued_at is not None or eta is not None else []
        if headers is not None:
            since.append(sent_at(headers))
            if not begins_trace:
                made.continue_from(headers)
        made.queued_at = max((time for time in since if time is not None), default=None)
    except Exception as error:  # of the library's own classes
        if is_from_signal_handler(error):
            raise
        count_invalid()
    return made


def _unix_time(time: Time | None) -> float | None:
    """
    Return a time as Unix time.

    Raises:
        Exception: whatever the methods of a time zone raise.
    """
    if time is None:
        return None
    kind = type(time)
    if kind is float:
        return finite(time)  # type: ignore[arg-type]  # it is one
    if issubclass(kind, datetime):
        return (time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)).timestamp()  # type: ignore[union-attr]
    if is_number(time):
        try:
            return finite(float(time))
        except OverflowError:
            return finite(float("inf"))
    count_invalid()
    return None
