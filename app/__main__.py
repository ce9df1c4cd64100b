"""`python -m app` is `tidemark`."""

from app.commands import main

main(prog_name="tidemark")
