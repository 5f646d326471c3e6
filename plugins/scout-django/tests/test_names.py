"""Names of views, as requests are recorded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import pytest
from django.contrib.syndication.views import Feed
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.test.utils import override_settings
from django.urls import include, path, re_path
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.generic import TemplateView

from scout_core import current_transaction

HERE = f"Controller/{__name__}"


def home(request: HttpRequest, **facts: object) -> HttpResponse:
    return HttpResponse("home")


class Home(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("home")

    def page(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("page")


class Callables:
    def __call__(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("called")


class Entries(Feed):
    title, link, description = "Entries", "/", "All of them"

    def items(self) -> list[str]:
        return []


def made(text: str) -> Callable[[HttpRequest], HttpResponse]:
    def page(request: HttpRequest) -> HttpResponse:
        return HttpResponse(text)

    return page


def logged(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def logging(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return logging


def renamed(request: HttpRequest) -> HttpResponse:
    current_transaction().rename("Controller/shop.cart")
    return HttpResponse("renamed")


nested = ([path("<slug:name>/", home)], "shop")
VIEWS = (
    path("function/", home),
    path("class/", Home.as_view()),
    path("template/", TemplateView.as_view(template_name="none.html")),
    path("decorated/", never_cache(logged(home))),
    path("decorated-class/", never_cache(Home.as_view())),
    path("partial/<int:number>/", partial(home, extra=1)),
    path("method/", Home().page),
    path("object/", Callables()),
    path("feed/", Entries()),
    path("lambda/", lambda request: HttpResponse("lambda")),
    path("made/", made("text")),
    path("in/<int:shop>/", include(nested, namespace="first")),
    path("also-in/<int:shop>/", include(nested, namespace="second")),
    re_path(r"^old/(?P<number>\d+)/$", partial(home)),
    path("renamed/", renamed),
)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/function/", f"{HERE}.home"),
        ("/class/", f"{HERE}.Home"),
        ("/decorated/", f"{HERE}.home"),
        ("/decorated-class/", f"{HERE}.Home"),
        ("/partial/7/", f"{HERE}.home partial/<int:number>/"),
        ("/method/", f"{HERE}.Home.page method/"),
        ("/object/", f"{HERE}.Callables object/"),
        ("/feed/", f"{HERE}.Entries feed/"),
        ("/lambda/", f"{HERE}.<lambda> lambda/"),
        ("/made/", f"{HERE}.made.<locals>.page made/"),
        ("/in/7/tea/", f"{HERE}.home"),
        ("/also-in/7/tea/", f"{HERE}.home"),
        (r"/old/7/", rf"{HERE}.home ^old/(?P<number>\d+)/$"),
        ("/renamed/", "Controller/shop.cart"),
    ],
)
def test_a_view_names_its_request(scout, url, name):
    with override_settings(ROOT_URLCONF=VIEWS):
        assert 200 == Client().get(url).status_code

    assert [name] == scout.operations


def test_a_view_that_fails_names_its_request(scout):
    with override_settings(ROOT_URLCONF=VIEWS):
        Client(raise_request_exception=False).get("/template/")

    assert ["Controller/django.views.generic.base.TemplateView"] == scout.operations
    assert ["django.template.exceptions.TemplateDoesNotExist"] == [e.exception for e in scout.transaction.errors]


def test_a_request_inside_a_request_is_a_span_with_a_name_of_its_own(scout):
    def outer(request: HttpRequest) -> HttpResponse:
        return HttpResponse(Client().get("/inner/").content)

    with override_settings(ROOT_URLCONF=(path("outer/", outer), path("inner/", home))):
        Client().get("/outer/")

    names = [f"{HERE}.home", f"{HERE}.test_a_request_inside_a_request_is_a_span_with_a_name_of_its_own.<locals>.outer"]
    assert names == scout.operations


class Passing:
    """Middleware that passes on another object as the request."""

    def __init__(self, get_response: Callable[..., Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        return self._get_response(type(request)(request.environ))


def test_a_request_that_middleware_has_replaced_has_a_name(scout):
    with override_settings(ROOT_URLCONF=VIEWS, MIDDLEWARE=[f"{__name__}.Passing"]):
        Client().get("/function/")

    assert [f"{HERE}.home"] == scout.operations
