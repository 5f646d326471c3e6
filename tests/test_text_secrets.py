from __future__ import annotations

import random
import string
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core.text.secrets import is_card_number, scrub, scrub_word
from tests.growth import growth


def made_up(alphabet, length):
    """Return random characters, the same in every run. Generated, so that secret scanners do not report this file."""
    return "".join(random.Random(length).choices(alphabet, k=length))


LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
A16, A20, A24, A32, A40, A60 = (made_up(LETTERS, length) for length in (16, 20, 24, 32, 40, 60))
H32 = made_up(HEX, 32)
UPPER16 = made_up(string.ascii_uppercase + string.digits, 16)
JWT = f"eyJ{A20}.eyJ{A40}.{A32}"

# Text around it, what must go.
SECRETS = [
    # by form
    ("Bearer {}", A32),
    ("bearer {} was refused", "mF_9.B5f-4.1JqM"),
    ("got Basic {}", "YW5uOmh1bnRlcjI="),
    ("Token {}", H32 + H32[:8]),
    ("{}", JWT),
    ("jwt={} x", JWT),
    ("id {}", f"eyJ{A40}"),
    ("{}", "AKIA" + UPPER16),
    ("used ASIA{} there", UPPER16),
    ("{}", f"ghp_{A40[:36]}"),
    ("clone {}", f"github_pat_{A24}"),
    ("{}", f"glpat-{A20}"),
    ("{}", f"xoxb-123456789012-{A24}"),
    ("{}", f"sk_live_{A24}"),
    ("{}", f"rk_test_{A24}"),
    ("{}", f"whsec_{A32}"),
    ("Incorrect API key provided: {}.", f"sk-proj-{A40}"),
    ("{}", f"hf_{A32}"),
    ("{}", f"AIza{made_up(LETTERS, 35)}"),
    ("{}", f"ya29.{A60}"),
    ("{}", f"GOCSPX-{A24}"),
    ("{}", f"SG.{A24}.{A40}"),
    ("{}", f"key-{H32}"),
    ("{}", f"SK{H32}"),
    ("/bot{}/sendMessage", f"123456789:{made_up(LETTERS, 35)}"),
    ("https://hooks.slack.com/services/{}", f"T{UPPER16[:8]}/B{UPPER16[:8]}/{A24}"),
    ("{}", f"npm_{A40[:36]}"),
    ("{}", f"pypi-AgEIcHlwaS5vcmc{A60}"),
    ("{}", f"dop_v1_{H32}{H32}"),
    ("{}", f"dapi{H32}"),
    ("{}", f"hvs.{A24}"),
    ("{}", f"shpat_{H32}"),
    ("{}", f"glsa_{A32}_{H32[:8]}"),
    ("{}", f"NRAK-{UPPER16}{UPPER16[:11]}"),
    ("{}", f"-----BEGIN RSA PRIVATE KEY-----\n{A60}\n{A40}\n-----END RSA PRIVATE KEY-----"),
    ("{}", f"-----BEGIN PRIVATE KEY-----\\n{A60}\\n{A60}"),
    ("stored {}", f"$2b$12${made_up(LETTERS, 53)}"),
    ("stored {}", f"$argon2id$v=19$m=65536,t=3,p=4${A24}${A40}"),
    ("stored {}", f"pbkdf2_sha256$600000${A20}${A40}="),
    ("card {} declined", "4111 1111 1111 1111"),
    ("card {} declined", "5555-5555-5555-4444"),
    ("card {}.", "378282246310005"),
    ("{}", "6011111111111117"),
    ("order 1234 {}", "4242 4242 4242 4242"),
    ("pan:{};", "30569309025904"),
    # by user information
    ("postgresql://{}@db:5432/shop", "ann:hunter2"),
    ("redis://{}@cache/0", ":hunter2"),
    ("amqp://{}@mq//", "ann:p%40ss:word"),
    ("failed: https://{}@example.com/a?b=c", "ann:hun/ter?2"),
    ("mysql+pymysql://{}@db/shop", "ann:p@ssw0rd"),
    # by name
    ("password={}", "hunter2"),
    ("password={}&next=/", "hunter2"),
    ("db_password = '{}', host = 'db'", "two words, a comma"),
    ("password: {}", "swordfish"),
    ("PGPASSWORD={} psql", "hunter2"),
    ("{{'password': '{}'}}", "it\\'s secret"),
    ('{{"token": "{}", "n": 1}}', 'a \\" b'),
    ('{{\\"client_secret\\": \\"{}\\"}}', "two words"),
    ("Login(user='ann', secret='{}')", "hunter2"),
    ("api_key: {}, retry", "abc-def"),
    ("API key: {}", "abcdef"),
    ("private key = {}", "abcdef"),
    ("Authorization: {}", "Digest username=ann, response=abc"),
    ("Cookie: {}", "a=b; c=d e"),
    ("Set-Cookie={}", "sid=abc; Path=/"),
    ("'authorization': '{}'", "Custom abc def"),
    ("[(b'authorization', b'{}')]", "Custom abc"),
    ("card[number]={}", "73519"),
    ("?a=1&user[password]={}&b=2", "hunter2"),
    ("Server=db;Pwd={};", "{a;b c}"),
    ("session:{}", "abc123"),
    ("credentials={}, n=1", "{'user': 'ann', 'pw': 'two words'}"),
    ("secrets: {}", "[one two, three"),
    ("mysql --user ann --password {} shop", "hunter2"),
    ("<password>{}</password>", "two words"),
    ("X-Amz-Signature={}&X-Amz-Date=1", H32),
    ("csrf_token => '{}'", "abcdef"),
    ("tokens=[{}]", "'abcdef', 'ghijkl'"),
]

INNOCENT = [
    *("", " ", "ok", "42", "-", "Template/Render", "shop/home.html", "Controller/shop.views.home", "SELECT 1"),
    "GET /orders/17?page=2&sort=name HTTP/1.1",
    "https://example.com:8443/a/b?c=d#e",
    "http://localhost:8080/@ann",
    "http://[::1]:8000/a@b",
    "mailto:ann@example.com",
    "2024-05-06T07:08:09.123456+00:00",
    "1715000000123456789",
    "+49 30 1234567",
    "192.168.100.200",
    "fe80::1ff:fe23:4567:890a",
    "550e8400-e29b-41d4-a716-446655440000",
    "507f1f77bcf86cd799439011",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "4111 1111 1111 1112",
    "12345678901234567890123456789012345678901234567890",
    "Basic authentication is required",
    "the bearer of good news",
    "token expired",
    "Unexpected token: }",
    "Token: invalid",
    "password: must be at least 8 characters",
    "password is required",
    "authentication failed for user ann",
    "session: closed",
    "cache key: user:42",
    "author=ann&monkey=1&keyboard=de",
    "tokenizer=fast max_tokens=512",
    "primary_key=id, routing_key=mail.send",
    "if token == other: pass",
    "std::token::next",
    "a <b> c </b>",
    "list index out of range",
    "unsupported operand type(s) for +: 'int' and 'str'",
    "SELECT a FROM t WHERE b = ? AND c IN (?)",
    "risk-assessment-2024-final-version.pdf",
    "scikit-learn 1.5.0, sk-learn",
    "C:\\Users\\ann\\shop\\app.py",
    "price: 10.50 EUR, total: 1,234.56",
    "--verbose --workers 4",
    "wildcard=*.example.com",
    "key_count=3 and keys=12",
    "password=None, token=null",
    "Straße 12, 東京 🙂",
]


@pytest.mark.parametrize(("around", "secret"), SECRETS)
def test_a_secret_goes_and_the_text_around_it_stays(around, secret):
    text = around.format(secret)
    shown = scrub(text)

    assert secret not in shown
    assert "[FILTERED]" in shown
    assert not any(secret[at : at + 6] in shown for at in range(len(secret) - 5))
    before, _, after = around.format("\0").partition("\0")
    assert shown.startswith(before.rstrip("0123456789 /botTASI"))
    assert shown.endswith(after)


def test_an_innocent_text_stays_as_it_is():
    assert list(INNOCENT) == [scrub(text) for text in INNOCENT]


def test_there_are_enough_of_both():
    assert len({around.format(secret) for around, secret in SECRETS}) >= 60
    assert len(set(INNOCENT)) >= 40


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Bearer abc.def.123 and", "Bearer [FILTERED] and"),
        ("password=a, token=b; user=c", "password=[FILTERED], token=[FILTERED]; user=c"),
        ("f(password='a', n=1)", "f(password='[FILTERED]', n=1)"),
        ("https://ann:x@h/?token=a&b=c", "https://[FILTERED]@h/?token=[FILTERED]&b=c"),
        ("to https://h/cb?code=4f/2a&state=xyz now", "to https://h/cb?code=[FILTERED]&state=xyz now"),
        ("sent code=4f2a&grant_type=authorization_code", "sent code=[FILTERED]&grant_type=authorization_code"),
        ("state=xyz&code=4f2a", "state=xyz&code=[FILTERED]"),
        ("code=4f2a;state=y", "code=[FILTERED];state=y"),
        ("state=y;code=4f2a", "state=y;code=[FILTERED]"),
        ("?state=y&amp;code=4f2a", "?state=y&amp;code=[FILTERED]"),
        ("<a href='/cb?code=4f2a&amp;state=y'>", "<a href='/cb?code=[FILTERED]&amp;state=y'>"),
        ("?state=y&#38;code=4f;2a", "?state=y&#38;code=[FILTERED]"),
        ("exit code=5; state=failed", "exit code=5; state=failed"),
        ("GET http://user:pa ss@h/x failed", "GET http://[FILTERED]@h/x failed"),
        ("postgres://u:a b  c d@db.local/x", "postgres://[FILTERED]@db.local/x"),
        ("redis://:a b@[::1]:6379/0", "redis://[FILTERED]@[::1]:6379/0"),
        ("http://h:8080 is down, write to bob@x.de", "http://h:8080 is down, write to bob@x.de"),
        ("http://h: write to bob@x.de", "http://h: write to bob@x.de"),
        ("http://h/x: write to bob@x.de", "http://h/x: write to bob@x.de"),
        ("exit code=4, state=failed & gone", "exit code=4, state=failed & gone"),
        ("https://h/find?code=SE&page=2", "https://h/find?code=SE&page=2"),
        ("Authorization: Bearer x\r\nHost: h", "Authorization: [FILTERED]\r\nHost: h"),
        ("1234 4111 1111 1111 1111 99", "1234 [FILTERED] 99"),
        ("[4111-1111-1111-1111]", "[[FILTERED]]"),
        ("password='never ends", "password='[FILTERED]"),
        ("password=", "password="),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
    ],
)
def test_exactly_the_secret_is_replaced(text, shown):
    assert shown == scrub(text)


PIECES = [
    *(around.replace("{}", secret) for around, secret in SECRETS),
    *INNOCENT,
    "'",
    '"',
    "\\",
    "=",
    ":",
    " ",
    "\n",
    ", ",
    "[",
    "}",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=10), max_size=8).map(" ".join))
def test_scrubbing_twice_changes_nothing(text):
    """The path of a request is: with its parameters, and as a tag."""
    once = scrub(text)

    assert scrub(once) == once


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(INNOCENT), max_size=4).map("\n".join),
    st.sampled_from(SECRETS),
    st.lists(st.sampled_from(INNOCENT), max_size=4).map("\n".join),
)
def test_a_secret_is_found_wherever_it_stands(before, pair, after):
    around, secret = pair

    assert secret not in scrub(f"{before}\n{around.format(secret)}\n{after}")


@given(
    st.text("xyzqXYZQ0123456789!$%*+-_~", min_size=8, max_size=30),
    st.sampled_from(["=", ": ", "='{}'", '": "{}"', " => "]),
)
def test_no_value_of_a_password_survives(secret, sign):
    text = f"user=ann password{sign.format(secret) if '{}' in sign else sign + secret} done"
    shown = scrub(text)

    # Signs at the end of a bare value are taken for punctuation.
    assert not any(run in shown for run in (secret[at : at + 3] for at in range(len(secret) - 2)) if run.isalnum())
    assert shown.endswith(" done")


def test_random_tokens_are_distinguished_from_names():
    rng = random.Random(7)
    url_safe = string.ascii_letters + string.digits + "-_"
    tokens = [
        "".join(rng.choices(alphabet, k=length))
        for alphabet in (url_safe, HEX)
        for length in (22, 32, 43)
        for _ in range(500)
    ]
    names = [
        *("index", "orders", "my-very-long-article-about-nothing-at-all-2024", "Screenshot-2024-05-06-at-10.11.12.png"),
        *(
            "MyVeryLongControllerName2Version",
            "jquery-3.7.1.min.js",
            "2024-05-06T07:08:09",
            "get_user_by_email_and_name",
        ),
        *(
            "12345678901234567890",
            "550e8400-e29b-41d4-a716-446655440000",
            "507f1f77bcf86cd799439011",
            "a b c 1 2 3 d 4 e 5 f 6",
        ),
    ]

    assert [name for name in names if scrub_word(name) != name] == []
    assert sum(scrub_word(token) == token for token in tokens) < 0.03 * len(tokens)


def test_a_word_that_holds_a_secret_keeps_the_rest():
    assert scrub_word("next=/a?token=abc&b=c") == "next=/a?token=[FILTERED]&b=c"


@pytest.mark.parametrize(
    ("digits", "is_valid"),
    [
        ("4111111111111111", True),
        ("4222222222222", True),
        ("5105105105105100", True),
        ("2223003122003222", True),
        ("371449635398431", True),
        ("3530111333300000", True),
        ("6200000000000005", True),
        ("4111111111111112", False),
        ("411111111111111", False),
        ("9111111111111111", False),
        ("", False),
        (uuid.UUID(int=7).hex, False),
    ],
)
def test_card_numbers_have_a_beginning_a_length_and_a_check_digit(digits, is_valid):
    assert is_card_number(digits) is is_valid


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "a",
            "a ",
            "key=",
            "key=[ ",
            "key=( ",
            "key=' ",
            "key=))) ",
            "key=\\",
            "cookie:  \t",
            "://",
            "://a:b",
            "--key ",
            "<key> ",
        ),
        *(
            "('key', ",
            "eyJ",
            "-eyJ",
            "eyJaaaaaaaaaaa.",
            "sk-a",
            "SG.aaaaaaaaaaaaaaaaaa.",
            "gla-.",
            "pbkdf2",
            "-----BEGIN ",
        ),
        *("4 ", "4111 ", "bearer a", "T000000/", "\\", "]", "aB1"),
    ],
)
def test_time_grows_with_the_length_only(unit):
    assert any(growth(scrub, unit) < 40 for _ in range(3))
