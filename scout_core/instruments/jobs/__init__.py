"""Background jobs: what every plugin of a queue needs, so that such a plugin only names the places where its library keeps the facts."""

from scout_core.instruments.exits import end_child, flush_after
from scout_core.instruments.jobs.describe import job
from scout_core.instruments.jobs.messages import SENT, carried, message_headers, stamp, stamped
from scout_core.instruments.parcels import send_for_child
from scout_core.recording.job import (
    ABORTED,
    FAILURE,
    IGNORED,
    OUTCOME,
    REJECTED,
    RETRY,
    REVOKED,
    SUCCESS,
    TIMED_OUT,
    Endings,
    JobTransaction,
    current_job,
)

__all__ = [
    "ABORTED",
    "FAILURE",
    "IGNORED",
    "OUTCOME",
    "REJECTED",
    "RETRY",
    "REVOKED",
    "SENT",
    "SUCCESS",
    "TIMED_OUT",
    "Endings",
    "JobTransaction",
    "carried",
    "current_job",
    "end_child",
    "flush_after",
    "job",
    "message_headers",
    "send_for_child",
    "stamp",
    "stamped",
]
