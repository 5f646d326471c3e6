"""Packages for new plugins, from the template: ``scout-core plugins new``."""

from scout_core.scaffold.plan import KINDS, Plan, make_plan
from scout_core.scaffold.render import Rendered, render

__all__ = ["KINDS", "Plan", "Rendered", "make_plan", "render"]
