from __future__ import annotations

import pytest

from scout_core.boundary.headers import with_headers
from scout_core.text.signatures import is_signed, is_signing

OURS = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=ab",
        "x-amz-security-token=1",
        "page=2&X-AMZ-SIGNATURE=ab",
        "X%2DAmz%2DSignature=ab",
        "x%2damz-signature=ab",
        "%58-Amz-Signature=ab",
        "page=2;X-Amz-Signature=ab",
        "&&X-Amz-Signature",
        "%20X-Amz-Signature=ab",
        "AWSAccessKeyId=AKIA&Expires=1&Signature=x",
        "Expires=1&Signature=x&awsaccesskeyid=AKIA",
        "AWS%41ccessKeyId=AKIA&Signature=x",
        "a=b&X-Amz-Signature=1#end",
        f"a={'b' * 100_000}&X-Amz-Signature=1",
    ],
    ids=lambda query: query[:40],
)
def test_a_url_is_signed_however_its_parameters_are_written(query):
    assert is_signed(f"https://b.example/k?{query}")
    assert is_signed(f"/k?{query}")


@pytest.mark.parametrize(
    "url",
    [
        "https://b.example/X-Amz-Signature",
        "https://b.example/",
        "https://b.example/?page=2",
        "https://b.example/?name=X-Amz-Signature",
        "https://b.example/?url=https%3A//s3.example/%3FX-Amz-Signature%3D1",
        "https://b.example/?a=1#X-Amz-Signature=1",
        "https://b.example/?X-Amzn-Trace-Id=1",
        "https://b.example/?%ZZ=1",
        "",
    ],
)
def test_other_urls_are_not(url):
    assert not is_signed(url)


SIGNATURES = [
    "AWS4-HMAC-SHA256 Credential=A/20261129/eu-west-1/s3/aws4_request, Signature=0",
    "AWS4-ECDSA-P256-SHA256 Credential=A, Signature=0",
    "aws4-hmac-sha256 Credential=A",
    "  AWS4-HMAC-SHA256 Credential=A",
    "\tAWS4-HMAC-SHA256 Credential=A",
    "AWS3-HTTPS AWSAccessKeyId=A,Algorithm=HmacSHA256,Signature=0",
    "AWS AKIA:sig",
    "aws\tAKIA:sig",
]
FORMS = {
    "text": lambda value: value,
    "bytes": str.encode,
    "bytearray": lambda value: bytearray(value.encode()),
    "memoryview": lambda value: memoryview(value.encode()),
    "list": lambda value: [value],
    "list of bytes": lambda value: [b"Basic QTpi", value.encode()],
    "tuple": lambda value: (value,),
}


@pytest.mark.parametrize("value", SIGNATURES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "name", ["Authorization", "authorization", "AUTHORIZATION", " Authorization ", b"Authorization"]
)
def test_a_request_with_a_signature_stays_as_it_is(name, form, value):
    pairs = [("A", "b"), (name, FORMS[form](value))]

    assert pairs is with_headers(pairs, OURS)
    assert [*pairs] == list(with_headers(iter(pairs), OURS))
    if type(name) is str:
        given = dict(pairs)
        assert given is with_headers(given, OURS)


@pytest.mark.parametrize("name", ["X-Amz-Date", "x-amz-content-sha256", " X-AMZ-SECURITY-TOKEN", b"X-Amz-Target"])
def test_a_header_of_a_signature_means_one(name):
    pairs = [(name, "x")]

    assert pairs is with_headers(pairs, OURS)


@pytest.mark.parametrize(
    "name, value",
    [
        ("authorization", "Bearer AWS4-"),
        ("authorization", "Bearer"),
        ("authorization", "AWSOME x"),
        ("authorization", ""),
        ("authorization", None),
        ("authorization", []),
        ("authorization", [5]),
        ("x-amzn-trace-id", "Root=1-5759e988"),
        ("x-api-key", "AWS4-HMAC-SHA256"),
    ],
)
def test_another_header_is_not_a_signature(name, value):
    assert not is_signing(name, value)
