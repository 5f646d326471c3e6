"""
The call that runs a task.

Celery builds a function for each task, its *tracer*, which no module or class has by name. So every tracer is put into a function
that calls ``run`` with it, and ``run`` is what the plugin describes: when the agent stops, no tracer has to be changed back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_OURS: Final = "_scout_traced"


def build_tracer(wrapped: Callable[..., Any], instance: None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Build the tracer of a task, and let it go through ``run``."""
    return traced(_task_of(*args, **kwargs), wrapped(*args, **kwargs))


def update_strategies(wrapped: Callable[..., Any], consumer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Prepare a worker for its tasks, and let tracers that were built before the agent started go through ``run``."""
    result = wrapped(*args, **kwargs)
    for task in consumer.app.tasks.values():
        if task.__trace__ is not None and not hasattr(task.__trace__, _OURS):
            task.__trace__ = traced(task, task.__trace__)
    return result


def traced(task: Any, tracer: Any) -> Any:
    """Return what stands for a tracer, or the object itself if that does so already."""
    if hasattr(tracer, _OURS):
        return tracer

    def trace_task(uuid: Any, args: Any, kwargs: Any, request: Any = None) -> Any:
        return run(task, tracer, uuid, args, kwargs, request)

    setattr(trace_task, _OURS, True)
    return trace_task


def run(task: Any, tracer: Any, uuid: Any, args: Any, kwargs: Any, request: Any) -> Any:
    """Run a task."""
    return tracer(uuid, args, kwargs, request)


def _task_of(name: object, task: object, *args: object, **kwargs: object) -> object:
    return task
