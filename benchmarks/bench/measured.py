"""What came out of one variant of one workload: a number for each round, and what its sink received."""

from __future__ import annotations

from attrs import asdict, define, field, frozen

from bench.plan import Variant, Workload


@frozen(kw_only=True)
class Arrived:
    """What a sink has decoded, beside what it should have."""

    expected: int = 0
    """Transactions."""
    transactions: int = 0
    spans_expected: int = 0
    spans: int = 0
    dropped_expected: int = 0
    """Transactions that were to be left out."""
    dropped: int = 0
    """Those that the agent says it left out."""
    payloads: int = 0
    bytes: int = 0
    errors: int = 0
    """Payloads that could not be decoded."""

    @property
    def has_ended(self) -> bool:
        """Whether every transaction arrived, or was counted as left out."""
        return (self.expected, self.dropped_expected) == (self.transactions, self.dropped)

    @property
    def is_complete(self) -> bool:
        """Whether everything arrived, once, and nothing else."""
        return self.has_ended and (self.spans_expected, 0) == (self.spans, self.errors)

    def __add__(self, other: Arrived) -> Arrived:
        more = asdict(other)
        return Arrived(**{name: count + more[name] for name, count in asdict(self).items()})


@define(kw_only=True)
class Measured:
    """One variant of one workload, over all its processes."""

    workload: Workload
    variant: Variant
    caller_us: list[float] = field(factory=list)
    """CPU of the calling thread for each item."""
    fastest_us: list[float] = field(factory=list)
    """The same in the fastest slice of each chunk."""
    all_us: list[float] = field(factory=list)
    """CPU of the process for each item, until everything had arrived."""
    arrived: Arrived = Arrived()
    patched: int = 0
    """Functions that scout-core had wrapped."""
    last_error: str = ""
    """What the sink could not decode, and why."""
