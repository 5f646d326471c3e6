"""Sphinx: pages in MyST Markdown, the theme furo, nothing from another host."""

from __future__ import annotations

import re
from pathlib import Path

project = "scout-core"
author = "the authors of scout-core"
copyright = f"2026, {author}"
_project_file = Path(__file__).resolve().parent.parent / "pyproject.toml"
release = re.search(r'^version = "(.+)"$', _project_file.read_text("utf-8"), re.MULTILINE)[1]

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"scout-core {release}"
html_show_sourcelink = False
