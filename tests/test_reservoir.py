"""The rules of the scored set, from scout_apm_ruby's ``scored_item_set.rb``."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core.measuring.reservoir import Kept, Reservoir


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
        is_admitted = reservoir.admits(name, score)
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
