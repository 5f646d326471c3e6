"""Options of the plugin."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class Options:
    """``[tool.scout-core.plugins.celery]``."""

    record_arguments: bool = field(
        default=False,
        metadata={"help": "record the arguments of tasks; those whose name looks like a secret are filtered"},
    )
