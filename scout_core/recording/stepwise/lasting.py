"""Python's own types whose objects have no other use than work to come: lazy iterators, and context managers made of generators."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

_FROM_ITERTOOLS: Final = (
    "accumulate", "batched", "chain", "combinations", "combinations_with_replacement", "compress", "dropwhile", "filterfalse",
    "groupby", "islice", "pairwise", "permutations", "product", "starmap", "takewhile", "zip_longest",
)  # fmt: skip
"""All that end, in any version of Python: ``count``, ``cycle`` and ``repeat`` do not."""
LAZY: Final = frozenset(
    id(kind)
    for kind in (
        enumerate,
        filter,
        map,
        reversed,
        zip,
        type(iter(int, 1)),
        *(getattr(itertools, name) for name in _FROM_ITERTOOLS if hasattr(itertools, name)),
    )
)
"""Ids of iterators that do their work while they are read. One of a list, a dict or a file is not among them."""


@contextmanager
def _block() -> Iterator[None]:
    yield


@asynccontextmanager
async def _async_block() -> AsyncIterator[None]:
    yield


BLOCKS: Final = frozenset((id(type(_block())), id(type(_async_block()))))
"""Ids of what functions return that ``contextmanager`` and ``asynccontextmanager`` have made; the attribute ``gen`` is the generator."""
