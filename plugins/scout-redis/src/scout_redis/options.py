"""Options of the plugin: ``SCOUT_REDIS_…``, or ``[tool.scout-core.plugins.redis]``."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class Options:
    """No key is recorded unless asked for: keys often contain user ids or tokens."""

    record_keys: bool = field(default=False, metadata={"help": "record the first key of each command, as the tag key"})
