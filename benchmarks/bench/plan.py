"""What is measured: workloads, variants and budgets, as data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from attrs import field, frozen

HERE: Final = Path(sys.executable)
"""The interpreter of the environment that the command was started in."""


@frozen(kw_only=True)
class Variant:
    """The application with one agent and its settings, or alone."""

    name: str
    agent: str
    """Module below ``bench.agents``."""
    settings: dict[str, str] = field(factory=dict)
    python: Path = HERE
    baseline: str = "alone"
    """The variant, of the same environment, that it is compared with."""
    sampled: bool = True
    """Whether its transactions arrive; else the agent only counts that it left them out."""
    silent: bool = False
    """Nothing arrives at all."""
    spans: dict[str, int] = field(factory=dict)
    """Workload to the spans that arrive for one unit; the workload's own where it is not in here."""


@frozen(kw_only=True)
class Workload:
    """One kind of work; a unit is one transaction."""

    key: str
    """Of ``bench.work.WORK``."""
    title: str
    item: str
    """What the figures are for: ``request``, ``span``."""
    items: int = 1
    """How many of them are in a unit."""
    units: int
    """Run in one chunk: about half a second of work at the most."""
    spans: int
    """What scout-core makes of one unit."""
    needs: tuple[str, ...] = ()
    """Modules without which it cannot run."""
    settings: dict[str, str] = field(factory=dict)
    """Added to those of scout-core's variants."""
    variants: tuple[str, ...] = ("ours",)
    has_peers: bool = True


ALONE: Final = Variant(name="alone", agent="alone", silent=True)
CONTROL: Final = Variant(name="alone, again", agent="alone", silent=True)
"""The same in a second process: what it seems to add is what the run cannot tell apart."""

OURS: Final = (
    Variant(name="ours", agent="scout_core"),
    Variant(name="monitor=false", agent="scout_core", settings={"monitor": "false"}, silent=True),
    Variant(name="ignored", agent="scout_core", settings={"ignore": "/orders, /hello"}, sampled=False),
    Variant(name="unsampled", agent="scout_core", settings={"sample_rate": "0"}, sampled=False),
)

SHOP: Final = ("flask", "sqlalchemy", "jinja2", "scout_flask", "scout_sqlalchemy", "scout_jinja2")
EVERY: Final = tuple(variant.name for variant in OURS)

WORKLOADS: Final = (
    Workload(key="request", title="W1 ten selects, a template", item="request", units=200, spans=12, needs=SHOP, variants=EVERY),
    Workload(key="hello", title="W2 a constant", item="request", units=2000, spans=1, needs=SHOP, variants=EVERY),
    Workload(key="flat", title="W3 1000 spans by hand", item="span", items=1000, units=20, spans=1001),
    Workload(key="nested", title="W3 100 spans, nested", item="span", items=100, units=100, spans=101),
    Workload(key="call", title="a wrapped call", item="call", items=1000, units=20, spans=1001, has_peers=False,
             settings={"plugins": "bench.library_plugin"}),
    Workload(key="call-outside", title="outside a transaction", item="call", items=1000, units=20, spans=0, has_peers=False,
             settings={"plugins": "bench.library_plugin"}),
)  # fmt: skip

CALLER: Final = "caller"
"""CPU of the calling thread."""
ALL: Final = "all threads"
"""CPU of the process, until everything has arrived."""

BUDGETS: Final = {
    ("request", "ours", CALLER): 130.0,
    ("request", "ours", ALL): 190.0,
    ("request", "monitor=false", CALLER): 1.0,
    ("request", "ignored", CALLER): 10.0,
    ("request", "unsampled", CALLER): 10.0,
    ("hello", "ours", CALLER): 25.0,
    ("hello", "monitor=false", CALLER): 1.0,
    ("hello", "ignored", CALLER): 10.0,
    ("hello", "unsampled", CALLER): 10.0,
    ("flat", "ours", CALLER): 1.5,
    ("nested", "ours", CALLER): 1.5,
    ("call", "ours", CALLER): 4.0,
}
"""Microseconds that may be added for each item, by workload, variant and clock."""
PATCHED: Final = 0
"""Functions that may be wrapped where ``monitor`` is false."""
IMPORT_MS: Final = 60.0
FIRST_RESPONSE_MS: Final = 60.0
MEMORY_MB: Final = 4.0
MEMORY_BYTES_PER_REQUEST: Final = 1.0
"""What still counts as flat: a megabyte in a million requests."""
