"""What all domains are doing, live: `tidemark watch`. It reads the totals topics, and asks no worker.

sight.py      a domain's numbers at one moment, and how fast they move
commands.py   the command
"""
