"""Whether a plugin supports the installed version of its library."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from scout_core.boundary.versions import Support, canonicalize_name, check_support

unhurried = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # the machine may be busy

INSTALLED = {"flask": "3.1.3", "redis": "4.1.0", "psycopg2": "2.9.9", "zope-interface": "5.4.0", "odd": "2024-custom"}


@pytest.mark.parametrize(
    ("requirements", "expected"),
    [
        ([], Support(target="")),
        (["flask<4,>=2.2"], Support(target="flask 3.1.3 (>=2.2,<4)")),
        (["Flask>=2.2"], Support(target="Flask 3.1.3 (>=2.2)")),
        (["flask"], Support(target="flask 3.1.3")),
        (["Zope.Interface>=5"], Support(target="Zope.Interface 5.4.0 (>=5)")),
        (["flask~=3.0"], Support(target="flask 3.1.3 (~=3.0)")),
        (["flask[async]>=3; python_version >= '3.8'"], Support(target="flask 3.1.3 (>=3)")),
        (
            ["redis>=4.5"],
            Support(target="redis 4.1.0 (>=4.5)", problem="redis 4.1.0 is outside >=4.5"),
        ),
        (
            ["redis!=4.1.0,<5,>=4"],
            Support(target="redis 4.1.0 (>=4,!=4.1.0,<5)", problem="redis 4.1.0 is outside >=4,!=4.1.0,<5"),
        ),
        (["celery>=5.2,<6"], Support(target="celery (>=5.2,<6)", absent=True)),
        (["celery"], Support(target="celery", absent=True)),
        (["psycopg>=3", "psycopg2>=2.8"], Support(target="psycopg2 2.9.9 (>=2.8)")),
        (
            ["flask>=2", "redis>=4.5"],
            Support(target="flask 3.1.3 (>=2), redis 4.1.0 (>=4.5)", problem="redis 4.1.0 is outside >=4.5"),
        ),
        (["celery", "kombu>=5"], Support(target="celery, kombu (>=5)", absent=True)),
        (["odd>=3"], Support(target="odd 2024-custom (>=3)")),
        ([f'celery; python_version < "3.{sys.version_info.minor}" and extra == "instruments"'], Support(target="")),
        (
            [f'flask; python_version >= "3.{sys.version_info.minor}" and extra == "instruments"'],
            Support(target="flask 3.1.3"),
        ),
    ],
)
def test_supported_and_unsupported_versions(requirements, expected):
    assert expected == check_support(requirements, INSTALLED)


@pytest.mark.parametrize(
    "text", ["", "flask >= = 2", "==2", "flask; nonsense == 'x'", "flask; 'a' ~= 'b'", "flask @", "flask>=2 extra"]
)
def test_an_invalid_requirement_is_a_problem(text):
    expected = f"its metadata has an invalid requirement: {text!r}"

    assert expected == check_support([text], INSTALLED).problem


def test_a_version_before_the_release_counts():
    assert check_support(["flask>=3"], {"flask": "3.1.0rc1"}).problem is None
    assert check_support(["flask>=3"], {"flask": "3.0.0.dev4+local"}).problem is not None


@unhurried
@given(st.text(max_size=30), st.text(max_size=10))
def test_no_requirement_raises(requirement, version):
    support = check_support([requirement, "flask>=2"], {"flask": version, canonicalize_name(requirement): version})

    assert isinstance(support.target, str)


NUMBERS = st.lists(st.sampled_from(["0", "1", "2", "10", "00", "01"]), min_size=1, max_size=4).map(".".join)
BOUNDS = st.tuples(
    st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "~="]),
    st.sampled_from(["", " "]),
    NUMBERS,
    st.sampled_from(["", ".*"]),
).map("".join)
REQUIREMENTS = st.tuples(
    st.sampled_from(["flask {}", "flask{}", "Flask ({})"]), st.lists(BOUNDS, min_size=1, max_size=3)
).map(lambda parts: parts[0].format(",".join(parts[1])))
VERSIONS = st.tuples(NUMBERS, st.sampled_from(["", "", "", "rc1", ".post1", ".dev2", "+local"])).map("".join)


@settings(unhurried, max_examples=400)
@given(requirement=REQUIREMENTS, version=VERSIONS)
def test_simple_ranges_are_compared_as_packaging_compares_them(requirement, version):
    try:
        expected = Requirement(requirement).specifier.contains(version, prereleases=True)
    except ValueError:
        expected = False

    assert expected == (check_support([requirement], {"flask": version}).problem is None)


def test_simple_ranges_do_not_import_packaging():
    code = (
        "import sys; from scout_core.boundary.versions import check_support as check\n"
        "support = check(['flask<4,>=2.2', 'Zope.Interface (>=5.0, !=5.1)', 'redis'], {'flask': '1.9', 'redis': '7.0rc1'})\n"
        "print(support.problem, 'packaging' in sys.modules); check(['flask~=2.0'], {'flask': '3.0'}); print('packaging' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "flask 1.9 is outside >=2.2,<4 False\nTrue\n" == done.stdout


@pytest.mark.parametrize("name", ["Zope.Interface", "zope_interface", "ZOPE-INTERFACE", "zope-._interface"])
def test_names_are_compared_as_pip_compares_them(name):
    assert "zope-interface" == canonicalize_name(name)
