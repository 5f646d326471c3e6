"""Tasks that end their process: whether the main process of a prefork worker records them, so that they are counted once."""

from __future__ import annotations


def is_left_to_main_process() -> bool:
    """
    Whether a task that has just ended its process is one that the main process finds lost.

    Since billiard 4.3 a child reports what a task has raised, and only SIGTERM, which raises SystemExit a moment before a child is
    killed, loses the task. Before, a child reports no exception that ends it.
    """
    from billiard import common, current_process  # type: ignore[import-untyped]

    has_fired = getattr(common, "terminate_handler_fired", None)
    return bool(has_fired() if has_fired is not None else current_process().daemon)
