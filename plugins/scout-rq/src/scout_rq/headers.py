"""
The headers of a job: which span has created it, in a field of its own beside those of RQ.

``job.meta`` is the application's. RQ reads the fields of a job's hash by their names, so a worker without this plugin ignores the field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scout_core.instruments.jobs import message_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FIELD: Final = "scout_headers"
_HEADERS: Final = "_scout_headers"
"""Attribute of a job; absent if it was created outside a transaction."""
_TRACE: Final = "traceparent"

Arguments = tuple[Any, ...]
Named = dict[str, Any]


def headers_of(job: Any) -> Mapping[str, str] | None:  # Any: a job of any version
    """Return the headers of a job, None without any."""
    return getattr(job, _HEADERS, None)


def create(wrapped: Callable[..., Any], kind: Any, args: Arguments, kwargs: Named) -> Any:  # Any: a job
    """Create a job. Outside a transaction there is nothing to add: RQ itself stores when a job was enqueued."""
    job = wrapped(*args, **kwargs)
    headers = message_headers()
    if _TRACE in headers:
        setattr(job, _HEADERS, headers)
    return job


def write(wrapped: Callable[..., Named], job: Any, args: Arguments, kwargs: Named) -> Named:
    """Add the field to what is stored of a job."""
    fields = wrapped(*args, **kwargs)
    headers = headers_of(job)
    if headers is not None:
        fields[FIELD] = "\n".join(f"{name}:{value}" for name, value in headers.items())
    return fields


def read(wrapped: Callable[..., Any], job: Any, args: Arguments, kwargs: Named) -> Any:
    """Read a job from what is stored of it, with its headers."""
    result = wrapped(*args, **kwargs)
    fields = args[0] if args else kwargs.get("raw_data", {})
    text = fields.get(FIELD.encode()) or fields.get(FIELD)
    if text:
        lines = (text.decode(errors="replace") if isinstance(text, bytes) else text).split("\n")
        setattr(job, _HEADERS, {name: value for name, _, value in (line.partition(":") for line in lines)})
    return result


def repeat(wrapped: Callable[..., Any], kind: Any, args: Arguments, kwargs: Named) -> Any:
    """Publish a job again: a repetition begins a trace."""
    job = args[0] if args else kwargs.get("job")
    if headers_of(job):
        setattr(job, _HEADERS, {})
    return wrapped(*args, **kwargs)
