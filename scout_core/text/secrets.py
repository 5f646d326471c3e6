"""
Secrets inside texts: known by their form (``Bearer …``, JSON Web Tokens, vendors' prefixes, card numbers) or by the name before
them (``password=…``).

Every pattern begins where no match could have begun before, or is bounded, so the time is linear in the length of the text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from scout_core.text.keys import FILTERED, is_sensitive
from scout_core.text.plain import plain

_LONGEST_CACHED: Final = 256

_PRIVATE_KEY: Final = (
    r"-----BEGIN[A-Z0-9 ]{0,40} PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END[A-Z0-9 ]{0,40} PRIVATE KEY(?: BLOCK)?-----|\Z)"
)

# Tokens that tell what they are by how they begin; none begins within a word.
_TOKENS: Final = (
    r"eyJ[\w-]{10,}(?:\.[\w-]*){1,4}|eyJ[\w-]{30,}",  # JSON Web Token
    r"(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|AROA)[A-Z0-9]{16}(?![A-Za-z0-9])",
    r"gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl[a-z]{2,6}-[\w.-]{20,}",
    r"xox[a-z]-[\w-]{10,}|xapp-[\w-]{10,}",  # Slack
    r"[prs]k_(?:live|test)_\w{10,}|whsec_[\w+/=]{16,}",  # Stripe
    r"sk-[\w-]{20,}|hf_[A-Za-z0-9]{20,}|r8_\w{20,}",  # language models
    r"AIza[\w-]{30,}|ya29\.[\w.-]{10,}|GOCSPX-[\w-]{20,}|1//[\w-]{30,}",  # Google
    r"SG\.[\w-]{16,}\.[\w-]{16,}|key-[0-9a-f]{32}|SK[0-9a-f]{32}",  # SendGrid, Mailgun, Twilio
    r"npm_\w{30,}|pypi-[\w-]{30,}|rubygems_\w{30,}|dckr_pat_[\w-]{20,}",
    r"do[opr]_v1_\w{32,}|dapi[0-9a-f]{32}|hv[bs]\.[\w-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{20,}",
    r"shp(?:at|ca|pa|ss)_\w{20,}|sq0[a-z]{3}-[\w-]{20,}|EAAA?[A-Z][A-Za-z0-9]{30,}|EAACEdEose0cBA\w+",
    r"glsa_\w{20,}|glc_[\w+/=]{20,}|NRAK-[A-Z0-9]{20,}|lin_api_\w{20,}|ntn_\w{20,}|ATATT3[\w=-]{20,}|PMAK-[\w-]{20,}",
    r"pscale_(?:tkn|pw)_[\w.-]{20,}|sbp_\w{20,}|dp\.[a-z]{2,7}\.\w{20,}|tfp_\w{20,}|CCIPAT_\w{20,}",
    r"[0-9]{8,10}:[\w-]{35}(?![\w-])",  # Telegram
    r"T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/\w{16,}",  # Slack's web hooks
)
# Hashes of passwords, as crypt, Argon2 and Django write them.
_HASHES: Final = r"\$(?:[1-7]|2[abxy]?|y|gy|argon2\w{1,2}|apr1)\$[\w./+=,$-]{16,}|(?<!\w)(?:pbkdf2|bcrypt|scrypt)\w{0,10}\$[\w./+=,$-]{16,}"
# At most 200 characters, since it may begin anew at each `://`.
_USER_INFO: Final = r"(?<=://)(?:[^\s/?#@'\"<>]*|[^\s/@:'\"<>]*:(?!\d{1,5}(?:/|\?))[^\s@'\"<>]{0,200})@"

_KNOWN: Final = re.compile(f"{_PRIVATE_KEY}|{_HASHES}|(?<![A-Za-z0-9_-])(?:{'|'.join(_TOKENS)})", re.DOTALL)
_BEFORE_HOST: Final = re.compile(_USER_INFO)

_SCHEME: Final = re.compile(
    r"(?<![\w-])(?P<scheme>bearer|basic|digest|negotiate|apikey|token)(?P<space>\s{1,4})"
    r"(?!(?:bearer|basic|digest|negotiate|apikey|token)\s)(?P<value>[\w.~+/=-]{6,})",
    re.IGNORECASE,
)

# A name of at most three words, and the sign that says a value follows.
_ASSIGNED: Final = re.compile(
    r"(?<![\w.\[\]-])(?P<name>(?:(?:api|access|auth|card|encryption|private|secret|security|session|signing) )?[\w.\[\]-]+)"
    r"(?P<sign>\\*[\"']?\]?\s{0,4}(?:=>|:=|=(?![=~])|:(?!:))\s{0,4}|\\*[\"']\s{0,4},\s{0,4}(?=[bu]?[\"']))",
    re.IGNORECASE,
)
_OPTION: Final = re.compile(r"(?<!\S)--?(?P<name>[A-Za-z][\w-]*)(?P<sign> {1,4}(?!-))(?=\S)")
_ELEMENT: Final = re.compile(r"<(?P<name>[A-Za-z_][\w:.-]*)(?P<sign>>)(?=[^<\s])")

_VALUE: Final = re.compile(
    r"(?P<quote>[bBfFrRuU]?\\*[\"'])(?:\\.|.)*?(?:(?P<end>(?P=quote))|\Z)"
)
