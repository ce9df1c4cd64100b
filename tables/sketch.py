"""Quantiles of a stream in bounded space, exact to merge.

A value is counted in a bucket whose bounds are 2 % apart (DDSketch's logarithmic mapping), so that a quantile is right
within 1 % of itself, whatever the distribution. Counts are integers and which bucket a value belongs to depends on the
value alone: the same values give the same sketch in every order, and a merge is a sum. Where a value lies on a bucket's
very edge, the platform's logarithm decides; both sides are within the 1 %.
"""

from bisect import bisect_left, bisect_right
from itertools import accumulate

import msgspec
from ddsketch.mapping import LogarithmicMapping

from tables.row import Cell

ACCURACY = 0.01
# 128 buckets of a ratio of 1.0202 span a factor of 13 without a gap; speeds of one worker lie in a dozen. Buckets
# without a value take no room. At most 3 bytes for a bucket and 9 for its count: 1.6 kB of a cell.
BUCKETS = 128

_mapping = LogarithmicMapping(ACCURACY)


def bucket_of(value: float) -> int | None:
    """The bucket of a value >= 0; None for 0, which is counted apart."""
    return _mapping.key(value) if value else None


class Sketch(Cell):
    """Counts by bucket, ascending. Beyond `BUCKETS` the lowest ones become one: high quantiles stay right.

    What is kept are the `BUCKETS` greatest that there ever were, the lowest of them with the counts of all below it:
    that depends on the values alone, and not on their order.
    """

    zeros: int = 0
    buckets: list[int] = msgspec.field(default_factory=list)
    counts: list[int] = msgspec.field(default_factory=list)

    def add(self, bucket: int | None, count: int = 1) -> None:
        """Count values of a bucket."""
        if bucket is None:
            self.zeros += count
            return
        buckets, counts = self.buckets, self.counts
        place = bisect_left(buckets, bucket)
        if place < len(buckets) and buckets[place] == bucket:
            counts[place] += count
            return
        if len(buckets) == BUCKETS:
            if place == 0:  # lower than the lowest, which stands for all that is lower
                counts[0] += count
                return
            if place == 1:  # the new lowest: it stands for the one below it, too
                buckets[0] = bucket
                counts[0] += count
                return
            counts[1] += counts[0]
            del buckets[0], counts[0]
            place -= 1
        buckets.insert(place, bucket)
        counts.insert(place, count)

    def merge(self, other: "Sketch") -> None:
        """Count what another sketch has counted; in whatever order sketches are merged, the result is the same."""
        self.zeros += other.zeros
        for bucket, count in zip(other.buckets, other.counts, strict=True):
            self.add(bucket, count)

    def quantile(self, percent: int) -> float | None:
        """The smallest value that so many percent (1..100) do not exceed, within 1 %; None where there is no value."""
        ends = list(accumulate(self.counts, initial=self.zeros))  # how many there are up to each bucket, zeros first
        if not ends[-1]:
            return None
        rank = (percent * ends[-1] - 1) // 100  # from 0: the nearest rank
        place = bisect_right(ends, rank)
        return float(_mapping.value(self.buckets[place - 1])) if place else 0.0
