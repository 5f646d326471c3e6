"""The moment when Django has set up a project: only then are its settings read, and the libraries beside Django known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scout_django.consumers import instrument_consumers
from scout_django.errors import instrument_handlers
from scout_django.starting import adopt

if TYPE_CHECKING:
    from scout_core import Wrap


def instrument_projects(wrap: Wrap, *, sockets: bool) -> None:
    """Adopt the settings of the project, and record what other libraries answer."""

    def set_up(wrapped: Callable[..., None], registry: object, args: Any, kwargs: Any) -> None:
        from django.apps import apps  # type: ignore[import-untyped]  # Django has no types

        wrapped(*args, **kwargs)
        if registry is apps:  # migrations make others
            adopt()

    is_served = False

    def serve(handler: object, *args: object, **kwargs: object) -> None:
        nonlocal is_served
        adopt()
        if not is_served:  # test clients load the middleware again and again
            is_served = True
            # Here, because the versions of these libraries do not decide whether Django is recorded.
            instrument_handlers(wrap)
            instrument_consumers(wrap, sockets=sockets)

    # Not a describer: when its call is done, it would be a span, and there is no transaction.
    wrap.around("django.apps.registry:Apps.populate", set_up)
    wrap("django.core.handlers.base:BaseHandler.load_middleware", serve, root=True)
