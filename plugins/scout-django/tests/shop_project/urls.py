"""The URLs of the shop."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from shop_project import views

pages = [
    path(view.__name__ + "/", view)
    for view in (
        views.lazy, views.account, views.visits, views.anonymous, views.form, views.cached, views.stream, views.source, views.missing,
        views.forbidden, views.suspicious, views.broken, views.count, views.archive, views.archived, views.count_archived,
    )
]  # fmt: skip
urlpatterns = [
    path("", views.home),
    path("item/<int:number>/", views.item),
    path("accounts/login/", auth.LoginView.as_view(template_name="shop/form.html")),
    path("admin/", admin.site.urls),
    path("", include(pages)),
]
