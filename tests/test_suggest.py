"""What is suggested for a name that somebody mistyped."""

from __future__ import annotations

from scout_core.suggest import closest, did_you_mean

KNOWN = {"enable": 1, "disable": 2, "check": 3}


def test_the_most_similar_name_is_suggested():
    assert "disable" == closest("disabel", KNOWN)
    assert "did you mean check?" == did_you_mean("chek", iter(KNOWN))


def test_a_name_like_no_other_has_no_suggestion():
    assert (None, "") == (closest("zzz", KNOWN), did_you_mean("zzz", KNOWN))
    assert (None, "") == (closest("enable", []), did_you_mean("enable", []))


def test_the_cutoff_says_how_similar_it_must_be():
    assert ("check", None) == (closest("chuck", KNOWN), closest("chuck", KNOWN, cutoff=0.9))
