"""The shop by itself, with its supplier on a real socket."""

from __future__ import annotations

from threading import Thread

import pytest
from werkzeug.serving import make_server

from scout_demo.shop.models import open_shop
from scout_demo.shop.pages import build_shop
from scout_demo.shop.queues import Queues
from scout_demo.shop.supplier import supplier


@pytest.fixture
def shop(tmp_path):
    second = make_server("127.0.0.1", 0, supplier, threaded=True)
    thread = Thread(target=second.serve_forever)
    thread.start()
    engine = open_shop(tmp_path)
    try:
        yield build_shop(engine, f"http://127.0.0.1:{second.server_port}", Queues(None)).test_client()
    finally:
        second.shutdown()
        thread.join()
        second.server_close()
        engine.dispose()


def test_the_list_of_orders_repeats_a_query_for_every_row(scout, shop):
    shop.get("/orders")

    assert scout.operations.count("SQL/Query") > 36


def test_a_product_page_requests_the_supplier_and_masks_the_key(scout, shop):
    shop.get("/product/17")
    [trace] = scout.traces()

    calls = [span.tags["url"] for span in trace.spans if span.operation == "HTTP/GET"]
    assert 1 == len(calls)
    assert calls[0].endswith("/stock/17")
    assert "demo-secret" not in str(trace)


def test_suggestions_fail_occasionally(scout, shop):
    statuses = {shop.get("/suggestions").status_code for _ in range(120)}

    assert {200, 500} == statuses
    assert {"KeyError"} == {transaction.error for transaction in scout.transactions if transaction.is_error}
