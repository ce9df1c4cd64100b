"""Bytes from strangers for everything that reads any: `python -m pytest tests/fuzz`, with `FUZZ=100` a hundred times.

Each file is one reader, or one family of them; what each must do with any input is the sentence of its test.
"""
