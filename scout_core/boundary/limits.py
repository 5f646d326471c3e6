"""How long a plugin's function may take, by where and how often it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from scout_core.boundary.pace import Limit

if TYPE_CHECKING:
    from scout_core.config.config import Config

ONCE_A_PERIOD_FACTOR: Final = 100
"""A function that is called once a period may take as many times as long as one that is called for every transaction."""


class Limits(NamedTuple):
    """The limits of one process; None: not limited. Functions that are called once in a process have none."""

    application: Limit | None = None
    """On the application's thread, which waits for it: a tail of slow calls is a tail of slow requests, so p95 is compared."""
    transaction: Limit | None = None
    """
    On the agent's thread, for every transaction: what counts is how many transactions a second it can keep up with.

    The median is compared. This thread waits for the interpreter's lock whenever the application computes: beside one busy
    thread, 1 in 20 calls of a hook that works for 0.3 ms took more than 5 ms (CPython 3.10).
    """
    period: Limit | None = None
    """On the agent's thread, once a period: the same, with ``ONCE_A_PERIOD_FACTOR``."""

    @classmethod
    def from_config(cls, config: Config) -> Limits:
        """Return the limits that the configuration sets."""
        budget, slow = config.get("hook_budget_seconds"), config.get("slow_hook_seconds")
        return cls(
            application=Limit(
                "hook_budget_seconds",
                budget,
                quantile=0.95,
                minimum=20,
                time_every=64,
                on_application_thread=True,
                switches_off=config.get("plugins.strict"),
            ),
            transaction=Limit("slow_hook_seconds", slow, quantile=0.5, minimum=10, time_every=8, switches_off=True),
            period=Limit(
                "slow_hook_seconds", slow, quantile=0.5, minimum=10, factor=ONCE_A_PERIOD_FACTOR, switches_off=True
            ),
        )
