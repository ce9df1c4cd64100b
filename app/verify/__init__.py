"""Are the tables what their events say? `tidemark verify` makes every partition twice, and compares the bytes.

    rebuild.py      rows from events, and rows from the changelog, both brought to the same moment; no Kafka
    difference.py   two sets of cells: which differ, and what the first one holds on either side
    partition.py    one partition, read from Kafka at one consistent point; nobody is fenced, a worker may run
    commands.py     the command

The consistent point is the changelog's last stable offset: its totals hold the position up to which the source was
folded in the same transaction, and the source is folded up to exactly there. What the worker could not fold is taken
from its dead letters: why a fold raised, or what the time was, is not in the events.

What a table holds beside its events is a matter of time: which snapshots are owed, which are published, how far a
window has moved. Both sides are brought to one moment by publishing every row. When timers ran is not written down
anywhere. Where it can matter to the fold, as when a week closes by the clock, two histories are tried: a worker that
was never behind, by the records' own timestamps, and one that folded everything in one go.
"""
