"""Which partition a key belongs to: as Kafka's default partitioner (murmur2) says, in every producer and here."""

from collections.abc import Callable

from aiokafka.partitioner import DefaultPartitioner


def partitioner(partitions: int) -> Callable[[bytes], int]:
    """The function from a key to its partition, among so many partitions."""
    choose, numbers = DefaultPartitioner(), list(range(partitions))
    return lambda key: int(choose(key, numbers, numbers))
