"""The rules of the scored set, from scout_apm_ruby's ``scored_item_set.rb``."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core.measuring.reservoir import Kept, Reservoir


def candidate(name: str, score: float, item: str = "") -> Kept[str]:
    return Kept(name, score, {"policy": score}, item)


def kept(reservoir: Reservoir[str]) -> list[tuple[str, float, str]]:
    return [(one.name, one.score, one.item) for one in reservoir.take()]


def test_there_is_room_until_it_is_full():
    reservoir: Reservoir[str] = Reservoir(2)

    assert None is reservoir.offer(candidate("a", 1))
    assert None is reservoir.offer(candidate("b", 2))
    assert [("b", 2, ""), ("a", 1, "")] == kept(reservoir)


def test_a_full_set_lets_go_the_smallest_for_a_strictly_greater_one():
    reservoir: Reservoir[str] = Reservoir(2)
    smallest, greater = candidate("a", 1), candidate("c", 3)
    reservoir.offer(smallest)
    reservoir.offer(candidate("b", 2))

    assert smallest is reservoir.offer(greater)
    assert [("c", 3, ""), ("b", 2, "")] == kept(reservoir)


def test_a_tie_with_the_smallest_keeps_the_first():
    reservoir: Reservoir[str] = Reservoir(1)
    reservoir.offer(candidate("a", 1))
    late = candidate("b", 1)

    assert late is reservoir.offer(late)
    assert [("a", 1, "")] == kept(reservoir)


def test_of_equally_small_ones_the_first_goes():
    reservoir: Reservoir[str] = Reservoir(3)
    for name in ("a", "b", "c"):
        reservoir.offer(candidate(name, 1))

    assert "a" == reservoir.offer(candidate("d", 2)).name
    assert ["d", "b", "c"] == [one.name for one in reservoir.take()]


def test_of_one_name_only_a_strictly_greater_score_replaces():
    reservoir: Reservoir[str] = Reservoir(2)
    first, equal, greater = candidate("a", 2, "first"), candidate("a", 2, "equal"), candidate("a", 3, "greater")

    assert None is reservoir.offer(first)
    assert equal is reservoir.offer(equal)
    assert first is reservoir.offer(greater)
    assert [("a", 3, "greater")] == kept(reservoir)


def test_a_name_that_is_in_the_set_competes_with_itself_only():
    """Even in a full set, and even when it would beat the smallest."""
    reservoir: Reservoir[str] = Reservoir(2)
    reservoir.offer(candidate("a", 5))
    reservoir.offer(candidate("b", 1))
    worse = candidate("a", 4)

    assert worse is reservoir.offer(worse)
    assert [("a", 5, ""), ("b", 1, "")] == kept(reservoir)


def test_size_zero_keeps_nothing():
    reservoir: Reservoir[str] = Reservoir(0)
    one = candidate("a", 5)

    assert one is reservoir.offer(one)
    assert [] == reservoir.take()


def test_taking_empties_it():
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
def test_it_holds_the_best_names_and_the_first_best_of_each(size, offers):
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

    assert sorted(best.values(), reverse=True)[:size] == [one.score for one in held]
    assert len(held) == len({one.name for one in held})
    assert len(offers) == len(held) + refused
    for one in held:
        first = next(number for number, offer in enumerate(offers) if offer == (one.name, best[one.name]))
        assert (best[one.name], str(first)) == (one.score, one.item) or int(one.item) > first
