"""What distinguishes spans of one operation in the figures: the statement, the host or the template. On the agent's thread."""

from __future__ import annotations

from typing import Any, Final

from scout_core.text.tags import clean_tags
from scout_core.text.url import public_url

TEMPLATES: Final = ("Template/", "Block/")
"""Kinds of operations whose tag ``name`` is that of a template or of a part of one."""

Text = tuple[str, object]
"""Key and value of the tag that has the detail, not cleaned; the value of ``url`` is that of its host."""
_NONE: Final[Text] = ("", "")


def detail_text(operation: str, tags: dict[str, Any]) -> Text:  # Any: tags are whatever the application sets
    """Return the tag that distinguishes a span; two empty texts where none does."""
    statement = tags.get("statement")
    if type(statement) is str:
        return "statement", statement
    url = tags.get("url")
    if type(url) is str:
        return "url", url.partition("//")[2].partition("/")[0]
    if operation.startswith(TEMPLATES):
        name = tags.get("name")
        if type(name) is str:
            return "name", name
    return _NONE


def clean_detail(text: Text, dialect: object) -> str:
    """Return the detail as it may leave the process: a statement without literals, and a host without a user."""
    key, value = text
    if not key:
        return ""
    if key == "url":
        return public_url(f"//{value}").removeprefix("//") if value else ""
    return str(clean_tags({key: value, "dialect": dialect})[0].get(key, ""))
