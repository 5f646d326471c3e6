"""Names of commands as operations, and where a command has its first key."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_BLOCKING: Final = "BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN WAIT WAITAOF"
_WITH_SUBCOMMANDS: Final = """
ACL CLIENT CLUSTER COMMAND CONFIG DEBUG FUNCTION LATENCY MEMORY MODULE OBJECT PUBSUB SCRIPT SENTINEL SLOWLOG XGROUP XINFO
"""
_WITH_KEY: Final = """
APPEND BITCOUNT BITFIELD BITFIELD_RO BITPOS BLMOVE BLPOP BRPOP BRPOPLPUSH BZPOPMAX BZPOPMIN COPY DECR DECRBY DEL
DUMP EXISTS EXPIRE EXPIREAT EXPIRETIME GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEORADIUS_RO GEORADIUSBYMEMBER
GEORADIUSBYMEMBER_RO GEOSEARCH GEOSEARCHSTORE GET GETBIT GETDEL GETEX GETRANGE GETSET HDEL HEXISTS HGET HGETALL
HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET HMSET HRANDFIELD HSCAN HSET HSETNX HSTRLEN HVALS INCR INCRBY INCRBYFLOAT LCS
LINDEX LINSERT LLEN LMOVE LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MGET MOVE MSET MSETNX PERSIST PEXPIRE
PEXPIREAT PEXPIRETIME PFADD PFCOUNT PFMERGE PSETEX PTTL RENAME RENAMENX RESTORE RPOP RPOPLPUSH RPUSH RPUSHX SADD
SCARD SDIFF SDIFFSTORE SET SETBIT SETEX SETNX SETRANGE SINTER SINTERSTORE SISMEMBER SMEMBERS SMISMEMBER SMOVE SORT
SORT_RO SPOP SRANDMEMBER SREM SSCAN STRLEN SUBSTR SUNION SUNIONSTORE TOUCH TTL TYPE UNLINK WATCH XACK XADD
XAUTOCLAIM XCLAIM XDEL XLEN XPENDING XRANGE XREVRANGE XSETID XTRIM ZADD ZCARD ZCOUNT ZDIFFSTORE ZINCRBY
ZINTERSTORE ZLEXCOUNT ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANGESTORE ZRANK ZREM
ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE
ZUNIONSTORE
"""

UNKNOWN: Final = "Redis/Unknown"
"""Operation of a command whose name is not that of a command: it may be anything that the application has put there."""
MESSAGE: Final = "Wait/PubSub"
"""Operation of the wait for a message."""
BLOCKING: Final = frozenset(_BLOCKING.split())
"""Commands that wait for another client, or for a replica: their time does not depend on the server's speed."""
BLOCKING_BY_OPTION: Final = frozenset(("XREAD", "XREADGROUP"))
"""Those that wait when they are given ``BLOCK``."""
WITH_SUBCOMMANDS: Final = frozenset(_WITH_SUBCOMMANDS.split())
WITH_KEY: Final = frozenset(_WITH_KEY.split())
"""Commands of Redis 7 whose first argument is a key, by ``COMMAND``."""
LONGEST_KEY: Final = 200
"""Characters of a recorded key."""

_NAME: Final = re.compile(r"[A-Z][A-Z0-9_.-]{0,31}", re.ASCII)
_FIRST_OPTIONS: Final = slice(1, 9)
"""The arguments of XREAD and XREADGROUP in which ``BLOCK`` can stand: names of streams come after them."""


def operation_of(arguments: tuple[object, ...]) -> str:
    """Return ``Redis/<COMMAND>``, or ``Wait/<COMMAND>`` for a command that waits for somebody else."""
    name = arguments[0] if arguments else None
    if type(name) is not str and type(name) is not bytes:
        return UNKNOWN
    operation, has_option = _operation(name)
    if has_option and _has_block(arguments):
        return f"Wait/{operation.partition('/')[2]}"
    return operation


@lru_cache(maxsize=1_000)
def _operation(name: str | bytes) -> tuple[str, bool]:
    """Return the operation, and whether it depends on the option ``BLOCK``."""
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    words = text[:80].upper().split()  # "CONFIG GET", and what older versions send as written: "SET key value"
    if not words or not _NAME.fullmatch(words[0]):
        return UNKNOWN, False
    command = words[0]
    kind = "Wait" if command in BLOCKING else "Redis"
    if command in WITH_SUBCOMMANDS and len(words) > 1 and _NAME.fullmatch(words[1]):
        command = f"{command} {words[1]}"
    return f"{kind}/{command}", command in BLOCKING_BY_OPTION


def _has_block(arguments: tuple[object, ...]) -> bool:
    for option in arguments[_FIRST_OPTIONS]:
        if type(option) is bytes or type(option) is str:
            if option.upper() in ("BLOCK", b"BLOCK"):
                return True
            if option.upper() in ("STREAMS", b"STREAMS"):
                return False
    return False


def first_key(arguments: tuple[object, ...]) -> str | None:
    """Return the first key of a command, shortened; None where its first argument is not a key."""
    if len(arguments) < 2:
        return None
    name, key = arguments[:2]
    if (type(name) is not str and type(name) is not bytes) or (type(key) is not str and type(key) is not bytes):
        return None
    command = operation_of(arguments).partition("/")[2]
    is_alone = name.upper() in (command, command.encode())  # otherwise the arguments are in the same text
    if command not in WITH_KEY or not is_alone:
        return None
    return key[:LONGEST_KEY] if isinstance(key, str) else key[:LONGEST_KEY].decode("utf-8", "replace")
