"""The options of the plugin."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class DjangoOptions:
    """Options of the plugin."""

    usernames: bool = field(
        default=True,
        metadata={"help": "tag requests with the name of their user, if the application has asked for the user"},
    )
    transactions: bool = field(
        default=False, metadata={"help": "time commits, rollbacks and savepoints of databases, too, such as SQL/Commit"}
    )
    commands: frozenset[str] = field(
        default=frozenset(), metadata={"help": "management commands to record as jobs; * is all that end by themselves"}
    )
    web_sockets: bool = field(
        default=False,
        metadata={"help": "record each connection of a web socket to a consumer of Channels as a transaction"},
    )
