"""Benchmarks against a real Kafka: `python -m tests.bench --help`.

Every measured program (the limit, Tidemark, stock Faust) runs in a process of its own and reports one line of JSON.
"""
