"""
Secrets in texts: recognised by their form (``Bearer …``, JSON Web Tokens, vendors' prefixes, card numbers) or by the name before
them (``password=…``).

Every pattern is bounded, or begins where no earlier match could have begun, so the time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from scout_core.text.brackets import OPEN, end_of_brackets
from scout_core.text.keys import FILTERED, OAUTH, is_sensitive
from scout_core.text.listed import forgets_with_names, without_listed
from scout_core.text.patterns import pattern
from scout_core.text.plain import plain

_LONGEST_CACHED: Final = 256

# RFC 7468; "PRIVATE KEY BLOCK" is OpenPGP (RFC 9580, 6.2). A block that is never closed reaches to the end.
_PEM: Final = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_PRIVATE_KEY: Final = rf"-----BEGIN {_PEM}.*?(?:-----END {_PEM}|\Z)"

# Password hashes of crypt(5), Argon2 (its reference implementation) and Django ("Password management").
_CRYPT: Final = (
    r"(?:\$(?:[1-7]|2[abxy]?|g?y|apr1|argon2\w{1,2})|(?<!\w)(?:pbkdf2|bcrypt|scrypt)\w{0,10})\$[\w./+=,$-]{16,}"
)

# Tokens with a prefix that identifies them. Source, unless noted: the vendor's documentation of its token format.
_TOKENS: Final = (
    r"eyJ[\w-]{10,}(?:\.[\w-]*){1,4}|eyJ[\w-]{30,}",  # JSON Web Tokens: RFC 7515, 7516; the beginning is '{"' in base64
    r"(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|AROA)[A-Z0-9]{16}(?![A-Za-z0-9])",  # AWS: IAM unique identifiers
    r"gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl[a-z]{2,6}-[\w.-]{20,}",  # GitHub, GitLab
    r"xox[a-z]-[\w-]{10,}|xapp-[\w-]{10,}|T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/\w{16,}",  # Slack: tokens, incoming webhooks
    r"[prs]k_(?:live|test)_\w{10,}|whsec_[\w+/=]{16,}",  # Stripe
    r"sk-(?=[A-Za-z_-]*[0-9])[\w-]{20,}|hf_[A-Za-z0-9]{20,}|r8_\w{20,}",  # OpenAI and Anthropic, Hugging Face, Replicate
    r"AIza[\w-]{30,}|ya29\.[\w.-]{10,}|GOCSPX-[\w-]{20,}|1//[\w-]{30,}",  # Google: API keys, OAuth
    # SendGrid, Mailgun, Twilio, Telegram bots
    r"SG\.[\w-]{16,}\.[\w-]{16,}|key-[0-9a-f]{32}|SK[0-9a-f]{32}|(?:bot)?[0-9]{8,10}:[\w-]{35}(?![\w-])",
    r"npm_\w{30,}|pypi-[\w-]{30,}|rubygems_\w{30,}|dckr_pat_[\w-]{20,}",  # package registries, Docker Hub
    r"do[opr]_v1_\w{32,}|dapi[0-9a-f]{32}|hv[bs]\.[\w-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{20,}",  # DigitalOcean, Databricks, Vault, age
    r"shp(?:at|ca|pa|ss)_\w{20,}|sq0[a-z]{3}-[\w-]{20,}|EAA[A-Za-z0-9]{30,}",  # Shopify, Square, Facebook
    # Grafana, New Relic, Linear, Notion, Atlassian, Postman
    r"glsa_\w{20,}|glc_[\w+/=]{20,}|NRAK-[A-Z0-9]{20,}|lin_api_\w{20,}|ntn_\w{20,}|ATATT3[\w=-]{20,}|PMAK-[\w-]{20,}",
    # PlanetScale, Supabase, Doppler, Typeform, CircleCI
    r"pscale_(?:tkn|pw)_[\w.-]{20,}|sbp_\w{20,}|dp\.[a-z]{2,7}\.\w{20,}|tfp_\w{20,}|CCIPAT_\w{20,}",
)
_BY_FORM: Final = pattern(rf"{_PRIVATE_KEY}|{_CRYPT}|(?<![A-Za-z0-9_-])(?:{'|'.join(_TOKENS)})", re.DOTALL | re.ASCII)

SPACED_USER_INFO: Final = pattern(
    r"""
    (?<=://) [^\s/@:'"<>]{0,200} : (?!\d{1,5}(?:[/?\s]))   # not a port
    [^\s@'"<>]{1,200} (?:[ ]{1,3}[^\s@'"<>]{1,100}){1,5} @ (?=[\w\[])
    """,
    re.VERBOSE,
)
"""``user:pass word@`` of a URL whose password was not quoted: up to six words."""

# RFC 3986, 3.2.1: `user:password@`, also with a raw `/` in the password. Bounded, because it may begin at each `://`.
_USER_INFO: Final = pattern(
    r"""
    (?<=://) (?!\[)                                    # not an IPv6 address
    (?:
        [^\s/?#'"<>]*
      | [^\s/@:'"<>]* : (?!\d{1,5}(?:/|\?))            # not a port
        [^\s@'"<>]{0,200}
    ) @
    """,
    re.VERBOSE,
)

# HTTP authentication schemes (the registry of RFC 9110, 11.1), and the unregistered `apikey` and `token`.
_SCHEMES: Final = "bearer|basic|digest|negotiate|apikey|token"
_CREDENTIALS: Final = pattern(
    rf"(?<![\w-])(?P<scheme>{_SCHEMES})(?P<space>\s{{1,4}})(?!(?:{_SCHEMES})\s)(?P<value>[\w.~+/=-]{{6,}})",
    re.IGNORECASE,
)

# Names that a value follows; each pattern ends where the value begins.
# `password=…`, `"api_key": "…"`, `card[number] => …`, `api key: …`: query strings, JSON, repr(), Ruby, prose.
_ASSIGNED: Final = pattern(
    r"""
    (?<![\w.\[\]-])
    (?P<name>
      (?: (?:api|access|auth|card|encryption|private|secret|security|session|signing) [ ] )?
      [\w.\[\]-]+
    )
    \\* ["']? \]?  \s{0,4}
    (?: => | := | = (?!=\s) | : (?!:) )  \s{0,4}      # not a comparison, not `::`
    """,
    re.IGNORECASE | re.VERBOSE,
)
# `code=…&state=…`: a code of OAuth among parameters; elsewhere a code is a status, or a country's.
_OAUTH: Final = pattern(rf"(?<![\w-])(?:{'|'.join(sorted(OAUTH))})=", re.IGNORECASE)
# The separator may be `;`, or `&amp;` in HTML.
_CODE: Final = pattern(
    r"((?<=[?&;])code=|(?<![\w-])code=(?=[^&;\s]{1,500}(?:&|;\w)))(?:[^&;\s\"'<>]|;(?![\w.-]{1,50}=))+", re.IGNORECASE
)
# `('password', '…')`, `[b'Authorization', b'…']`: headers and parameters as Python prints them.
_PAIRED: Final = pattern(r"(?:(?<=[(\[][\"'])|(?<=[(\[]b[\"']))(?P<name>[\w.\[\]-]+)[\"'],\s{0,4}(?=[bu]?[\"'])")
# `--password …`: options of commands.
_OPTION: Final = pattern(r"(?<!\S)--?(?P<name>[A-Za-z][\w-]*) {1,4}(?=[^\s-])")
# `<password>…`: XML, SOAP.
_ELEMENT: Final = pattern(r"<(?P<name>[A-Za-z_][\w:.-]*)>")

# The value; the group that matches last is removed. A text in brackets is removed as a whole, to the end of the text when they
# are never closed; punctuation at the end stays. Quotes: Python's and JSON's, with their escapes.
_BARE: Final = r"[^\s&]*[^\s&\"'),.;\]}]"
_VALUE: Final = pattern(
    r"[bBfFrRuU]{0,2}(?P<quote>\\*[\"'])(?P<quoted>(?:\\.|.)*?)(?:(?P=quote)|\Z)"
    rf"|(?P<bare>\[FILTERED\]|(?:\[[^\]]*\]?|\{{[^}}]*\}}?|\([^)]*\)?)(?:{_BARE})?|{_BARE})",
    re.DOTALL,
)
# The rest of a header's line, and the content of an XML element.
_LINE: Final = pattern(r"(?P<line>[^\r\n]*[^\s])")
_CONTENT: Final = pattern(r"(?P<content>[^<]*[^<\s])")

# The only names that count before a colon and a space: `session: closed` is prose, `password: swordfish` is not.
_EVEN_IN_PROSE: Final = pattern(
    r"passw|pass.?(?:phrase|code)|pwd|secret|token|(?:api|access|private).?key|credential|authori[sz]ation|cookie|cvv|cvc|ssn|otp",
    re.IGNORECASE,
)
# Headers whose value may contain spaces (RFC 9110, 11.6; RFC 6265).
_HEADER: Final = pattern(r"(?:proxy-)?authorization|(?:set-)?cookie", re.IGNORECASE)
_NOTHING: Final = frozenset({"false", "nil", "none", "null", "true", "undefined"})
_PROSE: Final = _NOTHING | {
    *("a", "an", "and", "cannot", "could", "denied", "disabled", "does", "empty", "enabled", "end", "eof", "expected"),
    *("expired", "failed", "has", "incorrect", "invalid", "is", "missing", "must", "no", "not", "ok", "or", "required"),
    *("should", "the", "too", "unexpected", "unknown", "was", "wrong"),
}

# 12 to 19 digits, in groups as they are printed on cards.
_CARD_DIGITS: Final = pattern(r"(?<![0-9])(?=([2-6][0-9](?:[ .-]?[0-9]){11,17}))")
_NO_DIGIT: Final = pattern("[^0-9]")
_DOUBLED: Final = str.maketrans("0123456789", "0246813579")
"""Each digit to the sum of the digits of its double (Luhn, ISO/IEC 7812-1, annex B)."""
# Issuer identification numbers (ISO/IEC 7812), the ranges that the issuers publish.
_CARD: Final = pattern(
    r"""
      4[0-9]{12} (?:[0-9]{3}){0,2}                                                      # Visa
    | 5[1-5][0-9]{14} | 2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}  # Mastercard
    | 3[47][0-9]{13}                                                                    # American Express
    | 3(?:0[0-5]|[689][0-9])[0-9]{11}                                                   # Diners Club
    | 35(?:2[89]|[3-8][0-9])[0-9]{12}                                                   # JCB
    | 6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12}                                           # Discover
    | 62[0-9]{14,17}                                                                    # UnionPay
    | (?:50(?:18|20|38)|6304|6759|676[1-3])[0-9]{8,15}                                  # Maestro
    """,
    re.VERBOSE,
)

# A change between letters and digits, or from lower to upper case; see looks_random().
_LETTERS_CHANGE: Final = pattern(r"[a-z](?=[A-Z0-9])|[A-Z](?=[0-9])|[0-9](?=[A-Za-z])")
# A MongoDB ObjectId, a UUID (RFC 9562).
_ID: Final = pattern(r"[0-9a-f]{24}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def scrub(text: str) -> str:
    """
    Return the text with ``[FILTERED]`` for each secret; an exact ``str`` without lone surrogates.

    Text that cannot be distinguished from a secret is replaced, too.
    """
    text = plain(text)
    return _cached(text) if len(text) <= _LONGEST_CACHED else _scrub(text)


def scrub_word(word: str) -> str:
    """The same for a single word, such as a part of a path, which is replaced as a whole when it looks like a random token."""
    scrubbed = scrub(word)
    if scrubbed == word and looks_random(word) and not _ID.fullmatch(word):
        return FILTERED
    return scrubbed


def looks_random(word: str) -> bool:
    """
    Whether it has 20 characters or more and is not a name. Ids (UUID, MongoDB) look random, too.

    Names change between letters and digits, or from lower to upper case, about once in six characters; random
    tokens more than twice as often. 1 in 40 of these is not recognised, mostly short ones.
    """
    if len(word) < 20 or " " in word or not word.isprintable():
        return False
    return _ID.fullmatch(word) is not None or len(_LETTERS_CHANGE.findall(word)) >= len(word) * 0.22


def is_card_number(digits: str) -> bool:
    """Whether the digits have the prefix, the length and the check digit of a payment card's number."""
    if _CARD.fullmatch(digits) is None:
        return False
    return (sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))) % 10 == 0


def _scrub(text: str) -> str:
    text = without_listed(_BY_FORM.sub(FILTERED, text), FILTERED)
    if "://" in text:
        text = SPACED_USER_INFO.sub(f"{FILTERED}@", _USER_INFO.sub(f"{FILTERED}@", text))
    if "=" in text or ":" in text:
        text = _without_values(text, _ASSIGNED, _VALUE)
    if ("&" in text or ";" in text) and _OAUTH.search(text):
        text = _CODE.sub(rf"\1{FILTERED}", text)
    if "<" in text:
        text = _without_values(text, _ELEMENT, _CONTENT)
    if "-" in text:
        text = _without_values(text, _OPTION, _VALUE)
    if "," in text:
        text = _without_values(text, _PAIRED, _VALUE)
    text = _CREDENTIALS.sub(_without_credentials, text)
    return _replaced(text, _card_numbers(text))


_cached: Final = lru_cache(maxsize=1_024)(_scrub)
forgets_with_names(_cached.cache_clear)


def _without_values(text: str, names: re.Pattern[str], values: re.Pattern[str]) -> str:
    return _replaced(text, _secret_values(text, names, values))


def _secret_values(text: str, names: re.Pattern[str], values: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Yield the start and end of the values of sensitive names."""
    done = 0
    for found in names.finditer(text):
        if found.start() < done or not is_sensitive(found["name"]):
            continue
        value = values.match(text, found.end())
        if value is not None and value.lastgroup == "bare" and _HEADER.fullmatch(found["name"]):
            value = _LINE.match(text, found.end())
        if value is None or value.lastgroup is None or not _is_secret(value[value.lastgroup], found):
            continue
        start, done = value.span(value.lastgroup)
        if value.lastgroup == "bare" and text[start] in OPEN and text[start:done] != FILTERED:
            done = end_of_brackets(text, start)
        if start < done:
            yield start, done


def _is_secret(value: str, name: re.Match[str]) -> bool:
    """Whether the text after a sensitive name is its value, not prose or a null value."""
    sign = name.string[name.end("name") : name.end()]
    if sign[0] == ":" and sign[1:].isspace():
        return _EVEN_IN_PROSE.search(name["name"]) is not None and value.lower() not in _PROSE
    return value.lower() not in _NOTHING


def _without_credentials(found: re.Match[str]) -> str:
    value = found["value"]
    is_random = (
        any(map(str.isdigit, value)) or value.endswith("=") or len(value) >= 24 or re.search("[a-z][A-Z]", value)
    )
    if found["scheme"].lower() not in ("bearer", "basic"):
        is_random = looks_random(value)
    return f"{found['scheme']}{found['space']}{FILTERED}" if is_random else found[0]


def _card_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of payment cards' numbers."""
    done = 0
    for found in _CARD_DIGITS.finditer(text):
        start = found.start()
        if start < done:
            continue
        digits = _NO_DIGIT.sub("", found[1])
        for length in range(len(digits), 12, -1):
            if is_card_number(digits[:length]):
                end = start + [place for place, sign in enumerate(found[1], 1) if sign.isdigit()][length - 1]
                if not text[end : end + 1].isdigit():
                    yield start, end
                    done = end
                    break


def _replaced(text: str, spans: Iterator[tuple[int, int]]) -> str:
    parts: list[str] = []
    done = 0
    for start, end in spans:
        parts += (text[done:start], FILTERED)
        done = end
    return "".join((*parts, text[done:])) if parts else text
