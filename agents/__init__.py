"""What happens: the way of one batch, in numbered steps.

1. decode: bytes become an event, or the record is INVALID and goes to the dead letters; the partition goes on.
2. route: the record's key is the event's entity and belongs to this partition, else MISROUTED, a dead letter too.
3. fold: the event changes its row: APPLIED, DUPLICATE or LATE.
4. retain: the count rules; evicted rows become tombstones, on their own partition.
5. emit: snapshots that are due, and the partition's totals, join the outgoing records.
6. commit: one Kafka transaction: changed cells, outgoing records, the source offset.
7. observe: outcomes, lag, what live views show.

`aggregate.py` takes 1 to 4, `emit.py` 5; 6 and 7 are `app/engine`. Every record ends in exactly one Outcome. Nothing
here waits: a batch is folded without giving control away, so a commit never sees half of one.
"""
