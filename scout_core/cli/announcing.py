"""Plugins that announce each of their steps before they make it, and that leave out steps which are known to end the process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from attrs import define

from scout_core.boundary.guard import Guard
from scout_core.boundary.hooks import Hooks
from scout_core.boundary.import_state import ImportState
from scout_core.boundary.plugin import Plugin
from scout_core.boundary.plugins import Plugins
from scout_core.config.kinds import OwnMessage
from scout_core.config.plugin_options import BeforeValues
from scout_core.errors import PluginError
from scout_core.problems import Problem

Step = tuple[str, str]
"""A plugin, and ``import``, the name of a hook, or the options whose values are checked."""
Announce = Callable[[Step], None]
IMPORT: Final = "import"
ENDED: Final = "ended-process"
"""The kind of the problem of a plugin whose import ended or held the process."""
BROKEN: Final = "broken-imports"
"""The kind of the problem of a plugin after whose import no other module can be imported."""


@define(eq=False, kw_only=True)
class AnnouncingHooks(Hooks):
    """Hooks whose functions announce when they are called, and raise when their step is to be left out."""

    announce: Announce
    left_out: Mapping[Step, str]

    def frozen(self, hook: str, *, is_changed: Callable[[str], bool] = bool) -> tuple[Guard, ...]:
        """Return the guards, as ever."""
        guards = super().frozen(hook, is_changed=is_changed)
        for guard in guards:
            guard.function = self._announced(guard.function, (guard.plugin, hook))
        return guards

    def _announced(self, function: Callable[..., Any], step: Step) -> Callable[..., Any]:
        def announced(*args: Any) -> Any:
            if step in self.left_out:
                raise PluginError(f"{step[1]}: {self.left_out[step]}")
            self.announce(step)
            return function(*args)

        return announced


@define(eq=False, kw_only=True)
class AnnouncingPlugins(Plugins):
    """Plugins that announce their import, one after the other. One that breaks all imports is undone, and has failed."""

    announce: Announce
    left_out: Mapping[Step, str]

    def load_module(self, plugin: Plugin, module: Any) -> None:
        """Import it, unless that is to be left out."""
        step = plugin.name, IMPORT
        if step in self.left_out:
            plugin.fail(Problem(ENDED, plugin.module, f"importing {plugin.module}: {self.left_out[step]}"))
            return
        self.announce(step)
        before = ImportState()
        super().load_module(plugin, module)
        broken = before.broken_thing()
        if broken:
            before.restore()
            self.hooks.unregister(plugin.name)
            detail = f"importing {plugin.module} changes {broken}, so that no other module can be imported"
            plugin.fail(Problem(BROKEN, plugin.module, detail))


def announced_values(announce: Announce, left_out: Mapping[Step, str]) -> BeforeValues:
    """Return a function that announces each check of values, and refuses them where that step is to be left out."""
    checks: Counter[str] = Counter()

    def before(plugin: str, names: Collection[str]) -> None:
        checks[plugin] += 1  # the same names may be checked with values of several layers
        step = plugin, f"options {', '.join(names)} ({checks[plugin]})"
        if step in left_out:
            raise OwnMessage(left_out[step])
        announce(step)

    return before
