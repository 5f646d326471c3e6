"""URLs and paths within longer texts, such as messages of exceptions: without query, fragment, user and secrets."""

from __future__ import annotations

import re
from typing import Final

from scout_core.text.patterns import pattern
from scout_core.text.secrets import SPACED_USER_INFO
from scout_core.text.url import UNREADABLE, clean_path, public_url

# To white space or a sign that never belongs to a URL; an apostrophe belongs to it within a word.
_REST: Final = r"(?:[^\s<>\"`'“”«»]|'(?=\w))*"
_URL: Final = pattern(rf"(?:[A-Za-z][A-Za-z0-9+.-]{{0,30}})?://{_REST}")
# `sqlite:///shop.db`, `file:///srv/shop`: no server.
_WITHOUT_HOST: Final = pattern(r"[A-Za-z][A-Za-z0-9+.-]*://(?=/[^@]*\Z)")

# `/search?q=ann`, `shop.example/token/4f2a91b7`. It begins where no longer one could have begun, so that time is linear.
_WORD: Final = r"[\w.@%+~-]|:(?!//)"
_PATH: Final = pattern(rf"(?<![\w.@%+~:-])(?:{_WORD})*/{_REST}|\?(?=[\w.%\[\]~-]{{1,100}}=){_REST}")
_BEFORE_QUERY: Final = pattern(r"(?:[^?#]|#(?![^=]{0,100}=))*")
_PUNCTUATION: Final = ",.;:!?}'"


def clean_urls(text: str) -> str:
    """
    Return a text in which every URL with a scheme is shown as ``public_url`` shows it.

    ``Not Found for url: http://h/search?q=ann`` becomes ``Not Found for url: http://h/search``.
    """
    return _URL.sub(_clean_url, SPACED_USER_INFO.sub("", text)) if "://" in text else text


def clean_paths(text: str) -> str:
    """
    Return a text in which every path, with or without a server before it, has neither a query nor a secret part.

    ``Max retries exceeded with url: /search?q=ann (…)`` becomes ``Max retries exceeded with url: /search (…)``.
    """
    return _PATH.sub(_clean_path, text) if "/" in text or "?" in text else text


def _clean_url(found: re.Match[str]) -> str:
    url, punctuation = _split_punctuation(found.group())
    without_host = _WITHOUT_HOST.match(url)
    if without_host is not None:
        path = _BEFORE_QUERY.match(url, without_host.end())
        return f"{without_host.group()}{clean_path(path.group() if path else '')}{punctuation}"
    return public_url(url) + punctuation


def _clean_path(found: re.Match[str]) -> str:
    path, punctuation = _split_punctuation(found.group())
    if path.startswith("//") and "@" in path:
        return public_url(path) + punctuation
    before = _BEFORE_QUERY.match(path)
    return (clean_path(before.group()) if before else UNREADABLE) + punctuation


def _split_punctuation(text: str) -> tuple[str, str]:
    """Split off the punctuation at the end, which belongs to the sentence; a bracket may close one within the URL."""
    closing = "".join(close for opening, close in ("()", "[]") if opening not in text)
    url = text.rstrip(_PUNCTUATION + closing)
    return url, text[len(url) :]
