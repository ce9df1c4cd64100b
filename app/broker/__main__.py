"""The supervisor's entry point; users of the broker call `embedded` or `tidemark broker`."""

import sys

from app.broker.supervisor import main

main(sys.argv[1:])
