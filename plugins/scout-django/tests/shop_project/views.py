"""The pages of the shop."""

from __future__ import annotations

from contextlib import suppress

from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import IntegrityError, transaction
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse

from shop_project.models import Item

ARCHIVED = Item.objects.using("archive")


class OutOfStock(Exception):
    """Nothing handles it."""


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/home.html", {"items": Item.objects.all(), "old": ARCHIVED.count()})


def lazy(request: HttpRequest) -> TemplateResponse:
    return TemplateResponse(request, "shop/home.html", {"items": Item.objects.all()})


def item(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(get_object_or_404(Item, pk=number).name)


@login_required
def account(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"account of {request.user}")


def visits(request: HttpRequest) -> HttpResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(f"visit {request.session['visits']}")


def anonymous(request: HttpRequest) -> HttpResponse:
    return HttpResponse("no user is asked for")


def form(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        with transaction.atomic():
            Item.objects.create(name=request.POST["name"])
        return redirect("/")
    return render(request, "shop/form.html")


def cached(request: HttpRequest) -> HttpResponse:
    return HttpResponse(cache.get_or_set("answer", "cached", 60))


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(f"{found.name}\n" for found in Item.objects.iterator())


def archived(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(f"{found.name}\n" for found in ARCHIVED.iterator(chunk_size=1))


def archive(request: HttpRequest) -> HttpResponse:
    """Copy all items, one by one: each in a savepoint."""
    copied = 0
    with transaction.atomic(using="archive"):
        for found in Item.objects.all():
            with suppress(IntegrityError), transaction.atomic(using="archive"):
                Item.objects.using("archive").create(pk=found.pk, name=found.name)
                copied += 1
    return HttpResponse(f"{copied} copied")


def source(request: HttpRequest) -> FileResponse:
    return FileResponse(open(__file__, "rb"))


def missing(request: HttpRequest) -> HttpResponse:
    raise Http404("not here")


def forbidden(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


def suspicious(request: HttpRequest) -> HttpResponse:
    raise SuspiciousOperation("strange")


def broken(request: HttpRequest) -> HttpResponse:
    raise OutOfStock


async def count_archived(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"count": await ARCHIVED.acount(), "names": [found.name async for found in ARCHIVED.all()]})


async def count(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"count": await Item.objects.acount()})
