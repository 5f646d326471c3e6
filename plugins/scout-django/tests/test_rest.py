"""Names and errors of the views of Django REST framework and Django Ninja."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.test import Client
from django.test.utils import override_settings
from django.urls import include, path
from ninja import NinjaAPI, Router
from ninja.errors import HttpError
from rest_framework.decorators import action, api_view, renderer_classes
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView, exception_handler
from rest_framework.viewsets import ViewSet

HERE = f"Controller/{__name__}"


class StockError(Exception):
    """The application's own error."""


class Unavailable(APIException):
    status_code = 503


class Missing(HttpError):
    """The application's own answer."""


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer one of the application's own errors, and whatever the framework answers."""
    return Response({}, status=409) if isinstance(error, StockError) else exception_handler(error, context)


class Raising(APIView):
    """Raises what its URL names."""

    renderer_classes = (JSONRenderer,)

    def get_exception_handler(self) -> Callable[..., Any]:
        return answer

    def get(self, request: Request, name: str) -> Response:
        raise RAISED[name]


RAISED: dict[str, Exception] = {
    "stock": StockError(),
    "other": KeyError("tea"),
    "unavailable": Unavailable(),
    "invalid": ValidationError("no items"),
    "missing": Http404(),
    "forbidden": PermissionDenied(),
    "ninja-unavailable": HttpError(503, "busy"),
    "ninja-missing": Missing(404, "missing"),
}


class Orders(ViewSet):
    renderer_classes = (JSONRenderer,)

    def list(self, request: Request) -> Response:
        return Response([])

    def create(self, request: Request) -> Response:
        raise ValidationError("no items")

    def retrieve(self, request: Request, pk: str) -> Response:
        raise StockError

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        return Response({})


class Status(APIView):
    renderer_classes = (JSONRenderer,)

    def get(self, request: Request) -> Response:
        return Response({})

    def post(self, request: Request) -> Response:
        raise APIException


@api_view(["GET"])
@renderer_classes([JSONRenderer])
def health(request: Request) -> Response:
    return Response({})


items = Router()
ninja = NinjaAPI(urls_namespace="shop")


@items.get("/{number}")
def get_item(request: HttpRequest, number: int) -> dict[str, Any]:
    return {"number": number}


@items.post("/{number}")
async def change_item(request: HttpRequest, number: int) -> dict[str, Any]:
    return {"number": number}


@ninja.get("/broken")
def broken(request: HttpRequest) -> None:
    raise KeyError("tea")


@ninja.get("/raising/{name}")
def raising(request: HttpRequest, name: str) -> None:
    raise RAISED[name]


@ninja.get("/raising-async/{name}")
async def raising_async(request: HttpRequest, name: str) -> None:
    raise RAISED[name]


@ninja.exception_handler(StockError)
def answer_stock_error(request: HttpRequest, error: StockError) -> HttpResponse:
    return ninja.create_response(request, {}, status=409)


ninja.add_router("/items", items)
router = SimpleRouter()
router.register("orders", Orders, basename="order")
URLS = (
    path("rest/", include(router.urls)),
    path("status/", Status.as_view()),
    path("raising/<slug:name>/", Raising.as_view()),
    path("health/", health),
    path("ninja/", ninja.urls),
)


@pytest.mark.parametrize(
    ("method", "url", "status", "name"),
    [
        ("GET", "/rest/orders/", 200, "Orders.list"),
        ("POST", "/rest/orders/", 400, "Orders.create"),
        ("POST", "/rest/orders/7/cancel/", 200, "Orders.cancel"),
        ("PUT", "/rest/orders/", 405, "Orders"),
        ("GET", "/status/", 200, "Status"),
        ("GET", "/health/", 200, "health"),
        ("GET", "/ninja/items/7", 200, "get_item"),
        ("POST", "/ninja/items/7", 200, "change_item"),
        ("GET", "/ninja/items/seven", 422, "get_item"),
    ],
)
def test_a_view_names_its_request(scout, method, url, status, name):
    with override_settings(ROOT_URLCONF=URLS):
        assert status == Client().generic(method, url).status_code

    assert [f"{HERE}.{name}"] == scout.operations
    assert not scout.transaction.is_error


@pytest.mark.parametrize(
    ("url", "name", "error"),
    [
        ("/rest/orders/7/", "Orders.retrieve", f"{__name__}.StockError"),
        ("/raising/other/", "Raising", "KeyError"),
        ("/ninja/broken", "broken", "KeyError"),
    ],
)
def test_an_error_of_a_view_is_that_of_its_request(scout, url, name, error):
    with override_settings(ROOT_URLCONF=URLS):
        assert 500 == Client(raise_request_exception=False).get(url).status_code

    assert [f"{HERE}.{name}"] == scout.operations
    assert [(error, False)] == [(found.exception, found.handled) for found in scout.transaction.errors]


@pytest.mark.parametrize(
    ("url", "status", "error"),
    [
        ("/raising/stock/", 409, "StockError"),
        ("/raising/unavailable/", 503, "Unavailable"),
        ("/ninja/raising/stock", 409, "StockError"),
        ("/ninja/raising/ninja-unavailable", 503, "HttpError"),
        ("/ninja/raising-async/stock", 409, "StockError"),
    ],
)
def test_an_error_that_a_library_answers_is_handled_and_its_status_decides(scout, url, status, error):
    with override_settings(ROOT_URLCONF=URLS):
        assert status == Client().get(url).status_code

    assert [(error, True)] == [(e.exception.rpartition(".")[2], e.handled) for e in scout.transaction.errors]
    assert (status >= 500) == scout.transaction.is_error


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/raising/invalid/", 400),
        ("/raising/missing/", 404),
        ("/raising/forbidden/", 403),
        ("/ninja/raising/missing", 404),
        ("/ninja/raising/ninja-missing", 404),
        ("/ninja/raising-async/ninja-missing", 404),
        ("/ninja/items/seven", 422),
    ],
)
def test_an_exception_that_is_an_answer_is_not_an_error(scout, url, status):
    with override_settings(ROOT_URLCONF=URLS):
        assert status == Client().get(url).status_code

    assert (False, 0) == (scout.transaction.is_error, len(scout.transaction.errors))


def test_an_answer_with_status_500_is_an_error(scout):
    with override_settings(ROOT_URLCONF=URLS):
        assert 500 == Client().post("/status/").status_code

    assert (f"{HERE}.Status", True) == (scout.transaction.operation, scout.transaction.is_error)
