"""Believable events, as many as one likes: `tidemark generate`.

    faults.py     what producers and networks do to records: repeats, disorder, lateness, poison
    commands.py   the command
    <domain>.py   one per domain: `events(random, keys, start)`, endless, in time order, all of it from `random`

The same seed and options give the same bytes.
"""
