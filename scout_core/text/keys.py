"""Names whose value is secret: ``password``, ``X-Api-Key``, ``card[number]``, ``dbPass``, and those that the application lists."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from scout_core.tag_values import LONGEST_READABLE_KEY
from scout_core.text.listed import CAMEL, forgets_with_names, is_listed
from scout_core.text.patterns import pattern

FILTERED: Final = "[FILTERED]"
"""Replaces a value that must not leave the process."""

OAUTH: Final = frozenset(
    {"state", "iss", "scope", "session_state", "grant_type", "redirect_uri", "client_id", "code_verifier"}
)
"""
Parameters of OAuth 2.0 (RFC 6749, RFC 7636, RFC 9207) and OpenID Connect. Beside one of them, ``code`` is secret: it can be
exchanged for a token.
"""

# From scout_apm_python core/web_requests.py. Sensitive as a whole name, not within a longer one (`access_log`, `crypt_version`).
_WHOLE: Final = frozenset({"access", "certificate", "crypt", "key", "protected"})

# Anywhere in a name: Rails' and Django's lists of filtered parameters, and their usual variants. The lookarounds except the only
# harmless words that contain them: `secretary`, `tokenizer`, `obsession`, `possession`, `cookiecutter`.
_STEMS: Final = (
    r"passw|pass_?word|pass_?phrase|pass_?code|pwd|secret(?!ar)|token(?!i[sz])|credential|social_?security"
    r"|(?<!ob)(?<!pos)session|sess_?id|cookie(?!_?cutter)|[cx]srf|jwt|(?:credit|debit|bank)_?card|card_?(?:no|num|holder)"
    r"|(?:api|access|auth|secret|private|encryption|signing|ssh|master|license)_?keys?(?![a-z])"
    r"|code_?verifier|device_?code|client_?assertion|saml_?response"  # RFC 7636, RFC 8628, RFC 7523, SAML 2.0 bindings
)

# Only as a separate word, because `author`, `wildcard`, `spinner` and `assign` contain them.
_WORDS: Final = (
    r"(?<![a-z])(?:pw|creds?|o?auth[nz]?|authori[sz]ation|authentication|private|cards?|cvv|cvc|ssn|sid"
    r"|otp|totp|hmac|sig|signature|salt|bearer|pin)(?![a-z])"
)

# `stripe_key` is secret, but the value of these is a name: `cache_key`, `primary_key`.
_PLAIN_KEYS: Final = (
    *("cache", "composite", "foreign", "group", "index", "object", "order", "partition", "primary", "public"),
    *("routing", "row", "shard", "sort", "translation", "unique"),
)
# At the end of a name: `db_pass` is secret, `pass_rate` is not.
_ENDINGS: Final = (
    rf"(?<![a-z])(?:db|user|smtp)?pass[0-9]*$|{''.join(f'(?<!{word})' for word in _PLAIN_KEYS)}_key[0-9]*$"
)

_SENSITIVE: Final = pattern(f"{_STEMS}|{_WORDS}|{_ENDINGS}")

# Numbers in the answers of language models, as OpenAI and Anthropic name them: `max_tokens`, `prompt_tokens`, `token_count`.
_COUNTED: Final = pattern(
    r"(?<![a-z])(?:max|min|total|prompt|completion|input|output|cached|reasoning)(?:_new)?_tokens(?![a-z])"
    r"|(?<![a-z])tokens?_(?:count|limit|usage|used)(?![a-z])"
)

_BETWEEN_WORDS: Final = pattern(r"[^a-z0-9]+")


def is_sensitive(key: str) -> bool:
    """
    Whether the value under this name is secret.

    Words are separated by ``_ - .``, brackets, spaces and capitals; case does not matter. A name of more than a
    thousand characters counts as sensitive.

    Source: the keys of scout_apm_python ``core/web_requests.py``, and parts of names that it does not filter:
    ``db_password``, ``Authorization``, ``session``, ``cookie``.
    """
    return len(key) > LONGEST_READABLE_KEY or _is_sensitive(key)


@lru_cache(maxsize=1_024)
def _is_sensitive(key: str) -> bool:
    # Once with camel case split (`userAuth`) and once without (`pAssWord`).
    return is_listed(key) or _has_sensitive_words(CAMEL.sub("_", key)) or _has_sensitive_words(key)


def _has_sensitive_words(key: str) -> bool:
    words = _BETWEEN_WORDS.sub("_", key.lower()).strip("_")
    return words in _WHOLE or _SENSITIVE.search(_COUNTED.sub("", words)) is not None


forgets_with_names(_is_sensitive.cache_clear)
