"""
A test suite for plugins of queues: their author writes how to publish and how to work, and gets a test for each rule.

``docs/testing-a-plugin.md`` has an example and the rules.
"""

from __future__ import annotations

from scout_core.testing.jobs.agent import AgentRules
from scout_core.testing.jobs.bench import JobQueue
from scout_core.testing.jobs.facts import FactRules
from scout_core.testing.jobs.tasks import TASKS

__all__ = ["TASKS", "JobQueue", "JobsSuite"]


class JobsSuite(FactRules, AgentRules):
    """
    One test for each rule. Derive a class whose name begins with ``Test``, and write ``make_queue`` and the commands of workers.

    A test is skipped if ``skip`` has its name, without ``test_``, and the reason; an unknown name in it is a ``TypeError``.
    """
