"""Sphinx: pages in MyST Markdown, the theme furo, nothing from another host."""

from __future__ import annotations

import re
import sys
from pathlib import Path

project = "scout-core"
author = "the authors of scout-core"
copyright = f"2026, {author}"
_agent = Path(__file__).resolve().parent.parent / "scout_core" / "agent.py"
release = re.search(r'^VERSION = "(.+)"$', _agent.read_text("utf-8"), re.MULTILINE)[1]

extensions = ["myst_parser", "sphinx.ext.autodoc"]
autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(collections\.abc|pathlib|datetime|logging|types|enum|attrs)\..*",
    ),  # nothing is fetched, so nothing links to Python's own
    (
        r"py:(class|exc)",
        r"(scout_core\.((boundary|config|recording|sending)\.([a-z_]+\.)?|callbacks\.))?_?[A-Z]\w*",
    ),  # types that only annotations name
]

html_theme = "furo"
html_title = f"scout-core {release}"
html_show_sourcelink = False

sys.path.insert(0, str(Path(__file__).resolve().parent))


def setup(app):
    """Fill in what is generated, so that a plugin is documented as soon as its folder is there."""
    from generate import PARTS, filled

    def fill(app, name, source):
        text = filled(source[0], set(PARTS))
        source[0] = re.sub(r"\[([^]]+)\]\(\.\./plugins/[^)]+\)", r"\1", text)  # what it links to has no page here

    app.connect("source-read", fill)
    app.connect("autodoc-process-docstring", read_sections)


def read_sections(app, what, name, subject, options, lines):
    """Turn ``Args:``, ``Returns:``, ``Raises:`` and ``Source:`` into fields; in an attribute a colon is only a colon."""
    from sphinx.ext.napoleon import Config, GoogleDocstring

    if what not in ("attribute", "data", "property"):
        settings = Config(napoleon_custom_sections=["Source"], napoleon_use_rtype=False)
        lines[:] = GoogleDocstring(lines, settings, app, what, name, subject, options).lines()
