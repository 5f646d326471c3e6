"""Results of one variant of one workload: the figures of each round, and the data that its sink received."""

from __future__ import annotations

from attrs import asdict, define, field, frozen

from bench.plan import Variant, Workload


@frozen(kw_only=True)
class Arrived:
    """Counts of the data that a sink decoded, and of the data that it should have received."""

    expected: int = 0
    """Transactions."""
    transactions: int = 0
    spans_expected: int = 0
    spans: int = 0
    dropped_expected: int = 0
    """Transactions that the agent should drop."""
    dropped: int = 0
    """Transactions that the agent reports as dropped."""
    payloads: int = 0
    bytes: int = 0
    errors: int = 0
    """Payloads that could not be decoded."""

    @property
    def has_all_transactions(self) -> bool:
        """Whether every transaction arrived or was reported as dropped."""
        return (self.expected, self.dropped_expected) == (self.transactions, self.dropped)

    @property
    def is_complete(self) -> bool:
        """Whether all expected data arrived exactly once, and nothing else."""
        return self.has_all_transactions and (self.spans_expected, 0) == (self.spans, self.errors)

    def __add__(self, other: Arrived) -> Arrived:
        more = asdict(other)
        return Arrived(**{name: count + more[name] for name, count in asdict(self).items()})


@define(kw_only=True)
class Measured:
    """Results of one variant of one workload, of all its processes."""

    workload: Workload
    variant: Variant
    caller_us: list[float] = field(factory=list)
    """CPU of the calling thread per item, in each round."""
    fastest_us: list[float] = field(factory=list)
    """The same for the fastest slice of each chunk."""
    all_us: list[float] = field(factory=list)
    """CPU of the process per item, until all data had arrived."""
    arrived: Arrived = Arrived()
    patched: int = 0
    """Functions wrapped by scout-core."""
    last_error: str = ""
    """Why the sink could not decode a payload."""
