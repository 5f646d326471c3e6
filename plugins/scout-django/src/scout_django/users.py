"""The name of the user of a request, if the application has asked for the user: asking for it would change the response."""

from __future__ import annotations

from typing import Any, Final

_ATTRIBUTES: Final = ("_cached_user", "_acached_user", "user")
"""Django's, once the user was asked for; and what an application, or Django REST framework, has set itself."""


def username_of(request: Any) -> Any:  # Any: of Django, which has no types
    """Return the name of the user of a request, without a call of anything; None: nobody has asked, or nobody is logged in."""
    facts = vars(request)
    for attribute in _ATTRIBUTES:
        user = facts.get(attribute)
        field = getattr(type(user), "USERNAME_FIELD", None)  # an object that is still lazy has none
        if type(field) is str:
            return vars(user).get(field)
    return None
