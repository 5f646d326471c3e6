"""The arguments of a task as tags by the names of its parameters, so that those with the name of a secret are filtered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import ismethod, unwrap
from typing import Any


def argument_tags(task: Any, args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, object]:
    """
    Return a tag for each argument that has a name.

    Args:
        task: of Celery; its method ``run`` is the function.
        args: those without a name, as for ``*args``, are left out: they may be secrets.
    """
    function = unwrap(task.run)
    code = getattr(function, "__code__", None)
    names = () if code is None else code.co_varnames[: code.co_argcount]
    named = {**dict(zip(names[1:] if ismethod(function) else names, args, strict=False)), **kwargs}
    return {f"argument.{name}": value for name, value in named.items()}
