"""The quantile sketch: right within 1 %, the same in every order, bounded."""

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tables.sketch import ACCURACY, BUCKETS, Sketch, bucket_of

speeds = st.one_of(st.just(0.0), st.floats(1e-8, 1e18), st.floats(1e4, 1e5))
EDGE = 1.000001  # the mapping's own arithmetic


def sketch(values: list[float]) -> Sketch:
    """A sketch of values."""
    made = Sketch()
    for value in values:
        made.add(bucket_of(value))
    return made


def nearest(values: list[float], percent: int) -> float:
    """The exact quantile by nearest rank."""
    return sorted(values)[max(1, -(-percent * len(values) // 100)) - 1]


@settings(max_examples=200, deadline=None)
@given(st.lists(speeds, min_size=1, max_size=BUCKETS), st.integers(1, 100))
def test_a_quantile_is_right_within_one_percent(values: list[float], percent: int) -> None:
    """Of the value that stands there when all are sorted; 0 is exactly 0."""
    exact = nearest(values, percent)
    assert sketch(values).quantile(percent) == pytest.approx(exact, rel=ACCURACY * EDGE, abs=0)


def test_nothing_has_no_quantile() -> None:
    """None, and not 0."""
    assert Sketch().quantile(50) is None
    assert sketch([0.0]).quantile(50) == 0.0


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 400), st.sampled_from((150, 500, 10_000)), st.randoms(use_true_random=False))
def test_the_same_values_give_the_same_bytes_in_every_order(number: int, highest: int, random: Random) -> None:
    """More buckets than there is room for, with gaps and without; and by merging parts as well as by adding."""
    buckets = [random.randint(-40, highest) for _ in range(number)]
    whole, shuffled, first, second = Sketch(), Sketch(), Sketch(), Sketch()
    for bucket in buckets:
        whole.add(bucket)
    for bucket in random.sample(buckets, len(buckets)):
        shuffled.add(bucket)
        random.choice((first, second)).add(bucket)
    first.merge(second)
    assert encoded(whole) == encoded(shuffled) == encoded(first)
    assert sum(whole.counts) == len(buckets)
    assert len(whole.buckets) <= BUCKETS


def encoded(value: Any) -> bytes:
    """The bytes of a cell."""
    return msgspec.msgpack.encode(value)


def test_beyond_its_room_the_lowest_become_one() -> None:
    """High quantiles stay right; the low ones are too high by as much as was taken together."""
    made = Sketch()
    for bucket in range(2 * BUCKETS):
        made.add(bucket)
    assert made.buckets == list(range(BUCKETS, 2 * BUCKETS))
    assert made.counts == [BUCKETS + 1] + [1] * (BUCKETS - 1)


def test_a_bucket_between_the_two_lowest_of_a_full_sketch_becomes_the_lowest() -> None:
    """It stands for what is below it; the sketch stays full, so that what is lower still goes there too."""
    made = Sketch()
    for bucket in range(0, 10 * BUCKETS, 10):
        made.add(bucket)
    made.add(5)
    made.add(3)
    assert (made.buckets[:3], made.counts[:3]) == ([5, 10, 20], [3, 1, 1])
    assert len(made.buckets) == BUCKETS


def test_a_full_sketch_fits_a_cell() -> None:
    """128 buckets with the largest counts there can be: 1.6 kB."""
    largest = Sketch((1 << 63) - 1, list(range(2000, 2000 + BUCKETS)), [(1 << 63) - 1] * BUCKETS)
    assert len(encoded(largest)) < 1_700
