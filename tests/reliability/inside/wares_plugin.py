"""A plugin for it, with each kind of describer, and with hooks."""

from scout_core import hookimpl, span, transaction


@hookimpl
def instrument(wrap):
    wrap("wares:pack", described, root=True)
    wrap("wares:find", watched)
    wrap("wares:ship", described, root=True)
    wrap("wares:bill", watched)


def described(item):
    return transaction("Job/wares")


def watched(item):
    result = yield span("Wares/find")
    del result


@hookimpl
def on_request_start(transaction):
    transaction.tag("started", True)


@hookimpl
def on_span(span):
    span.tag("ended", True)


@hookimpl
def score_transaction(transaction):
    return 0.5


@hookimpl
def ignore_transaction(transaction):
    return transaction.operation == "Job/ignored"
