"""What is true: the domains as pure folds, without I/O and without a clock.

`DOMAINS` is the one registry, in reading order. A new domain is one file beside these and one entry here.
"""

from tables.assessments import ASSESSMENTS
from tables.domain import Domain
from tables.players import PLAYERS
from tables.projects import PROJECTS
from tables.rollups import ROLLUPS
from tables.tutors import TUTORS
from tables.workers import WORKERS

DOMAINS: tuple[Domain, ...] = (ASSESSMENTS, PLAYERS, WORKERS, TUTORS, PROJECTS, ROLLUPS)
