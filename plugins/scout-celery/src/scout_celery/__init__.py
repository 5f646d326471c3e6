"""Tasks of Celery as transactions: ``Job/mail.send``; publishing one is a span, ``Publish/mail.send``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from scout_celery.describe import run
from scout_celery.installing import install as install
from scout_celery.lost import on_failure
from scout_celery.options import Options
from scout_celery.tracers import build_tracer, update_strategies
from scout_core import Span, hookimpl, span
from scout_core.instruments.jobs import end_child, stamped

if TYPE_CHECKING:
    from collections.abc import Callable

    from scout_core.boundary.wrap import Wrap


@hookimpl
def register_options() -> type[Options]:
    """Return the options of this plugin."""
    return Options


@hookimpl
def instrument(wrap: Wrap, options: Options) -> None:
    """Time the call that runs a task, and the one that publishes one, and put the headers of the trace into its message."""
    # A tracer is a function that Celery makes, so what is made must be changed.
    wrap.around("celery.app.trace:build_tracer", build_tracer)
    wrap.around("celery.worker.consumer.consumer:Consumer.update_strategies", update_strategies)
    wrap("scout_celery.tracers:run", partial(run, records_arguments=options.record_arguments), root=True)
    wrap("celery.worker.request:Request.on_failure", on_failure, root=True)
    wrap("celery.app.base:Celery.send_task", send_task)
    # The worker reads the headers of the message, so they must be added.
    wrap.around("kombu.messaging:Producer.publish", publish)
    # Only a child of a prefork worker calls this. It ends without exit handlers, and must send its last report before.
    wrap.around("celery.loaders.base:BaseLoader.init_worker_process", end_child)


def send_task(app: object, name: str, *args: object, **options: object) -> Span:
    """Describe the publishing of one task, with ``delay``, ``apply_async`` and others."""
    return span("".join(("Publish/", name)))


def publish(wrapped: Callable[..., Any], producer: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Publish a message with the headers of one publish, if it is that of a task."""
    if is_task(kwargs.get("headers"), args[0] if args else kwargs.get("body")):
        return wrapped(*args, **{**kwargs, "headers": stamped(kwargs["headers"])})
    return wrapped(*args, **kwargs)


def is_task(headers: object, body: object) -> bool:
    """Whether a message is that of a task: protocol 2 has its name among the headers, protocol 1 in the body."""
    return type(headers) is dict and ("task" in headers or (type(body) is dict and "task" in body and "id" in body))
