"""Django's own templates as spans: ``Template/Compile``, ``Template/Render`` and ``Block/Render``, tagged with their ``name``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scout_core import Span, span

if TYPE_CHECKING:
    from scout_core import Wrap


def instrument_templates(wrap: Wrap) -> None:
    """Time whole templates, those that they include, and their blocks."""
    wrap("django.template.base:Template.compile_nodelist", compile_template)
    wrap("django.template.base:Template.render", render)
    wrap("django.template.loader_tags:BlockNode.render", render_block)


# Any: of Django, which has no types.
def compile_template(template: Any) -> Span:
    """Describe the compilation of a template; ``name`` is None for one from a string."""
    return span("Template/Compile", name=template.name)


def render(template: Any, context: object) -> Span:
    """Describe one render."""
    return span("Template/Render", name=template.name)


def render_block(block: Any, context: object) -> Span:
    """Describe one render of a block, also by ``block.super``."""
    return span("Block/Render", name=block.name)
