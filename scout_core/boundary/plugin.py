"""One plugin in this process, and which state it is in."""

from __future__ import annotations

from typing import Final

from attrs import define, field

from scout_core.boundary.guard import Guard
from scout_core.boundary.metadata import Found
from scout_core.boundary.patches import Patch
from scout_core.boundary.versions import Support

OWN: Final = "scout-core"
"""The distribution whose plugins come with the core."""


@define(eq=False)
class Plugin:
    """Found or named, loaded or not."""

    name: str
    module: str
    found: Found | None = None
    """None for a module that was named by the user."""
    is_relied_on: bool = False
    """The user named it in code, so ``start`` raises when it cannot be used."""
    state: str = "active"
    """Before its targets are looked at; ``state_now`` is what to show."""
    reason: str = ""
    support: Support = field(factory=lambda: Support(target=""))
    hooks: tuple[str, ...] = ()
    patches: list[Patch] = field(factory=list)
    guards: list[Guard] = field(factory=list)

    def state_now(self) -> tuple[str, str]:
        """State and reason, as of this moment."""
        if self.state == "failed":
            knows_next = "; try: " in self.reason
            return self.state, self.reason if knows_next else _and(self.reason, self._next_step())
        if self.state != "active":
            return self.state, self.reason
        off = [guard for guard in self.guards if guard.reason is not None]
        if off:
            return "quarantined", (
                "; ".join(f"{guard.place} is switched off: {guard.reason}" for guard in off)
                + f"; see 'scout-core plugins {self.name}', mend it and restart"
            )
        wrapped = [patch for patch in self.patches if patch.state == "wrapped"]
        waiting = [patch for patch in self.patches if patch.state == "waiting"]
        if waiting and not wrapped:
            if self.support.absent:
                return "waiting", f"{self.support.target} is not installed"
            packages = sorted({patch.module.partition(".")[0] for patch in waiting})
            return "waiting", f"{', '.join(packages)} is not imported"
        absent = [patch.reason for patch in self.patches if patch.state == "not found"]
        if absent and not wrapped:
            return "failed", _and("; ".join(absent), self._next_step())
        slow = [
            f"{guard.place} is slow: {guard.pace.slowness}" for guard in self.guards if guard.pace.slowness is not None
        ]
        return "active", "; ".join(slow)

    def _next_step(self) -> str:
        if self.found is None:
            return f"mend {self.module}, 'scout-core plugins {self.name}' shows where"
        update = f"try: pip install -U {self.found.distribution}, or scout-core plugins disable {self.name}"
        return update if self.found.distribution != OWN else f"'scout-core plugins {self.name}' shows where"

    def fail(self, reason: str) -> None:
        """It cannot be used: put back what it had wrapped, and call nothing of it any more."""
        self.state, self.reason = "failed", reason
        for patch in reversed(self.patches):
            patch.undo()
        for guard in self.guards:
            guard.close()


def _and(reason: str, step: str) -> str:
    """The reason and the next step; a reason may end in ``did you mean on_span?``."""
    return f"{reason} {step[0].upper()}{step[1:]}" if reason.endswith("?") else f"{reason}; {step}"
