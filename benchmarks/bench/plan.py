"""Workloads, variants and budgets, as data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from attrs import field, frozen

PYTHON: Final = Path(sys.executable)
"""Interpreter of the environment that the command runs in."""


@frozen(kw_only=True)
class Variant:
    """The application with an agent and its settings, or without one."""

    name: str
    agent: str
    """Module in ``bench.agents``."""
    settings: dict[str, str] = field(factory=dict)
    python: Path = PYTHON
    baseline: str = "bare"
    """The variant in the same environment that it is compared with."""
    sampled: bool = True
    """Whether its transactions arrive; otherwise the agent only reports how many it dropped."""
    silent: bool = False
    """Nothing arrives."""
    spans: dict[str, int] = field(factory=dict)
    """Workload to the spans that arrive for one unit, where they are not those of scout-core."""


@frozen(kw_only=True)
class Workload:
    """A kind of work. A unit of it is one transaction."""

    key: str
    """A key of ``bench.work.WORK``."""
    title: str
    item: str
    """The figures are per item: ``request``, ``span``, ``call``."""
    items: int = 1
    """Items in a unit."""
    units: int
    """Units in a chunk: at most about half a second of work."""
    spans: int
    """Spans that scout-core records for one unit, the transaction included."""
    needs: tuple[str, ...] = ()
    """Modules that must be installed."""
    settings: dict[str, str] = field(factory=dict)
    """Options of scout-core for this workload."""
    variants: tuple[str, ...] = ("ours",)
    has_peers: bool = True
    peers: tuple[str, ...] = ()
    """Names of the peers that are measured; empty: all."""


BARE: Final = Variant(name="bare", agent="bare", silent=True)
BARE_FOR: Final = "bare, for "
"""The beginning of the name of the application without an agent in the environment of a peer."""
CONTROL: Final = Variant(name="bare, again", agent="bare", silent=True)
"""The same in a second process: the difference is the noise of the run."""

OURS: Final = (
    Variant(name="ours", agent="scout_core"),
    Variant(name="monitor=false", agent="scout_core", settings={"monitor": "false"}, silent=True),
    Variant(name="ignored", agent="scout_core", settings={"ignore": "/orders, /hello"}, sampled=False),
    Variant(name="unsampled", agent="scout_core", settings={"sample_rate": "0"}, sampled=False),
)

SHOP: Final = ("flask", "sqlalchemy", "jinja2", "scout_flask", "scout_sqlalchemy", "scout_jinja2")
ALL_OURS: Final = tuple(variant.name for variant in OURS)

WORKLOADS: Final = (
    Workload(key="request", title="W1 ten selects, a template", item="request", units=200, spans=12, needs=SHOP, variants=ALL_OURS),
    Workload(key="hello", title="W2 a constant", item="request", units=2000, spans=1, needs=SHOP, variants=ALL_OURS),
    Workload(key="django", title="W1 with Django", item="request", units=200, spans=12,
             needs=("django", "flask", "jinja2", "scout_django"), variants=ALL_OURS, peers=("scout-apm", "opentelemetry")),
    Workload(key="starlette", title="W2 with Starlette", item="request", units=2000, spans=1, needs=("starlette", "scout_starlette"),
             variants=ALL_OURS, peers=("scout-apm", "opentelemetry")),
    Workload(key="wsgi", title="a constant, without a framework", item="request", units=5000, spans=1, needs=("flask", "jinja2"),
             variants=ALL_OURS, has_peers=False),
    Workload(key="asgi", title="the same with ASGI", item="request", units=5000, spans=1, variants=ALL_OURS, has_peers=False),
    Workload(key="statement", title="a statement, by a proxy", item="statement", items=100, units=50, spans=101, has_peers=False,
             settings={"plugins": "bench.modules_plugin"}),
    Workload(key="http-call", title="a call of an HTTP client", item="call", items=100, units=100, spans=101, has_peers=False,
             settings={"plugins": "bench.modules_plugin"}),
    Workload(key="job", title="a job of a queue", item="job", units=5000, spans=1, has_peers=False,
             settings={"plugins": "bench.modules_plugin"}),
    Workload(key="celery-task", title="a task of Celery", item="task", units=2000, spans=1, has_peers=False,
             needs=("celery", "scout_celery")),
    Workload(key="huey-task", title="a task of Huey", item="task", units=5000, spans=1, has_peers=False,
             needs=("huey", "scout_huey")),
    Workload(key="redis-command", title="a command of Redis", item="command", items=100, units=20, spans=101, has_peers=False,
             needs=("redis", "scout_redis")),
    Workload(key="flat", title="W3 1000 spans by hand", item="span", items=1000, units=20, spans=1001),
    Workload(key="nested", title="W3 100 spans, nested", item="span", items=100, units=100, spans=101),
    Workload(key="call", title="a wrapped call", item="call", items=1000, units=20, spans=1001, has_peers=False,
             settings={"plugins": "bench.library_plugin"}),
    Workload(key="call-outside", title="outside a transaction", item="call", items=1000, units=20, spans=0, has_peers=False,
             settings={"plugins": "bench.library_plugin"}),
    Workload(key="steps", title="a step of a generator", item="step", items=1000, units=20, spans=2, has_peers=False,
             settings={"plugins": "bench.library_plugin"}),
    Workload(key="error", title="an error that is recorded", item="error", units=2000, spans=1, has_peers=False),
    Workload(key="log", title="a log record with the ids", item="record", items=100, units=50, spans=1, has_peers=False),
    Workload(key="propagate", title="a function for another thread", item="call", items=100, units=100, spans=1, has_peers=False),
)  # fmt: skip

CALLER: Final = "caller"
"""CPU of the calling thread."""
ALL: Final = "all threads"
"""CPU of the process, until all data has arrived."""

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
    ("django", "ours", CALLER): 140.0,
    ("django", "ours", ALL): 200.0,
    ("django", "monitor=false", CALLER): 1.0,
    ("django", "ignored", CALLER): 10.0,
    ("django", "unsampled", CALLER): 10.0,
    ("starlette", "ours", CALLER): 25.0,
    ("starlette", "monitor=false", CALLER): 1.0,
    ("starlette", "ignored", CALLER): 10.0,
    ("starlette", "unsampled", CALLER): 10.0,
    ("wsgi", "ours", CALLER): 25.0,
    ("wsgi", "monitor=false", CALLER): 1.0,
    ("wsgi", "ignored", CALLER): 10.0,
    ("wsgi", "unsampled", CALLER): 10.0,
    ("asgi", "ours", CALLER): 25.0,
    ("asgi", "monitor=false", CALLER): 1.0,
    ("asgi", "ignored", CALLER): 10.0,
    ("asgi", "unsampled", CALLER): 10.0,
    ("job", "ours", CALLER): 60.0,
    ("celery-task", "ours", CALLER): 60.0,
    ("huey-task", "ours", CALLER): 60.0,
    ("redis-command", "ours", CALLER): 4.0,
    ("flat", "ours", CALLER): 1.5,
    ("nested", "ours", CALLER): 1.5,
    ("call", "ours", CALLER): 4.0,
}
"""Microseconds that may be added per item, by workload, variant and measure."""
PATCHED: Final = 0
"""Functions that may be wrapped when ``monitor`` is false."""
IMPORT_MS: Final = 60.0
FIRST_RESPONSE_MS: Final = 60.0
MEMORY_MB: Final = 4.0
MEMORY_BYTES_PER_REQUEST: Final = 1.0
"""A megabyte in a million requests still counts as flat."""
