"""The search finds the last number that is served in time, and asks for no number twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.streams.search import Search


def asked(serves: Callable[[int], bool], ceiling: int = 256) -> tuple[Search, list[int]]:
    search, numbers = Search(ceiling=ceiling), []
    while (count := search.next_count) is not None:
        numbers.append(count)
        search.record(count, passed=serves(count))
        assert len(numbers) < 50, "the search does not end"
    return search, numbers


@pytest.mark.parametrize(
    ("limit", "numbers"),
    [
        pytest.param(0, [1], id="not even one"),
        pytest.param(1, [1, 2], id="one"),
        pytest.param(2, [1, 2, 4, 3], id="two"),
        pytest.param(18, [1, 2, 4, 8, 16, 32, 24, 20, 18, 19], id="between doublings"),
    ],
)
def test_it_doubles_then_bisects(limit: int, numbers: list[int]) -> None:
    search, found = asked(lambda count: count <= limit)
    assert found == numbers
    assert search.best == limit


@given(st.integers(0, 400), st.integers(1, 300))
def test_it_finds_any_limit_up_to_the_ceiling(limit: int, ceiling: int) -> None:
    search, numbers = asked(lambda count: count <= limit, ceiling)
    assert search.best == min(limit, ceiling)
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) <= ceiling


@given(st.sets(st.integers(1, 64)))
def test_what_failed_once_bounds_the_answer(unlucky: set[int]) -> None:
    search, numbers = asked(lambda count: count not in unlucky, ceiling=64)
    assert search.best < min((count for count in numbers if count in unlucky), default=65)


def test_a_search_that_cannot_start_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot start"):
        Search(first=4, ceiling=2)


def test_numbers_given_by_hand_are_all_tried_and_count_up_to_the_first_that_failed() -> None:
    search = Search(given=(1, 4, 2))
    while (count := search.next_count) is not None:
        search.record(count, passed=count != 2)
    assert list(search.tried) == [1, 4, 2]
    assert search.best == 1
