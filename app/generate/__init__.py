"""Believable events, as many as one likes: `tidemark generate`.

    faults.py     what producers and networks do to records: repeats, disorder, lateness, poison
    poison.py     records that no worker may fold
    timing.py     when the events begin, and how fast they are written
    writer.py     records -> topic, in bulk
    events.py     a domain's events as records
    commands.py   the command
    <domain>.py   one per domain: `events(random, keys, start)`, endless, in time order, all of it from `random`

The same seed and options give the same bytes.
"""
