"""Management commands as jobs, by option: ``Job/manage.clearsessions``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scout_core import Transaction, transaction
from scout_core.operations import JOB

if TYPE_CHECKING:
    from scout_core import Wrap

ALL: Final = "*"
ENDLESS: Final = frozenset(
    (
        "celery", "dbshell", "qcluster", "rqworker", "rqscheduler", "run_huey", "runserver", "runworker", "shell", "shell_plus", "test",
        "testserver",
    )
)  # fmt: skip
"""Commands that run until somebody ends them: as a job, they would contain all requests and jobs within them."""


def instrument_commands(wrap: Wrap, names: frozenset[str]) -> None:
    """Record these commands."""

    def execute(command: Any, *args: object, **options: object) -> Transaction | None:  # Any: Django has no types
        name = type(command).__module__.rpartition(".")[2]
        is_wanted = name in names or (ALL in names and name not in ENDLESS)
        return transaction(f"{JOB}/manage.{name}") if is_wanted else None

    if names:
        wrap("django.core.management.base:BaseCommand.execute", execute, root=True)
