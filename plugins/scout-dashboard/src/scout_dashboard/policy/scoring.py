"""The policies of this environment, loaded as an agent would, and what they give."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, cast

from attrs import define, field

from scout_core import Agent, Transaction
from scout_core.config.config import read_config
from scout_core.config.files import settings_here
from scout_core.measuring.groups import Group, group_of, reserved_places
from scout_core.measuring.scoring import score
from scout_core.problems import join_problems
from scout_core.states import State
from scout_core.suggest import similar
from scout_dashboard.errors import PolicyError
from scout_dashboard.policy.evidence import Evidence

if TYPE_CHECKING:
    from scout_core import Stats
    from scout_core.boundary.guard import Guard


@define
class Policies:
    """A set of policies, with their weights."""

    agent: Agent
    """Never started: it wraps, records and sends nothing."""
    modules: tuple[str, ...]
    """The modules that were named on the command line."""
    weights: dict[str, float]
    _policies: tuple[Guard, ...] = field(init=False)
    _grouping: tuple[Guard, ...] = field(init=False)
    _on_keep: tuple[Guard, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._policies = self.agent.implementations("score_transaction")
        self._grouping = self.agent.implementations("trace_group")
        self._on_keep = self.agent.implementations("on_keep")

    @property
    def names(self) -> list[str]:
        """Name of every policy, in the order of their calls."""
        return [policy.plugin for policy in self._policies]

    def score(self, transaction: Transaction, evidence: Evidence) -> dict[str, float]:
        """Return policy name to its points after its weight; a policy that gave none, or raised, is missing."""
        stats = cast("Stats", evidence)  # it has the same attributes
        policies = _called_for(transaction, self._policies)
        return score(transaction, stats, policies, weights=self.weights, config=self.agent.config)

    def group(self, transaction: Transaction, evidence: Evidence) -> Group | None:
        """Return the group that a plugin chooses; None when none does."""
        grouping = _called_for(transaction, self._grouping)
        return group_of(transaction, cast("Stats", evidence), grouping, self.agent.config)

    def reserve(self, places: int, plugins: Sequence[str] | None = None) -> dict[str, int]:
        """
        Return plugin to the number of places that are reserved for its groups, as the option ``reserved_places`` divides them.

        Args:
            plugins: those that choose groups; None means those of this environment.
        """
        names = [guard.plugin for guard in self._grouping] if plugins is None else plugins
        return reserved_places(places, names, self.agent.config.get("reserved_places"))

    def keep(self, transaction: Transaction, score: float) -> None:
        """Call ``on_keep`` of the named modules only: a policy may remember what was kept."""
        for guard in self._on_keep:
            if self.agent.plugins.all[guard.plugin].module in self.modules:
                guard.run(transaction, score)

    def problems(self) -> list[str]:
        """Return one sentence for each function that raised, returned something other than a number, or was switched off."""
        return [
            f"policy {guard.plugin}: {guard.place} failed {guard.failures.count} of {guard.calls} times"
            f" and {'decides nothing' if guard in self._grouping else 'counts 0'} there; the last time: {guard.failures.last}"
            + (f"; it was switched off: {guard.reason}" if guard.reason else "")
            for guard in (*self._policies, *self._grouping, *self._on_keep)
            if guard.failures.count
        ]


def load_policies(modules: Sequence[str], weights: Mapping[str, float]) -> Policies:
    """
    Load the policies that an agent started here would have, and those of the modules.

    Args:
        modules: as in ``SCOUT_PLUGINS``; they may lie in the working directory.
        weights: win over those of the configuration.

    Raises:
        PolicyError: a module cannot be used, or a weight is for no policy.
    """
    settings = settings_here()
    configured = read_config(settings=settings).get("plugins")
    named = [*(module for module in configured if isinstance(module, str)), *modules]
    environment = {**os.environ, "SCOUT_PLUGINS": ",".join(dict.fromkeys(named))}
    config = read_config(environment=environment, settings=settings)
    with redirect_stdout(sys.stderr):  # what a module prints when it is imported must not be mixed with our JSON
        agent = Agent(config)
    policies = Policies(agent, tuple(modules), {**config.get("policies"), **weights})
    for module in modules:
        _check(agent, module)
    for name in weights:
        if name not in policies.names:
            near = similar(name, policies.names, count=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Policies: {', '.join(policies.names) or 'none'}."
            raise PolicyError(f"No such policy {name!r}. {hint}")
    return policies


def _check(agent: Agent, module: str) -> None:
    plugin = next((plugin for plugin in agent.plugins.all.values() if plugin.module == module), None)
    if plugin is None:
        problems = join_problems(agent.plugins.problems) or "not loaded"
        raise PolicyError(f"cannot load the policies in {module!r}: {problems}")
    if plugin.state is not State.ACTIVE:
        raise PolicyError(f"cannot load the policies in {module!r}: {plugin.reason}")
    if not {"score_transaction", "trace_group"}.intersection(plugin.hooks):
        raise PolicyError(
            f"{module!r} has no policy: it has the hooks {', '.join(plugin.hooks)}, but neither score_transaction nor trace_group"
        )


def _called_for(transaction: Transaction, guards: Iterable[Guard]) -> list[Guard]:
    """Return those that an agent would call for this transaction: some are only for failures, or for errors."""
    has_failed, has_errors = transaction.is_error, bool(transaction.error_count)
    return [guard for guard in guards if guard.is_for(has_failed=has_failed, has_errors=has_errors)]
