"""Which names tell that their value is secret: ``password``, ``X-Api-Key``, ``card[number]``, ``dbPass``."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from scout_core.text.patterns import pattern

FILTERED: Final = "[FILTERED]"
"""Stands for a value that must not be told."""

_LONGEST_KEY: Final = 1_000

# Alone these say it; within a longer name (`access_log`, `crypt_version`) they do not.
_WHOLE: Final = frozenset({"access", "certificate", "crypt", "key", "protected"})

# Wherever they stand: no innocent word holds them, other than those that are excepted.
_STEMS: Final = (
    r"passw|pass_?word|pass_?phrase|pass_?code|pwd|secret(?!ar)|token(?!i[sz])|credential|social_?security"
    r"|(?<!ob)(?<!pos)session|sess_?id|cookie(?!_?cutter)|[cx]srf|jwt|(?:credit|debit|bank)_?card|card_?(?:no|num|holder)"
    r"|(?:api|access|auth|secret|private|encryption|signing|ssh|master|license)_?keys?(?![a-z])"
)

# As a word of their own: `author`, `wildcard`, `spinner` and `assign` only look like them.
_WORDS: Final = (
    r"(?<![a-z])(?:pw|creds?|o?auth[nz]?|authori[sz]ation|authentication|private|cards?|cvv|cvc|ssn|sid"
    r"|otp|totp|hmac|sig|signature|salt|bearer|pin)(?![a-z])"
)

# `db_pass` but not `pass_rate`; `stripe_key` but not these, whose value is a name and not a secret.
_PLAIN_KEYS: Final = (
    *("cache", "composite", "foreign", "group", "index", "object", "order", "partition", "primary", "public"),
    *("routing", "row", "shard", "sort", "translation", "unique"),
)
_ENDINGS: Final = (
    rf"(?<![a-z])(?:db|user|smtp)?pass[0-9]*$|{''.join(f'(?<!{word})' for word in _PLAIN_KEYS)}_key[0-9]*$"
)

_SENSITIVE: Final = pattern(f"{_STEMS}|{_WORDS}|{_ENDINGS}")

# What language models are billed for is counted in tokens.
_COUNTED: Final = pattern(
    r"(?<![a-z])(?:max|min|total|prompt|completion|input|output|cached|reasoning)(?:_new)?_tokens(?![a-z])"
    r"|(?<![a-z])tokens?_(?:count|limit|usage|used)(?![a-z])"
)

_CAMEL: Final = pattern(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BETWEEN_WORDS: Final = pattern(r"[^a-z0-9]+")


def is_sensitive(key: str) -> bool:
    """
    Whether the value under this name is secret.

    Words are told apart at ``_ - .``, brackets, spaces and capitals; case does not matter. A name of more than a
    thousand characters is taken for sensitive.

    Source: the keys of scout_apm_python ``core/web_requests.py``, and parts of names that it let through:
    ``db_password``, ``Authorization``, ``session``, ``cookie``.
    """
    return len(key) > _LONGEST_KEY or _is_sensitive(key)


@lru_cache(maxsize=1_024)
def _is_sensitive(key: str) -> bool:
    # Once with the words apart (`userAuth`) and once without (`pAssWord`).
    return _tells(_CAMEL.sub("_", key)) or _tells(key)


def _tells(key: str) -> bool:
    words = _BETWEEN_WORDS.sub("_", key.lower()).strip("_")
    return words in _WHOLE or _SENSITIVE.search(_COUNTED.sub("", words)) is not None
