"""The way out of what cannot be folded on: `tidemark reset` and `tidemark replay`.

    moment.py     --from and --to: an offset of the source by itself, by time, or as one of its ends
    found.py      a partition as its topics hold it, and what of its table can still be read
    rebuilt.py    a partition made anew from its events, with all that it would have published
    plan.py       which records bring the topics from the one to the other
    keyless.py    records that no tombstone takes away
    swap.py       one transaction that writes them, by the partition's own fenced producer
    partition.py  both ways for one partition: dry, or fenced first and written at the end
    report.py     what would change, or has changed, for people and for scripts
    commands.py   the commands

All that a partition keeps is written in one transaction: cells, snapshots, its ring, its totals and the source offset.
Readers see the table before it or after it, never a mix; a tool that dies on the way leaves the one before.
"""
