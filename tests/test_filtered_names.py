"""The option ``filtered_names``: names of an application whose values are secret, besides those that every application has."""

from __future__ import annotations

import sys
from time import process_time
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import scout_core
from scout_core import span, transaction
from scout_core.testing import recording
from scout_core.text.keys import is_sensitive
from scout_core.text.listed import filter_names
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
    with recording(filtered_names="iban, Birth-Date, nickname, salary, full name, фамилия, größe") as scout:
        yield scout


@pytest.mark.parametrize(
    "key",
    [
        *("iban", "IBAN", "customer_iban", "customerIban", "customer[iban]", "x-iban", "iban.2"),
        *("ibans", "IBANs", "iban2", "iban_2", "customerIBAN", "ibanNumber", "theIBANs", "2iban"),
        *("birthDate", "birth_date", "user.birth-date.day", "BIRTH DATE", "birthdate", "BirthDate2"),
        *("фамилия", "ФАМИЛИЯ", "user_фамилия", "größe", "GRößE", "gro\u0308ße", "konto-größe"),
    ],
)
def test_words_of_a_listed_name_are_found_in_any_spelling(listed, key):
    assert is_sensitive(key)


@pytest.mark.parametrize(
    "key",
    [
        "ibanez",
        "caribana",
        "my_ibant",
        "",
        "plan",
        "birth",
        "date",
        "birth_update",
        "name",
        "id",
        "größer",
    ],
)
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


TEXTS = {
    "bad row {'salary': 70358514, 'plan': 'team'}": "'plan': 'team'",
    'bad row {"salary": {"gross": {"a": 70358514}, "net": [70358514]}, "plan": 1}': '"plan": 1',
    "row {'birth_date': datetime.date(70358514, 3, 4), 'plan': 1}": "'plan': 1",
    "C(birth_date=datetime.date(70358514, 3, 4), plan=1)": "plan=1",
    "iban=[['a'], '70358514'], plan=1": "plan=1",
    "no account iban: DE89 70358514 0044 0532": "no account",
    "full_name=Jane 70358514 is not allowed": "full_name=",
    "Full name: Jane 70358514": "Full name",
    "Birth date: 70358514-03-04 is in the future": "Birth date",
    "nickname: the 70358514": "nickname",
    "{'nickname': True, 'salary': 70358514": "nickname",
    "salary => 70358514 & plan = 1": "plan",
    "фамилия=70358514": "фамилия",
    '{"größe": "8\\"70358514"}': "größe",
    "<salary>70358514</salary>": "salary",
    "('salary', '70358514')": "salary",
    "--salary 70358514": "salary",
    "salary=(70358514": "salary",
    "salary: {'a': '}70358514'}, plan: 1": "plan: 1",
}


@pytest.mark.parametrize("text", TEXTS)
def test_the_whole_value_of_a_listed_name_is_removed_from_a_text(listed, text):
    shown = scrub(text)

    assert "70358514" not in shown
    assert TEXTS[text] in shown
    assert shown == scrub(shown)


@pytest.mark.parametrize("text", TEXTS)
def test_the_message_and_the_notes_of_an_error_have_none_of_them(listed, text):
    error = ValueError(text)
    if sys.version_info >= (3, 11):
        error.add_note(text)
    with transaction("Job/pay") as job:
        job.record_error(error)

    assert "70358514" not in repr(listed.report())


@pytest.mark.parametrize(
    "text",
    [
        "{'pin': 70358514, 'password': 70358514}",
        '{"password": {"a": {"b": 1}, "c": "70358514"}}',
        "token=[['a'], '70358514']",
    ],
)
def test_so_are_those_of_names_that_are_secret_everywhere(scout, text):
    with transaction("Job/pay") as job:
        job.tag("body", text)
        job.record_error(ValueError(text))

    assert "70358514" not in repr(scout.report())


@pytest.mark.parametrize("part", ["alice", "jane@example.com", "12345", "a b"])
def test_the_part_of_a_path_after_a_listed_name_is_removed(listed, part):
    with transaction("Controller/pay") as web:
        web.environ = {"REQUEST_METHOD": "GET", "PATH_INFO": f"/nickname/{part}", "QUERY_STRING": ""}
        with span("HTTP/GET", url=f"https://bank.example/nickname/{quote(part)}/edit"):
            pass
    report = repr(listed.report())

    assert part not in report
    assert quote(part) not in report
    assert "/nickname/[FILTERED]/edit" in report


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="salry=:'\"\\ {}[](),&;\né🙂1", max_size=60), st.text(max_size=20))
def test_any_text_is_read_and_reading_it_again_changes_nothing(before, after):
    filter_names(["salary"])
    try:
        once = scrub(f"{before} salary='70358514'{after}")
        again = scrub(once)
        assert "70358514" not in once or "70358514" in before + after
        assert once == again
    finally:
        filter_names(())


@pytest.mark.parametrize("text", ["salary.", "salary=", "salary={", "salary='", "salary: ", "(salary=("])
def test_time_grows_with_the_length_only(listed, text):
    taken = []
    for size in (2_000, 20_000):
        started = process_time()
        for _ in range(20_000 // size * 3):
            scrub(text * (size // len(text)))
        taken.append(process_time() - started)

    assert taken[1] < 5 * taken[0] + 0.1
