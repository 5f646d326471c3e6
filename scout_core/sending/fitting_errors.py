"""Groups of errors that fit into a report: their counts first, those with the most errors; examples while there is room."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve

from scout_core.measuring.error_figures import MOST_ENDPOINTS
from scout_core.measuring.report import ErrorGroupMetrics
from scout_core.operations import OTHER_NAME
from scout_core.sending.fitting_rest import fit_with_rest

Groups = tuple[ErrorGroupMetrics, ...]
SizeOf = Callable[[ErrorGroupMetrics], int]


def fit_groups(groups: Sequence[ErrorGroupMetrics], room: int, size_of: SizeOf) -> Groups:
    """Return the groups without examples; those that do not fit are counted under ``other``, the ones with the fewest errors first."""
    bare = [evolve(group, example=None) for group in groups]
    return fit_with_rest(
        bare,
        room,
        size_of,
        is_rest=lambda group: group.group == OTHER_NAME,
        weight=lambda group: group.count,
        sums_of=_sum,
    )


def _sum(groups: Sequence[ErrorGroupMetrics]) -> Groups:
    return (ErrorGroupMetrics.sum_of(groups, most=MOST_ENDPOINTS),) if groups else ()


def fit_examples(groups: Groups, given: Sequence[ErrorGroupMetrics], room: int, size_of: SizeOf) -> Groups:
    """Return the groups with those of the given examples that fit, those of the most errors first."""
    examples = {group.group: group.example for group in given if group.example is not None}
    if not examples:
        return groups
    found = {group.group: group for group in groups}
    for group in sorted(groups, key=lambda group: -group.count):
        if group.group in examples and group.group != OTHER_NAME:
            whole = evolve(group, example=examples[group.group])
            more = size_of(whole) - size_of(group)
            if more <= room:
                room -= more
                found[group.group] = whole
    return tuple(found.values())


def count_examples(groups: Sequence[ErrorGroupMetrics]) -> int:
    """Return how many of these groups have an example."""
    return sum(group.example is not None for group in groups)
