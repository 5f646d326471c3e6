"""The counters of a report: how many transactions went where, and everything that is missing from figures and traces."""

from __future__ import annotations

from attrs import field, frozen

from scout_core.measuring.read_only import with_read_only_mappings


@frozen(kw_only=True, field_transformer=with_read_only_mappings)
class Counters:
    """How many transactions since the process started went where, for one exporter.

    ``finished == exported + queued + sum(dropped.values())`` at every moment.
    """

    finished: int
    """Ended; in the last report also those that were open when the agent stopped."""
    exported: int
    queued: int
    dropped: dict[str, int]
    """Reason (``ignored``, ``sampled``, ``inbox full``, ``outbox full``, ``rejected``, …) to count."""
    figures_only: int = 0
    """Transactions counted and timed without their spans, hooks and trace, because the inbox was full."""
    spans: int = 0
    spans_merged: int = 0
    """Beyond the limit of one transaction: aggregated, not in its trace."""
    late_spans: int = 0
    """Spans and errors that came after the end of their transaction: in no figure."""
    spans_never_ended: int = 0
    """Spans that were kept open, or begun by ``begin()``, and freed before ``end()`` was called: in no figure."""
    spans_open_at_stop: int = 0
    """Spans that were kept open, or begun by ``begin()``, when the agent stopped, and whose transaction had ended: in no figure."""
    unfollowed_results: int = 0
    """Classes of results of decorated functions whose spans end with the call, though they may have work to do; the log names them."""
    in_collection: int = 0
    """Spans and transactions begun while the garbage collector ran, which Python before 3.12 cannot record: in no figure."""
    in_hooks: int = 0
    """Spans and transactions begun by hooks of plugins: in no figure."""
    invalid_values: int = 0
    """Values of another type that were set as an operation, tags or another attribute, and are not used."""
    headers_unsent: int = 0
    """Calls that were sent without trace headers, because the type of the caller's headers, or the host, is not known."""
    errors_ignored: int = 0
    """Exceptions that ``errors_ignored_exceptions`` lists: they are not errors, and made no transaction fail."""
    queue_times_refused: int = 0
    """Jobs whose queue time is not used, because it was negative or more than ten years: clocks that differ, or another unit."""
    values_cut: int = 0
    """Texts that were shortened, and tags replaced by the name of their type, so that waiting transactions take little memory."""
    errors_merged: int = 0
    """Errors counted under ``other`` because there were too many groups in a period, or too many errors in a transaction."""
    operations_merged: int = 0
    """Spans whose operation is counted under ``other`` in the figures of operations, because there were too many in a period."""
    names_merged: int = 0
    """Transactions counted under ``other`` because there were too many names."""
    tags_dropped: int = 0
    """Beyond the limit of one span or transaction."""
    groups_left_out: int = 0
    """Trace groups, by default the names, of which no trace had a place in a period: summed, and at most 1,000 of each period."""
    traces_lost: int = 0
    """Kept, but something that the application or a plugin had put into them could not be read."""
    logging_failures: int = 0
    """Messages of scout-core that are in no log, because a handler or filter of the application raised."""
    left_out: dict[str, int] = field(factory=dict)
    """The sums of ``left_out`` of the reports before."""
