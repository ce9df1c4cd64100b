"""`tidemark demo`: everything at once, on a real match.

cut.py        telemetry -> the sample beside it: the events and fields that are used
child.py      a worker as a child process that never outlives the demo
play.py       the demo: topics, worker, ingest, wait until everything is committed
commands.py   the command and what it shows
"""
