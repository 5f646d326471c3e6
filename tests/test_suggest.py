"""Suggestions for a mistyped name."""

from __future__ import annotations

from scout_core.suggest import did_you_mean, similar

KNOWN = {"enable": 1, "disable": 2, "check": 3}


def test_the_most_similar_name_is_suggested():
    assert "disable" == similar("disabel", KNOWN)[0]
    assert ["disable"] == similar("disabel", KNOWN, count=1)
    assert "did you mean check?" == did_you_mean("chek", iter(KNOWN))


def test_an_unfamiliar_name_has_no_suggestion():
    assert ([], "") == (similar("zzz", KNOWN), did_you_mean("zzz", KNOWN))
    assert ([], "") == (similar("enable", []), did_you_mean("enable", []))


def test_the_cutoff_is_the_similarity_that_is_needed():
    assert "did you mean check?" == did_you_mean("chuck", KNOWN)
    assert "" == did_you_mean("chuck", KNOWN, cutoff=0.9)


def test_upper_and_lower_case_are_the_same():
    assert "did you mean plugins.team.b?" == did_you_mean("plugins.team.B", ["plugins.team.b"], prefix="plugins.team.")
    assert "did you mean Enable?" == did_you_mean("ENABLE", ["Enable", "disable"])
    assert ["b", "B"] == similar("b", ["b", "B", "c"])


def test_a_common_prefix_does_not_make_names_similar():
    known = ["plugins.team.colour", "plugins.team.prefix"]

    assert "did you mean plugins.team.colour?" == did_you_mean("plugins.team.foo", known)
    assert "" == did_you_mean("plugins.team.foo", known, prefix="plugins.team.")
    assert "did you mean plugins.team.prefix?" == did_you_mean("plugins.team.prefx", known, prefix="plugins.team.")
