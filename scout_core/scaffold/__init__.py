"""Generate packages for new plugins from the template, for ``scout-core plugins new``."""

from scout_core.scaffold.plan import KINDS, Plan, make_plan
from scout_core.scaffold.render import Rendered, render

__all__ = ["KINDS", "Plan", "Rendered", "make_plan", "render"]
