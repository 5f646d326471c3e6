"""A library: books on a shelf, with everything that makes a library hard to watch."""

import asyncio
import sys
from functools import cached_property
from types import ModuleType

GREETERS = []
"""Functions that are called with each title that is asked for."""


class MissingError(Exception):
    pass


class Shelf:
    def __init__(self, **books):
        self.books = books

    @classmethod
    def of(cls, title):
        return cls(**{title: [title]})

    @staticmethod
    def tidy(title):
        return title.strip()

    def fetch(self, title):
        for greet in GREETERS:
            greet(title)
        return self._find(title)

    async def fetch_async(self, title):
        await asyncio.sleep(0)
        try:
            return self._find(title)
        finally:
            await asyncio.sleep(0)

    @cached_property
    def size(self):
        return len(self.books)

    def is_open(self):
        return True

    def count(self):
        return len(self.books)

    def lend(self, title, reader=None):
        return self._find(title)

    async def lend_async(self, title, reader=None):
        await asyncio.sleep(0)
        return self._find(title)

    def order(self, title, headers=None):
        return self._find(title)

    def _find(self, title):
        try:
            return self.books[title]
        except KeyError as error:
            raise MissingError(title) from error


class Branch(Shelf):
    """Inherits what it lends."""


public = sys.modules[f"{__name__}.public"] = ModuleType(f"{__name__}.public", "The names that users import.")
public.Shelf = Shelf
