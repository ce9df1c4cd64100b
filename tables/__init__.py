"""What is true: the domains as pure folds, without I/O and without a clock.

`DOMAINS` is the one registry, in reading order. A new domain is one file beside these and one entry here.
"""

from tables.domain import Domain
from tables.players import PLAYERS

DOMAINS: tuple[Domain, ...] = (PLAYERS,)
