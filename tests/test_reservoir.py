"""The rules of the scored set: by name as in scout_apm_ruby's ``scored_item_set.rb``, and the places that groups of plugins have."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core.measuring.groups import BY_NAME, Group, reserved_places
from scout_core.measuring.reservoir import MOST_LEFT_OUT, Kept, Reservoir


def candidate(name: str, score: float, item: str = "") -> Kept[str]:
    return Kept(name, score, {"policy": score}, item)


def kept(reservoir: Reservoir[str]) -> list[tuple[str, float, str]]:
    return [(entry.name, entry.score, entry.item) for entry in reservoir.take()]


def test_items_are_added_until_the_set_is_full():
    reservoir: Reservoir[str] = Reservoir(2)

    assert None is reservoir.offer(candidate("a", 1))
    assert None is reservoir.offer(candidate("b", 2))
    assert [("b", 2, ""), ("a", 1, "")] == kept(reservoir)


def test_a_strictly_greater_score_replaces_the_smallest_in_a_full_set():
    reservoir: Reservoir[str] = Reservoir(2)
    smallest, greater = candidate("a", 1), candidate("c", 3)
    reservoir.offer(smallest)
    reservoir.offer(candidate("b", 2))

    assert smallest is reservoir.offer(greater)
    assert [("c", 3, ""), ("b", 2, "")] == kept(reservoir)


def test_a_score_equal_to_the_smallest_replaces_nothing():
    reservoir: Reservoir[str] = Reservoir(1)
    reservoir.offer(candidate("a", 1))
    late = candidate("b", 1)

    assert late is reservoir.offer(late)
    assert [("a", 1, "")] == kept(reservoir)


def test_the_first_of_equally_small_scores_is_replaced():
    reservoir: Reservoir[str] = Reservoir(3)
    for name in ("a", "b", "c"):
        reservoir.offer(candidate(name, 1))

    assert "a" == reservoir.offer(candidate("d", 2)).name
    assert ["d", "b", "c"] == [entry.name for entry in reservoir.take()]


def test_only_a_strictly_greater_score_of_the_same_name_replaces_it():
    reservoir: Reservoir[str] = Reservoir(2)
    first, equal, greater = candidate("a", 2, "first"), candidate("a", 2, "equal"), candidate("a", 3, "greater")

    assert None is reservoir.offer(first)
    assert equal is reservoir.offer(equal)
    assert first is reservoir.offer(greater)
    assert [("a", 3, "greater")] == kept(reservoir)


def test_a_name_in_the_set_only_competes_with_itself():
    """Even in a full set, and even with a score above the smallest."""
    reservoir: Reservoir[str] = Reservoir(2)
    reservoir.offer(candidate("a", 5))
    reservoir.offer(candidate("b", 1))
    worse = candidate("a", 4)

    assert worse is reservoir.offer(worse)
    assert [("a", 5, ""), ("b", 1, "")] == kept(reservoir)


def test_a_set_of_size_zero_keeps_nothing():
    reservoir: Reservoir[str] = Reservoir(0)
    offered = candidate("a", 5)

    assert offered is reservoir.offer(offered)
    assert [] == reservoir.take()


def test_take_empties_the_set():
    reservoir: Reservoir[str] = Reservoir(1)
    reservoir.offer(candidate("a", 1))

    assert [("a", 1, "")] == kept(reservoir)
    assert [] == reservoir.take()
    assert None is reservoir.offer(candidate("b", 0))


@settings(deadline=None)
@given(
    st.integers(min_value=1, max_value=4),
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(min_value=-3, max_value=5)), max_size=40),
)
def test_the_set_has_the_names_with_the_best_scores(size, offers):
    reservoir: Reservoir[str] = Reservoir(size)
    refused = 0
    for number, (name, score) in enumerate(offers):
        is_admitted = reservoir.admits(Group(name), score)
        offered = Kept(name, score, {}, str(number))
        replaced = reservoir.offer(offered)
        assert is_admitted is (replaced is not offered)
        refused += replaced is not None

    best = {name: max(score for other, score in offers if other == name) for name, _ in offers}
    held = reservoir.take()

    assert sorted(best.values(), reverse=True)[:size] == [entry.score for entry in held]
    assert len(held) == len({entry.name for entry in held})
    assert len(offers) == len(held) + refused
    for entry in held:
        first = next(number for number, offer in enumerate(offers) if offer == (entry.name, best[entry.name]))
        assert (best[entry.name], str(first)) == (entry.score, entry.item) or int(entry.item) > first


def grouped(group: Group, score: float, item: str = "") -> Kept[str]:
    return Kept("Controller/home", score, {}, item, {}, group)


def texts(reservoir: Reservoir[str]) -> list[str]:
    return [entry.group.text for entry in reservoir.take()]


def test_groups_of_two_plugins_and_names_are_different_though_they_are_called_the_same():
    reservoir: Reservoir[str] = Reservoir(5)
    for plugin in (BY_NAME, "a", "b", "a"):
        reservoir.offer(grouped(Group("Controller/home", plugin), 1))

    assert [BY_NAME, "a", "b"] == [entry.group.plugin for entry in reservoir.take()]


def test_many_good_ones_of_one_plugin_leave_the_others_their_places():
    reservoir: Reservoir[str] = Reservoir(10, {BY_NAME: 5, "errors": 5})
    for number in range(100):
        reservoir.offer(grouped(Group(f"slow {number}"), 1 + number / 100))
    for number in range(100):
        reservoir.offer(grouped(Group(f"error {number}", "errors"), 5 + number / 100))

    assert [
        *(f"error {number}" for number in range(99, 94, -1)),
        *(f"slow {number}" for number in range(99, 94, -1)),
    ] == texts(reservoir)


def test_many_good_ones_that_come_later_leave_the_others_their_places():
    reservoir: Reservoir[str] = Reservoir(10, {BY_NAME: 5, "errors": 5})
    for number in range(100):
        reservoir.offer(grouped(Group(f"error {number}", "errors"), 1 + number / 100))
    for number in range(100):
        reservoir.offer(grouped(Group(f"slow {number}"), 5 + number / 100))

    assert 5 == sum(text.startswith("error") for text in texts(reservoir))


def test_a_place_that_is_not_needed_is_lent_and_given_back():
    reservoir: Reservoir[str] = Reservoir(4, {BY_NAME: 2, "errors": 2})
    for number in range(6):
        reservoir.offer(grouped(Group(f"slow {number}"), 5 + number))
    late = grouped(Group("error", "errors"), 0)

    assert "slow 2" == reservoir.offer(late).group.text
    assert ["slow 5", "slow 4", "slow 3", "error"] == texts(reservoir)


def test_places_that_nobody_has_a_right_to_are_won_by_score():
    reservoir: Reservoir[str] = Reservoir(1, reserved_places(1, ["errors"], {}))
    reservoir.offer(grouped(Group("slow"), 1))
    reservoir.offer(grouped(Group("error", "errors"), 2))

    assert ["error"] == texts(reservoir)


def test_places_can_be_reserved_in_another_way_within_a_period():
    reservoir: Reservoir[str] = Reservoir(2, {BY_NAME: 2})
    for number in range(2):
        reservoir.offer(grouped(Group(f"slow {number}"), 5 + number))
    refused = grouped(Group("error", "errors"), 9)
    assert refused is reservoir.offer(refused)

    reservoir.reserve(2, {BY_NAME: 1, "errors": 1})
    assert "slow 0" == reservoir.offer(refused).group.text
    reservoir.reserve(1, {})
    better = grouped(Group("slow 2"), 10)

    assert "slow 1" == reservoir.offer(better).group.text
    assert ["slow 2", "error"] == texts(reservoir), "who has a place keeps it in this period"


def test_the_groups_without_a_place_are_counted_once():
    reservoir: Reservoir[str] = Reservoir(2)
    for score in (1, 3, 2):
        for number in range(5):
            reservoir.offer(grouped(Group(f"{number}"), score))
    left_out = reservoir.left_out
    reservoir.take()

    assert (3, 0) == (left_out, reservoir.left_out)


def test_the_count_of_groups_without_a_place_is_bounded():
    reservoir: Reservoir[str] = Reservoir(1)
    for number in range(MOST_LEFT_OUT * 3):
        reservoir.offer(grouped(Group(f"{number}"), 0))

    assert (MOST_LEFT_OUT, ["0"]) == (reservoir.left_out, texts(reservoir))


@settings(deadline=None)
@given(
    st.integers(min_value=0, max_value=6),
    st.dictionaries(st.sampled_from(["", "a", "b"]), st.integers(min_value=0, max_value=2)),
    st.lists(
        st.tuples(st.sampled_from(["", "a", "b", "c"]), st.sampled_from("uvwxyz"), st.integers(-9, 99)),
        max_size=40,
        unique_by=lambda offer: offer[2],
    ),
)
def test_the_set_has_what_a_choice_among_all_candidates_at_once_would_have(size, reserved, offers):
    """Whatever their order: of each plugin the best in its places, then the best of the rest."""
    if sum(reserved.values()) > size:
        reserved = {}
    reservoir: Reservoir[str] = Reservoir(size, reserved)
    best: dict[Group, float] = {}
    for plugin, text, score in offers:
        group = Group(text, plugin)
        reservoir.offer(grouped(group, score))
        best[group] = max(score, best.get(group, score))

    ranked = sorted(best, key=lambda group: -best[group])
    expected = []
    for plugin in ("", "a", "b", "c"):
        expected += [group for group in ranked if group.plugin == plugin][: reserved.get(plugin, 0)]
    expected += [group for group in ranked if group not in expected][: size - len(expected)]
    left_out = reservoir.left_out

    assert {group: best[group] for group in expected} == {kept.group: kept.score for kept in reservoir.take()}
    assert left_out == len(best) - len(expected)


@pytest.mark.parametrize(
    ("size", "plugins", "shares", "places"),
    [
        (10, [], {}, {"": 10}),
        (10, ["a"], {}, {"": 5, "a": 5}),
        (10, ["a", "b"], {}, {"": 3, "a": 3, "b": 3}),
        (10, ["a"], {"a": 0.3}, {"": 7, "a": 3}),
        (10, ["a", "b"], {"a": 0.3}, {"": 3, "a": 3, "b": 3}),
        (10, ["a", "b"], {"a": 0.5, "b": 0.25}, {"": 2, "a": 5, "b": 2}),
        (100, ["a"], {"a": 0.29}, {"": 71, "a": 29}),
        (10, ["a"], {"a": 1.0}, {"": 0, "a": 10}),
        (10, ["a"], {"a": 0.0}, {"": 10, "a": 0}),
        (10, ["a", "b"], {"a": 1.0, "b": 1.0}, {"": 0, "a": 5, "b": 5}),
        (10, ["a"], {"gone": 1.0}, {"": 5, "a": 5}),
        (1, ["a"], {}, {"": 0, "a": 0}),
        (0, ["a"], {}, {"": 0, "a": 0}),
    ],
)
def test_places_are_reserved_in_equal_parts_unless_a_share_is_set(size, plugins, shares, places):
    assert places == reserved_places(size, plugins, shares)
    assert sum(places.values()) <= size
