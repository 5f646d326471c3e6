"""Books that are taken from a shelf as spans: ``Shelf/Fetch`` and ``Shelf/Lend``."""

from __future__ import annotations

from scout_core import current_transaction, hookimpl, span


@hookimpl
def instrument(wrap):
    wrap("shelf:Shelf.of", made)
    wrap("shelf:Shelf.tidy", tidied)
    wrap("shelf:Shelf.fetch", fetch)
    wrap("shelf:Shelf.fetch_async", fetch)
    wrap("shelf.public:Shelf.tidy", tidied, optional=True)  # shelf 2 defines it there
    wrap("shelf:Branch.fetch", fetch)
    wrap("shelf:Branch.burn", fetch, optional=True)  # until shelf 2
    wrap("shelf:Shelf.order", order, headers="headers", default_headers={})
    # The reader's name is not known to the caller, so describing the call is not enough.
    wrap.around("shelf:Shelf.lend", lend)
    wrap.around("shelf:Shelf.lend_async", lend_async)


@hookimpl
def trace_group(transaction):
    return transaction.tags.get("reader")


def made(kind, title):
    return span("Shelf/Of", kind=kind.__name__)


def tidied(title):
    return span("Shelf/Tidy")


def fetch(shelf, title):
    if not shelf.is_open():
        return None
    return span("Shelf/Fetch", title=title, books=shelf.size)


def order(shelf, title, headers=None):
    return span("Shelf/Order", url="http://shelf.example/orders")


def lend(wrapped, shelf, args, kwargs):
    if current_transaction() is None:
        return wrapped(*args, reader="Ada")
    with span("Shelf/Lend"):
        return wrapped(*args, reader="Ada")


async def lend_async(wrapped, shelf, args, kwargs):
    if current_transaction() is None:
        return await wrapped(*args, reader="Ada")
    with span("Shelf/Lend"):
        return await wrapped(*args, reader="Ada")


class Scout:
    """The extension: there is nothing to do, since the plugin attaches by itself."""

    def __init__(self, shelf):
        self.shelf = shelf
