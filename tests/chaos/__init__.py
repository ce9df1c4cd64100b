"""Faults against a real Kafka and real worker processes: `python -m tests.chaos --help`."""
