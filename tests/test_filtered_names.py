"""The option ``filtered_names``: names of an application whose values are secret, besides those that every application has."""

from __future__ import annotations

import pytest

import scout_core
from scout_core import span, transaction
from scout_core.testing import recording
from scout_core.text.keys import filter_names, is_sensitive
from scout_core.text.params import filtered_path
from scout_core.text.secrets import scrub
from scout_core.text.url import public_url

VALUE = "DE89370400440532013000"


@pytest.fixture(autouse=True)
def unlisted():
    """They hold until another agent starts, as what has been recorded may still be read."""
    filter_names(())
    yield
    filter_names(())


@pytest.fixture
def listed():
    with recording(filtered_names="iban, Birth-Date") as scout:
        yield scout


@pytest.mark.parametrize(
    "key",
    [
        *("iban", "IBAN", "customer_iban", "customerIban", "customer[iban]", "x-iban", "iban.2"),
        *("birthDate", "birth_date", "user.birth-date.day", "BIRTH DATE"),
    ],
)
def test_words_of_a_listed_name_are_found_in_any_spelling(listed, key):
    assert is_sensitive(key)


@pytest.mark.parametrize("key", ["ibanez", "caribana", "my_ib_an", "", "plan", "birth", "date", "birth_update"])
def test_other_names_are_not(listed, key):
    assert not is_sensitive(key)


def test_values_of_listed_names_leave_no_process(listed):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": f"/pay/iban/{VALUE}", "QUERY_STRING": f"iban={VALUE}&plan=team"}
    with transaction("Controller/pay") as web:
        web.environ = environ
        web.tag("customer_iban", VALUE)
        with span("HTTP/GET", url=f"https://bank.example/iban/{VALUE}"):
            pass
        web.record_error(ValueError(f"no account with iban={VALUE}, iban: {VALUE}, {{'birthDate': '{VALUE}'}}"))
    report = repr(listed.report())

    assert VALUE not in report
    assert report.count("[FILTERED]") >= 5
    assert "plan=team" in report


def test_what_was_read_with_other_names_is_forgotten():
    def shown() -> list[bool]:
        texts = (
            filtered_path("/", f"iban={VALUE}"),
            scrub(f"iban={VALUE}"),
            public_url(f"https://bank.example/iban/{VALUE}"),
        )
        return [VALUE in text for text in texts] + [not is_sensitive("iban")]

    assert [True] * 4 == shown()
    for _ in range(2):
        with recording(filtered_names=["iban"]):
            assert [False] * 4 == shown()
        with recording():
            assert [True] * 4 == shown()


def test_names_that_are_set_later_hold():
    with recording(filtered_names="iban"):
        assert (True, False) == (is_sensitive("iban"), is_sensitive("nickname"))
        scout_core.start(filtered_names="nickname")
        assert (False, True) == (is_sensitive("iban"), is_sensitive("nickname"))


def test_the_name_of_scouts_option_is_understood():
    with recording(errors_filtered_params="iban"):
        assert is_sensitive("iban")


@pytest.mark.parametrize("names", [(), "", "-, _", []])
def test_names_without_a_letter_filter_nothing(names):
    with recording(filtered_names=names):
        assert [False] * 3 == [is_sensitive(name) for name in ("plan", "", "-")]
