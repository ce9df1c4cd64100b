"""The documentation says what the code does: what can be derived is derived, what cannot is compared.

`python -m tests.docs` writes the derived parts of README.md and docs/ anew.
"""
