"""Products, customers and orders of the shop."""

from __future__ import annotations

import random
from pathlib import Path

from sqlalchemy import Engine, ForeignKey, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

PRODUCTS, CUSTOMERS, ORDERS, DAYS = 240, 60, 3_000, 365
PLANS = ("free", "free", "free", "pro", "enterprise")
_WORDS = (
    ("Copper", "Linen", "Oak", "Harbour", "Slate", "Amber", "Field", "North"),
    ("kettle", "lamp", "chair", "notebook", "blanket", "mug", "shelf", "clock"),
)


class Base(DeclarativeBase):
    """Base class of all tables."""


class Product(Base):
    """A product."""

    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[int]
    """In cents."""
    category: Mapped[str]


class Customer(Base):
    """A customer."""

    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    plan: Mapped[str]


class Order(Base):
    """An order of a customer."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    day: Mapped[int]
    customer: Mapped[Customer] = relationship()
    lines: Mapped[list[Line]] = relationship(back_populates="order")


class Line(Base):
    """A product in an order."""

    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    quantity: Mapped[int]
    order: Mapped[Order] = relationship(back_populates="lines")
    product: Mapped[Product] = relationship()


def connect(folder: Path) -> Engine:
    """Return the engine for the database file, which need not exist yet."""
    return create_engine(f"sqlite:///{folder / 'shop.sqlite'}", connect_args={"timeout": 10})


def open_shop(folder: Path) -> Engine:
    """Create and fill a new database file, with the same contents every time."""
    engine = connect(folder)
    Base.metadata.create_all(engine)
    chance = random.Random(7)  # noqa: S311  # sample data, not secrets
    first, second = _WORDS
    with Session(engine) as session:
        session.add_all(
            Product(
                id=number,
                name=f"{first[number % 8]} {second[number // 8 % 8]} {number}",
                price=chance.randrange(300, 9_900),
                category=second[number // 8 % 8],
            )
            for number in range(1, PRODUCTS + 1)
        )
        session.add_all(
            Customer(id=number, email=f"customer{number}@shop.example", plan=chance.choice(PLANS))
            for number in range(1, CUSTOMERS + 1)
        )
        session.add_all(
            Order(id=number, customer_id=chance.randint(1, CUSTOMERS), day=number % DAYS)
            for number in range(1, ORDERS + 1)
        )
        session.add_all(
            Line(order_id=order, product_id=chance.randint(1, PRODUCTS), quantity=chance.randint(1, 4))
            for order in range(1, ORDERS + 1)
            for _ in range(3)
        )
        session.commit()
    return engine
