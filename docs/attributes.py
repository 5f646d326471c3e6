"""The tables of the attributes of spans and transactions, from their annotations and docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

RECORDING = Path(__file__).resolve().parent.parent / "scout_core" / "recording"
CLASSES = {
    "spans": (("facts.py", "Facts"), ("span.py", "Span")),
    "transactions": (("trace/traced.py", "Traced"), ("record.py", "Record"), ("transaction.py", "Transaction")),
}
"""Each table, and the classes whose attributes it has."""
INTERNAL = frozenset(
    {
        "tracer", "before", "merged", "is_closed", "is_finished", "is_handed_over", "raised", "size", "bounded", "held_by", "served",
        "has_joined", "recorder", "add_request_tags",
    }
)  # fmt: skip
"""Attributes that only the agent uses."""


def table(name: str) -> str:
    """Return the table of the spans' attributes, or of those that transactions have as well, or otherwise."""
    rows = {}
    for file, kind in CLASSES[name]:
        body = ast.parse((RECORDING / file).read_text(encoding="utf-8")).body
        (definition,) = (node for node in body if isinstance(node, ast.ClassDef) and node.name == kind)
        rows.update({attribute: (of, meaning) for attribute, of, meaning in _attributes(definition)})
    lines = [f"| `{attribute}` | `{_escaped(of)}` | {_escaped(meaning)} |" for attribute, (of, meaning) in rows.items()]
    return "\n".join(["| attribute | type | meaning |", "|---|---|---|", *lines])


def _attributes(definition: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    """Yield the name, type and meaning of each public attribute that has a docstring."""
    following = [*definition.body[1:], ast.Pass()]
    for member, after in zip(definition.body, following, strict=True):
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            name, annotation, text = member.target.id, member.annotation, _text_of(after)
        elif isinstance(member, ast.FunctionDef) and any(_is_property(it) for it in member.decorator_list):
            name, annotation, text = member.name, member.returns, ast.get_docstring(member) or ""
        else:
            continue
        if annotation is not None and text and not name.startswith(("_", "own_")) and name not in INTERNAL:
            yield name, ast.unparse(annotation), " ".join(text.split("\n\n")[0].split()).replace("``", "`")


def _text_of(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value.strip()
    return ""


def _is_property(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Name) and decorator.id == "property"


def _escaped(text: str) -> str:
    return re.sub(r"\|", r"\\|", text)
