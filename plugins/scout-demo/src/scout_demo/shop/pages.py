"""The pages: most are fast, one is slow, one has an N+1 query, and one fails occasionally."""

from __future__ import annotations

import random

import urllib3
from flask import Flask, redirect, render_template, request, url_for
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from scout_demo.shop import jobs
from scout_demo.shop.models import CUSTOMERS, DAYS, PRODUCTS, Customer, Line, Order, Product
from scout_demo.shop.queues import Queues

SALES = text(
    """
    WITH RECURSIVE days(day) AS (SELECT 0 UNION ALL SELECT day + 1 FROM days WHERE day < 364)
    SELECT days.day, sum(lines.quantity * products.price) AS taken, count(DISTINCT orders.customer_id) AS customers
    FROM days JOIN orders ON orders.day <= days.day JOIN lines ON lines.order_id = orders.id
    JOIN products ON products.id = lines.product_id WHERE orders.day > days.day - :window GROUP BY days.day
    """
)


def build_shop(engine: Engine, supplier: str, queues: Queues) -> Flask:
    """
    Build the application.

    Args:
        supplier: URL of the stock service, such as ``http://127.0.0.1:4711``.
        queues: for the jobs of checkouts and reports.
    """
    app = Flask("scout_demo.shop.pages")
    http = urllib3.PoolManager(maxsize=8)

    @app.get("/")
    def home() -> str:
        with Session(engine) as session:
            offers = session.scalars(
                select(Product).where(Product.price < 1_500).order_by(Product.price).limit(8)
            ).all()
            return render_template("home.html", offers=offers)

    @app.get("/products")
    def products() -> str:
        category = request.args.get("category", "mug")
        with Session(engine) as session:
            found = session.scalars(select(Product).where(Product.category == category).order_by(Product.name)).all()
            total = session.scalar(select(func.count()).select_from(Product))
            return render_template("products.html", category=category, products=found, total=total)

    @app.get("/product/<int:number>")
    def product(number: int) -> str:
        with Session(engine) as session:
            stock = http.request("GET", f"{supplier}/stock/{number}", fields={"api_key": "demo-secret"}).json()
            return render_template("product.html", product=session.get_one(Product, number), stock=stock["pieces"])

    @app.get("/orders")
    def orders() -> str:
        # The template reads the customer, lines and products of each order: one query becomes eighty.
        with Session(engine) as session:
            latest = session.scalars(select(Order).order_by(Order.id.desc()).limit(12)).all()
            return render_template("orders.html", orders=latest)

    @app.get("/report")
    def report() -> str:
        with Session(engine) as session:
            rows = [session.execute(SALES, {"window": window}).all() for window in (7, 14)]
            queues.publish("exports", jobs.export_sales)
            return render_template("report.html", weeks=rows)

    @app.get("/suggestions")
    def suggestions() -> str:
        answer = http.request("GET", f"{supplier}/suggestions")
        numbers = answer.json()["numbers"]  # occasionally missing from the answer
        with Session(engine) as session:
            found = session.scalars(select(Product).where(Product.id.in_(numbers))).all()
            return render_template("products.html", category="for you", products=found, total=len(found))

    @app.post("/checkout")
    def checkout() -> Response:
        with Session(engine) as session:
            customer = session.get_one(Customer, random.randint(1, CUSTOMERS))  # noqa: S311  # a visitor
            basket = [random.randint(1, PRODUCTS) for _ in range(2)]  # noqa: S311
            for number in basket:
                http.request("POST", f"{supplier}/reserve/{number}")
            order = Order(
                customer_id=customer.id,
                day=DAYS - 1,
                lines=[Line(product_id=number, quantity=1) for number in basket],
            )
            session.add(order)
            session.commit()
            queues.publish("mail", jobs.send_receipt, order.id, retries=2)
            queues.publish("warehouse", jobs.pack_order, order.id)
        return redirect(url_for("home"))

    return app
