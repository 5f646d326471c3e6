"""The condition that selects the rows of one application, or of all."""

from __future__ import annotations

from scout_core.sending.protocol import PROBE_APP


def of_app(app: str | None, *, table: str = "") -> tuple[str, tuple[object, ...]]:
    """
    Return the condition with its placeholder, and its values.

    Args:
        app: None: all, without the one that ``scout-core doctor`` and the like send.
        table: prefix of the column, such as ``s.``.
    """
    return (f"{table}app != ?", (PROBE_APP,)) if app is None else (f"{table}app = ?", (app,))
