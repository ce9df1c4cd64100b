"""What is wrong with an installation, and what to do about it: `tidemark doctor`.

    finding.py       what a check says: how bad, what, where, why it matters, the remedy
    installation.py  what the checks look at, with its connections
    brokers.py       versions, timeouts, replicas
    topics.py        that they are there and as they have to be
    transactions.py  those that nobody ends
    group.py         who is in the consumer group, and what waits for it
    partitions.py    cells, rows, totals, offsets and source of every partition: do they belong together?
    deep.py          tables made anew from their events, as `tidemark verify` does
    commands.py      the command

All of it only reads; workers may run.
"""
