"""{{ library }} itself, driven end to end."""

from __future__ import annotations

import {{ library }}

from scout_core import transaction


def test_a_call_is_a_span(scout):
    client = {{ library }}.Client()

    with transaction("Controller/home"):
        client.call()

    assert ["{{ name | capitalize }}/Call", "Controller/home"] == scout.operations


def test_outside_a_transaction_a_call_is_not_recorded(scout):
    {{ library }}.Client().call()

    assert [] == scout.operations
