"""Plugins that are added to an agent as objects, also while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core.recording.safety.silence import Silence

if TYPE_CHECKING:
    from scout_core.agent import Agent


def add_to(agent: Agent, plugin: object, name: str) -> None:
    """
    Use an object as a plugin from now on.

    Raises:
        PluginError: it implements no hook, or a hook that does not exist, or the name is taken.
    """
    agent.plugins.add_object(plugin, name)
    agent.freeze()
    if agent.is_running:
        with Silence(agent.tracer):
            for guard in agent.implementations("on_start"):
                if guard.plugin == name:
                    guard.run(agent)


def remove_from(agent: Agent, name: str) -> None:
    """Call a plugin that was added in this way no more."""
    agent.plugins.remove_object(name)
    agent.freeze()
