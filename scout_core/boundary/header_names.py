"""The names of a caller's headers, which decide about those that may be added to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from scout_core.recording.trace.context import TRACEPARENT, TRACESTATE
from scout_core.text.signatures import exact_text, is_signing

_OF_TRACES: Final = frozenset({TRACEPARENT, TRACESTATE})


class HeaderNames:
    """The names of the headers that a caller has set."""

    __slots__ = ("are_unknown", "_names", "_has_texts", "_is_signed")

    def __init__(self) -> None:
        self.are_unknown = False
        """Something is not a pair, so nothing is known."""
        self._names: set[str] = set()
        self._has_texts = False
        self._is_signed = False

    def read(self, pairs: Iterable[Any]) -> None:  # Any: whatever the caller passes
        """Note further headers, up to something that is not a pair."""
        for pair in pairs:
            if not issubclass(type(pair), (list, tuple)) or len(pair) != 2:
                self.are_unknown = True
                return
            name, value = pair
            self._has_texts = self._has_texts or issubclass(type(name), str)
            found = exact_text(name).strip().lower()
            self._is_signed = self._is_signed or is_signing(found, value)
            self._names.add(found)

    def allowed(self, added: Mapping[str, str]) -> dict[Any, Any]:
        """Return those of other headers that may be added: as ``bytes`` to names that are ``bytes``, else as ``str``."""
        names = self._names
        if self._is_signed or self.are_unknown:
            return {}
        allowed = {
            name: value
            for name, value in added.items()
            if name.lower() not in names and not (name.lower() in _OF_TRACES and names & _OF_TRACES)
        }
        if names and not self._has_texts:
            return {name.encode("latin-1"): value.encode("latin-1") for name, value in allowed.items()}
        return allowed
