"""The latest records of a topic, as its retention means it: `tidemark history`.

shown.py      a record as people and scripts read it: cells decoded, keys and values as text
newest.py     reading the newest records of a topic, of a ring, of a key; in bounded memory
commands.py   the command
"""
