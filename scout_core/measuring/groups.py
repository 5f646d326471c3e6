"""The group of a trace: each period keeps at most one trace of a group. By default the group is the transaction's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import floor
from typing import TYPE_CHECKING, Final, NamedTuple

from scout_core.text.plain import exact

if TYPE_CHECKING:
    from scout_core.boundary.guard import Guard
    from scout_core.config.config import Config
    from scout_core.measuring.stats import Stats
    from scout_core.recording.transaction import Transaction

LONGEST_GROUP: Final = 500
"""Characters: an operation has up to 300."""
BY_NAME: Final = ""
"""Stands for a plugin where the group is the name."""


class Group(NamedTuple):
    """Groups of two plugins are different, whatever they are called."""

    text: str
    plugin: str = BY_NAME
    """The plugin that chose it; ``BY_NAME``: none did."""


def group_of(transaction: Transaction, stats: Stats, guards: Iterable[Guard], config: Config) -> Group | None:
    """
    Ask each plugin until one chooses a group; None when none does.

    Args:
        guards: ``agent.implementations("trace_group")``.
    """
    for guard in guards:
        text = guard.run(transaction, stats, config)
        if text is None:
            continue
        if not issubclass(type(text), str):
            guard.refuse(f"a trace group must be a str or None, got {type(text).__name__}")
        elif not 0 < str.__len__(text) <= LONGEST_GROUP:
            guard.refuse(f"a trace group must have 1 to {LONGEST_GROUP} characters, got {str.__len__(text)}")
        else:
            return Group(exact(text), guard.plugin)
    return None


def reserved_places(size: int, plugins: Sequence[str], shares: Mapping[str, float]) -> dict[str, int]:
    """
    Divide the places of a period.

    Args:
        plugins: those that may choose a group.
        shares: plugin to its share, 0 to 1, as the option ``reserved_places``. Plugins that are not in it and the groups by name
            have the rest in equal parts.

    Returns:
        Plugin, or ``BY_NAME``, to whole places. They may be fewer than ``size``: nobody has a right to the others.
    """
    chosen = {plugin: shares[plugin] for plugin in plugins if plugin in shares}
    total = sum(chosen.values())
    if total > 1:
        chosen = {plugin: share / total for plugin, share in chosen.items()}
    others = [plugin for plugin in (BY_NAME, *plugins) if plugin not in chosen]
    rest = max(0.0, 1 - total) / len(others)
    # 0.29 * 100 is 28.999999999999996.
    return {plugin: floor(size * share + 1e-9) for plugin, share in (dict.fromkeys(others, rest) | chosen).items()}
