"""Jinja2 template renders as spans: ``Template/Render``, tagged with the template's ``name``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core import Span, hookimpl, span

if TYPE_CHECKING:
    from jinja2 import Template

    from scout_core.boundary.wrap import Wrap


@hookimpl
def instrument(wrap: Wrap) -> None:
    """Time whole renders of templates, and of native templates, which override both methods."""
    for template in ("jinja2.environment:Template", "jinja2.nativetypes:NativeTemplate"):
        wrap(f"{template}.render", render)
        wrap(f"{template}.render_async", render_async)


# Positional only, here and below: keyword arguments are the template's variables and may have any name, also `template`.
def render(template: Template, /, *variables: object, **more: object) -> Span | None:
    """Describe one render; None in an asynchronous environment, where it only runs ``render_async``."""
    return None if template.environment.is_async else render_async(template)


def render_async(template: Template, /, *variables: object, **more: object) -> Span:
    """Describe one render; ``name`` is None for a template made from a string."""
    return span("Template/Render", name=template.name)
