"""Names of commands, against those that a server knows."""

from __future__ import annotations

import re

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_redis.commands import (
    BLOCKING,
    BLOCKING_BY_OPTION,
    UNKNOWN,
    WITH_KEY,
    WITH_SUBCOMMANDS,
    first_key,
    operation_of,
)


@pytest.mark.parametrize(
    ("arguments", "operation"),
    [
        (("GET", "cart"), "Redis/GET"),
        ((b"get", "cart"), "Redis/GET"),
        (("CONFIG GET", "maxmemory"), "Redis/CONFIG GET"),
        (("CONFIG", "GET", "maxmemory"), "Redis/CONFIG"),
        (("FT.SEARCH", "index", "tea"), "Redis/FT.SEARCH"),
        (("SET session:17 secret",), "Redis/SET"),
        (("ACL SETUSER ann >secret",), "Redis/ACL SETUSER"),
        (("BLPOP", "queue", 1), "Wait/BLPOP"),
        (("brpop", "queue", 1), "Wait/BRPOP"),
        (("XREAD", "COUNT", 1, "STREAMS", "orders", "0"), "Redis/XREAD"),
        (("XREAD", b"BLOCK", "100", b"STREAMS", "orders", "0"), "Wait/XREAD"),
        (("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "block", 5, "STREAMS", "a", ">"), "Wait/XREADGROUP"),
        (("XREAD", "STREAMS", "BLOCK", "0"), "Redis/XREAD"),
        ((), UNKNOWN),
        ((None,), UNKNOWN),
        (("",), UNKNOWN),
        (("  ",), UNKNOWN),
        (("naïve", 1), UNKNOWN),
        (("user:17",), UNKNOWN),
        ((["GET"],), UNKNOWN),
    ],
)
def test_the_operation_of_a_command(arguments, operation):
    assert operation == operation_of(arguments)


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(), st.binary(), st.integers(), st.floats()), max_size=4).map(tuple))
def test_no_argument_can_break_it_or_appear_in_it(arguments):
    operation = operation_of(arguments)

    assert re.fullmatch(r"(Redis|Wait)/(Unknown|[A-Z0-9_. -]{1,65})", operation)
    first_key(arguments)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("GET", "cart"), "cart"),
        ((b"GET", b"caf\xc3\xa9\xff"), "café\ufffd"),
        (("GET", "x" * 1_000), "x" * 200),
        (("GET", 17), None),
        (("GET",), None),
        (("AUTH", "secret"), None),
        (("EVAL", "return 1", 0), None),
        (("CONFIG SET", "requirepass", "secret"), None),
        (("SET a secret", "b"), None),
    ],
)
def test_the_first_key_of_a_command(arguments, key):
    assert key == first_key(arguments)


def test_the_lists_are_those_of_a_server(url):
    client = redis.StrictRedis.from_url(url)
    known = {row[0].decode().upper(): row for row in client.eval(LIST, 0)}
    client.connection_pool.disconnect()

    blocking = {name for name, row in known.items() if b"blocking" in row[1]}
    keyed = {name for name, row in known.items() if 1 == row[2]}
    assert blocking == (BLOCKING | BLOCKING_BY_OPTION) - {"WAIT", "WAITAOF"}
    assert keyed - {"SSUBSCRIBE", "SUNSUBSCRIBE", "SPUBLISH", "RESTORE-ASKING"} == WITH_KEY & known.keys()
    with_subcommands = {name for name, row in known.items() if len(row) > 3 and row[3]}
    assert "CONFIG" in with_subcommands
    assert with_subcommands <= WITH_SUBCOMMANDS


LIST = """
local rows = {}
for index, row in ipairs(redis.call("COMMAND")) do
  local flags = {}
  for at, flag in ipairs(row[3]) do flags[at] = flag["ok"] or flag end
  rows[index] = {row[1], flags, row[4], #(row[10] or {}) > 0 and 1 or false}
end
return rows
"""
"""A script that returns name, flags, position of the first key and whether there are subcommands, in the same shape for each redis-py."""
