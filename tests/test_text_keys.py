from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scout_core.text.keys import is_sensitive

SENSITIVE = [
    # those of Scout's Python agent
    *(
        "access",
        "access_token",
        "api_key",
        "apikey",
        "auth",
        "auth_token",
        "card[number]",
        "certificate",
        "credentials",
    ),
    *("crypt", "key", "mysql_pwd", "otp", "passwd", "password", "private", "protected", "salt", "secret", "secret_key"),
    *("ssn", "stripetoken", "token"),
    # what it lets through
    *("db_password", "Authorization", "Proxy-Authorization", "session", "sessionid", "cookie", "Set-Cookie"),
    *("PASSWORD", "pAssWord", "newPassword2", "userPwd", "dbPass", "smtp_pass", "pass", "passphrase", "pass-word"),
    *("client.secret", "X-Api-Key", "apiKeys", "stripe_key", "sshKey", "encryption_key_2", "AWS_SECRET_ACCESS_KEY"),
    *(
        "aws_access_key_id",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
        "sig",
        "csrfmiddlewaretoken",
        "_csrf",
        "XSRF-TOKEN",
    ),
    *("PHPSESSID", "JSESSIONID", "connect.sid", "oauth2", "userAuth", "jwt", "bearer", "hmac", "totp", "pin", "creds"),
    *("creditCard", "card_no", "cardNumber", "cvv", "cvc2", "social security", "user[credential]", "idToken"),
]
INNOCENT = [
    *(
        "",
        "id",
        "name",
        "path",
        "url",
        "statement",
        "dialect",
        "plan",
        "user_ip",
        "email",
        "count",
        "keys",
        "key_count",
    ),
    *(
        "monkey",
        "keyboard",
        "keyword",
        "turkey",
        "author",
        "authors",
        "authority",
        "authored_by",
        "tokenizer",
        "tokenized",
    ),
    *(
        "secretary",
        "compass_heading",
        "pass_rate",
        "passed",
        "passenger",
        "accessible",
        "access_log",
        "certificate_count",
    ),
    *("wildcard", "discarded", "cardinality", "dashboard", "postcard", "obsession", "possession", "cookiecutter"),
    *("primary_key", "foreignKey", "cache_key", "routing_key", "sort_key", "public_key", "max_tokens", "total_tokens"),
    *("token_count", "privateer", "spinner", "pinned", "saltwater", "assign", "design", "signal", "side", "inside"),
]


def test_sensitive_names():
    spellings = [
        *SENSITIVE,
        *(f"[{key}]" for key in SENSITIVE),
        *(key.upper() for key in SENSITIVE if key != "userAuth"),
    ]

    assert [] == [key for key in spellings if not is_sensitive(key)]


def test_innocent_names():
    assert [] == [key for key in (*INNOCENT, *map(str.upper, INNOCENT)) if is_sensitive(key)]


@given(st.text(max_size=20), st.sampled_from(["_", "-", ".", " ", "["]))
def test_a_password_is_found_after_any_prefix(before, sign):
    assert is_sensitive(f"{before}{sign}password")
    assert is_sensitive(f"{before}{sign}api{sign}key")


def test_a_name_that_is_too_long_to_be_read_is_sensitive():
    assert not is_sensitive("a" * 1_000)
    assert is_sensitive("a" * 1_001)
