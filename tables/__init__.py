"""What is true: the domains as pure folds, without I/O and without a clock.

`DOMAINS` is the one registry, in reading order. A new domain is one file beside these and one entry here.

- What a domain is: `domain.py` (the declaration), `emission.py`, `retention.py`, `recent.py`, `totals.py`, `views.py`,
  `option.py`
- What happens to an event: `event.py`, `fold.py`, `dedupe.py`, `resent.py`; where it is kept: `table.py`, `row.py`,
  `top.py`, record by record `cells.py`, and in the words of messages `named.py`, `printable.py`
- The domains, and what was long enough to stand beside them: `assessments.py`; `players.py` (`weapons.py`);
  `workers.py` (`jobs.py`, `throughput.py`, `sketch.py`, `periods.py`); `tutors.py` (`tutor_events.py`, `windows.py`,
  `tiers.py`); `projects.py`; `rollups.py` (`picks.py`, `weeks.py`)
"""

from tables.assessments import ASSESSMENTS
from tables.domain import Domain
from tables.players import PLAYERS
from tables.projects import PROJECTS
from tables.rollups import ROLLUPS
from tables.tutors import TUTORS
from tables.workers import WORKERS

DOMAINS: tuple[Domain, ...] = (ASSESSMENTS, PLAYERS, WORKERS, TUTORS, PROJECTS, ROLLUPS)


def domain_named(name: str) -> Domain:
    """A domain of the registry.

    Raises:
        KeyError: it has none of this name.
    """
    return {domain.name: domain for domain in DOMAINS}[name]
