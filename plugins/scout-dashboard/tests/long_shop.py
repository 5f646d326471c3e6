"""A shop with realistically long names: full module paths, statements, custom kinds and policies."""

from __future__ import annotations

import time

import sample_reports
from attrs import evolve
from known_shop import metrics
from sample_operations import operation as operation_of
from sample_reports import queue_metrics

from scout_core.measuring.report import CodeLine, KindMetrics, Report, SpanRecord, Trace
from scout_dashboard.store.operations import id_of

APP = "Warehouse and fulfilment of the northern region"
NAME = "Controller/warehouse_fulfilment.inventory.views.reservation_of_stock_by_region"
JOB = "Job/warehouse_fulfilment.tasks.reconcile_everything_with_the_supplier_nightly"
QUEUE = "warehouse-fulfilment.northern-region.reconciliation.with-low-priority"
ORDERS = "Controller/scout_demo.shop.pages.orders"
TRACE_ID = "00000000000010a9"
KIND = "WarehouseMessageQueueClient"
OPERATIONS = (
    "Middleware/warehouse_fulfilment.middleware.authentication.TokenFromHeader",
    "Controller/warehouse_fulfilment.inventory.views.reservation_of_stock_by_region",
    "SQL/Query",
    f"{KIND}/publish_reservation_to_the_exchange_of_the_northern_region",
    "Template/Render",
    "unbroken" * 12,
)
STATEMENT = "SELECT stock.id, stock.amount, stock.reserved FROM stock JOIN region ON region.id = stock.region WHERE region.name = ?"
LINE = CodeLine(
    file="/srv/warehouse_fulfilment/inventory/queries/reservation_of_stock_by_region.py", line=1_234,
    function="find_everything_that_is_reserved_in_the_northern_region", count=12_345, total=1_234.5,
)  # fmt: skip
OPERATION_IDS = (id_of("SQL/Query", STATEMENT), id_of(OPERATIONS[3], ""), id_of("Template/Render", "unbroken" * 40))


def report() -> Report:
    """Return a report of one minute with one trace."""
    end = int(time.time() // 60) * 60 - 61.0
    base = sample_reports.report(end=end, traces=0, app=APP, instance="10a910a910a910a9")
    return evolve(
        base,
        process=evolve(base.process, hostname="ip-10-20-30-40.eu-north-1.compute.internal"),
        transactions=tuple(_with_kinds(name, count) for name, count in ((NAME, 12_345), (JOB, 1), (ORDERS, 30))),
        traces=(trace(end - 5.0),),
        operations=(
            operation_of(
                detail=STATEMENT,
                calls={NAME: 23_456, JOB: 3, "other": 2},
                repeated=12_345,
                errors=99,
                lines=[LINE] * 2,
            ),
            operation_of(OPERATIONS[3], "", seconds=0.1234, calls={NAME: 1_000}, repeated=1),
            operation_of("Template/Render", "unbroken" * 40, calls={NAME: 5}),
        ),
    )


def trace(start: float) -> Trace:
    """A chain of operations: single and six times, with and without a statement, and failing."""
    spans = []
    for depth, operation in enumerate(OPERATIONS):
        for again in range(6 if depth == 3 else 1):
            number = len(spans) + 1
            spans.append(
                SpanRecord(
                    id=number, parent=depth, operation=operation, start=0.01 * number, duration=0.9 - 0.12 * depth - again / 50,
                    tags={"statement": STATEMENT} if depth in (2, 3, 5) else {"name": "x"},
                    error="warehouse_fulfilment.errors.NotEnoughStockInThisRegion" if depth == 4 else None,
                )
            )  # fmt: skip
    return Trace(
        id=TRACE_ID,
        name=NAME,
        start=start,
        duration=1.234,
        queue_time=0.0001,
        is_error=True,
        error=None,
        tags={"a_tag_of_the_team_that_owns_the_warehouse": "unbroken" * 20, "plan": "gold"},
        score=12.25,
        policies={"percentile": 1.4, "warehouse_fulfilment.policies.keep_reservations_of_large_customers": 5.0, "age": 5.85},
        seen={"count": 204.0, "quantile": 0.97},
        spans=tuple(spans),
        merged={OPERATIONS[3]: (12, 0.034)},
    )  # fmt: skip


def _with_kinds(name: str, count: int) -> object:
    plain = metrics(name, count, 0.0123, errors=count // 3)
    queues = {QUEUE: queue_metrics([0.0123] * count, [1234.5] * count)} if name == JOB else {}
    mine = {KIND: KindMetrics(count=count * 1_000, errors=0, total=0.5, exclusive=0.5)}
    return evolve(plain, kinds={**plain.kinds, **mine}, queues=queues)
