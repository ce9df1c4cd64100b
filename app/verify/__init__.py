"""Are the tables what their events say? `tidemark verify` makes every partition twice, and compares the bytes.

    rebuild.py      rows from events, and rows from the changelog, both brought to the same moment; no Kafka
    difference.py   two sets of cells: which differ, and what the first one holds on either side
    letters.py      what dead letters tell
    reading.py      what a partition's topics hold
    partition.py    one partition, read from Kafka at one consistent point; nobody is fenced, a worker may run
    commands.py     the command

The consistent point is the changelog's last stable offset: its totals hold the position up to which the source was
folded in the same transaction, and the source is folded up to exactly there. What the worker could not fold is taken
from its dead letters: why a fold raised, or what the time was, is not in the events.

What a table holds beside its events is a matter of time: which snapshots are owed, which are published, how far a
window has moved. Both sides are brought to one moment by publishing every row. Where time may have changed a row
between two events and the fold depends on it, as when a week closes by the clock, the stats topic tells when that was:
every snapshot names the source offset that it is as of.
"""
