"""The jobs of the shop: most are fast, mails are sent again when the mail server hangs up, one job is slow, and one fails occasionally."""

from __future__ import annotations

import os
import random
import smtplib
from functools import cache
from pathlib import Path
from time import sleep
from typing import Final

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from scout_demo.shop.models import Order, connect

FOLDER: Final = "SHOP_FOLDER"
"""Variable of the worker's environment: the folder of the database."""
BUSY_RATIO: Final = 4
"""One in this many mails is not taken the first time."""
LOST_RATIO: Final = 8
"""One in this many parcels has no label."""


def send_receipt(order: int) -> None:
    """Mail the receipt of an order; it is tried again when the mail server hangs up."""
    with Session(_engine()) as session:
        session.get_one(Order, order)
    sleep(random.uniform(0.02, 0.06))  # noqa: S311  # the mail server
    if not random.randrange(BUSY_RATIO):  # noqa: S311
        raise smtplib.SMTPServerDisconnected("connection unexpectedly closed")


def pack_order(order: int) -> None:
    """Print the label of a parcel, which is occasionally missing."""
    with Session(_engine()) as session:
        lines = session.get_one(Order, order).lines
        for line in lines:
            sleep(0.02 + line.product.price / 1_000_000)
    label = {} if not random.randrange(LOST_RATIO) else {"label": order}  # noqa: S311
    sleep(label["label"] % 5 / 100)


def export_sales() -> None:
    """Write the sales to the accounting system, which is slow."""
    with Session(_engine()) as session:
        session.execute(select(Order.day, func.count()).group_by(Order.day)).all()
    sleep(random.uniform(0.4, 0.8))  # noqa: S311  # the accounting system


@cache
def _engine() -> Engine:
    return connect(Path(os.environ[FOLDER]))
