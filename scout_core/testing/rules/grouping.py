"""The rule about the hook ``trace_group``: it has an answer for every transaction, and the groups repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final

from scout_core.boundary.guard import Guard
from scout_core.hookspecs import hookimpl
from scout_core.measuring.groups import group_of
from scout_core.measuring.stats import Lifetime, Stats
from scout_core.operations import CONTROLLER, JOB
from scout_core.recording.span import Span
from scout_core.recording.transaction import Transaction
from scout_core.testing.leaks import LeftBehind
from scout_core.testing.rules.problems import Violation
from scout_core.testing.rules.targets import with_hooks
from scout_core.testing.scout import recording

ALIKE: Final = 40
"""Requests of one endpoint that differ only in what is new in every request."""
MOST_GROUPS: Final = 20
"""Groups that these may be in."""
_RULE: Final = "groups"
_HOOK: Final = "trace_group"


class _Asking:
    """A plugin that asks for the group of each transaction while this is complete: with its spans."""

    def __init__(self, guards: Callable[[], tuple[Guard, ...]], config: Any) -> None:
        self._guards = guards
        self._config = config
        self.groups: set[str] = set()
        self.failures: dict[str, str] = {}
        """Description of a transaction to the error that it caused."""
        self.about = ""
        """Description of the next transactions."""

    @hookimpl
    def on_request_end(self, transaction: Transaction) -> None:
        """Ask for the group of a transaction."""
        lifetime = Lifetime(0.0)
        stats = Stats(lifetime, lifetime.add(transaction.duration), transaction.duration, 0.0)
        failed, has_errors = transaction.is_error, bool(transaction.error_count)
        for guard in self._guards():
            if not guard.is_for(has_failed=failed, has_errors=has_errors):
                continue
            before = guard.failures.count
            group = group_of(transaction, stats, (guard,), self._config)
            if group is not None:
                self.groups.add(group.text)
            if guard.failures.count > before:
                self.failures.setdefault(self.about, str(guard.failures.last))


def check_groups(plugin: ModuleType) -> Iterator[Violation]:
    """Ask the plugin for the groups of transactions of every kind, and of many that are alike."""
    asking, module = None, plugin.__name__
    part = with_hooks(plugin, without=("instrument",))  # whose targets may be missing
    if part is None:
        return
    try:
        with recording(plugins_autoload=False, plugins=[part], plugins_reraise=False) as scout:

            def guards() -> tuple[Guard, ...]:
                return tuple(guard for guard in scout.agent.implementations(_HOOK) if guard.module == module)

            if not guards():
                return
            asking = _Asking(guards, scout.agent.config)
            scout.agent.plugins.add_object(asking, "asking for groups")
            scout.agent.freeze()
            for about, run in KINDS:
                asking.about = about
                run()
                scout.agent.recorder.work()
            asking.groups.clear()
            asking.about = "requests of one endpoint"
            for number in range(ALIKE):
                _request(number)
            scout.agent.recorder.work()
    except LeftBehind:  # the rule `undo` reports it
        pass
    if asking is None:
        return
    for about, error in asking.failures.items():
        evidence = f"{_HOOK} fails for {about}: {error}"
        yield Violation(
            _RULE, evidence, "return a text of 1 to 500 characters, or None where there is nothing to choose"
        )
    if len(asking.groups) > MOST_GROUPS:
        evidence = f"{ALIKE} requests of one endpoint, which differ in ids, times, addresses and paths, are in {len(asking.groups)} groups"
        yield Violation(
            _RULE, evidence, "choose by something that repeats, as a customer, a class of errors or a revision"
        )


def request(number: int) -> Transaction:
    """Return a web request that differs from others only in what is new in every request; it has not begun."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": f"/orders/{number}",
        "QUERY_STRING": f"page={number}",
        "REMOTE_ADDR": f"192.0.2.{number}",
        "HTTP_X_REQUEST_ID": f"request-{number}",
    }
    web = Transaction(f"{CONTROLLER}/shop.order")
    web.environ = environ
    return web


def _request(number: int) -> None:
    with request(number), Span("SQL/Query", statement=f"SELECT {number}"):
        pass


def _job() -> None:
    with Transaction(f"{JOB}/mail.send"):
        pass


def _failing() -> None:
    try:
        with Transaction(f"{CONTROLLER}/shop.home"):
            raise KeyError("conformance")
    except KeyError:
        pass


def _handled() -> None:
    with Transaction(f"{CONTROLLER}/shop.home") as web:
        web.record_error(ValueError("conformance"))


KINDS: Final[tuple[tuple[str, Callable[[], None]], ...]] = (
    ("a web request", lambda: _request(0)),
    ("a job without tags", _job),
    ("a request that fails", _failing),
    ("a request with an error that was handled", _handled),
)
"""Transactions that differ in what hooks see, each with its description."""
