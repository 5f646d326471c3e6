"""The policies of this environment, loaded as an agent would, and what they give."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from math import isfinite
from typing import Any, Final

from attrs import define

from scout_core import Agent, Transaction
from scout_core.config.config import read_config
from scout_core.config.files import settings_here
from scout_core.suggest import did_you_mean
from scout_dashboard.errors import PolicyError
from scout_dashboard.policy.evidence import Evidence

MOST_POINTS: Final = 1e9
"""Of one policy, up or down, as in the agent."""


@define
class Policies:
    """A set of policies, with their weights."""

    agent: Agent
    """Never started: it wraps, records and sends nothing."""
    named: tuple[str, ...]
    """The modules that were asked for."""
    weights: dict[str, float]

    @property
    def names(self) -> list[str]:
        """Of every policy, in the order of their calls."""
        return [guard.plugin for guard in self._guards()]

    def score(self, transaction: Transaction, evidence: Evidence) -> dict[str, float]:
        """Policy name to its points after its weight; one that gave none, or raised, is not in it."""
        points = {}
        for guard in self._guards():
            given = guard.run(transaction, evidence, self.agent.config)
            if given is None:
                continue
            if type(given) not in (int, float) or not _is_finite(given):
                told = given if isinstance(given, float) else type(given).__name__
                guard.refuse(f"a score is a finite number or None, not {told}")
                continue
            weighted = float(given) * self.weights.get(guard.plugin, 1.0)
            points[guard.plugin] = max(-MOST_POINTS, min(weighted, MOST_POINTS))
        return points

    def keep(self, transaction: Transaction, score: float) -> None:
        """Tell the named modules, and no others, that it won a place: a policy may remember what was kept."""
        for guard in self.agent.recorder.hooks.on_keep:
            if self.agent.plugins.all[guard.plugin].module in self.named:
                guard.run(transaction, score)

    def problems(self) -> list[str]:
        """One sentence for each policy that raised, gave no number, or was switched off for it."""
        hooks = self.agent.recorder.hooks
        return [
            f"policy {guard.plugin}: {guard.place} failed {guard.failures.count} of {guard.calls} times and counts 0 there;"
            f" the last time: {guard.failures.last}"
            + (f"; it was switched off: {guard.reason}" if guard.reason else "")
            for guard in (*hooks.score_transaction, *hooks.on_keep)
            if guard.failures.count
        ]

    def _guards(self) -> tuple[Any, ...]:  # Any: guards are the core's own
        return self.agent.recorder.hooks.score_transaction


def load_policies(modules: Sequence[str], weights: Mapping[str, float]) -> Policies:
    """
    Those that an agent started here would have, and the modules.

    Args:
        modules: as in ``SCOUT_PLUGINS``; they may lie in the working directory.
        weights: win over those of the configuration.

    Raises:
        PolicyError: a module cannot be used, or a weight is for no policy.
    """
    settings = settings_here()
    configured = read_config(settings=settings).get("plugins")
    named = [*(each for each in configured if isinstance(each, str)), *modules]
    environment = {**os.environ, "SCOUT_PLUGINS": ",".join(dict.fromkeys(named))}
    config = read_config(environment=environment, settings=settings)
    with redirect_stdout(sys.stderr):  # what a module prints when it is imported must not be amid our JSON
        agent = Agent(config)
    policies = Policies(agent, tuple(modules), {**config.get("policies"), **weights})
    for module in modules:
        _check(agent, module)
    for name in weights:
        if name not in policies.names:
            hint = did_you_mean(name, policies.names) or f"policies here: {', '.join(policies.names) or 'none'}"
            raise PolicyError(f"no policy {name!r} to weight; {hint}")
    return policies


def _check(agent: Agent, module: str) -> None:
    plugin = next((each for each in agent.plugins.all.values() if each.module == module), None)
    if plugin is None:
        raise PolicyError(
            f"the policies in {module!r} cannot be tried: {'; '.join(agent.plugins.problems) or 'not loaded'}"
        )
    if plugin.state != "active":
        raise PolicyError(f"the policies in {module!r} cannot be tried, it is {plugin.state}: {plugin.reason}")
    if "score_transaction" not in plugin.hooks:
        raise PolicyError(
            f"{module!r} scores nothing: it has the hooks {', '.join(plugin.hooks)}, not score_transaction"
        )


def _is_finite(number: float) -> bool:
    try:
        return isfinite(number)
    except OverflowError:  # an int that no float can hold
        return False
