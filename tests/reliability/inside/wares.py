"""A library with a function of each kind that can be wrapped."""

import asyncio


def pack(item):
    return f"packed {item}"


def find(item):
    if item == "missing":
        raise LookupError(item)
    return item


async def ship(item):
    await asyncio.sleep(0)
    return f"shipped {item}"


async def bill(item):
    await asyncio.sleep(0)
    return f"billed {item}"
