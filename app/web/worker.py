"""What the views read of the worker that they run in, and where the other workers are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.engine.engine import Engine
from app.engine.owned import Owned
from app.engine.totals import TotalsReader
from app.settings import Settings
from app.topology import topic_name
from app.web.answers import unavailable
from tables.domain import Domain
from tables.table import Table
from tables.totals import Totals

Distribution = Mapping[str, Mapping[str, Sequence[int]]]
"""Worker's URL -> changelog topic -> the partitions that it owns."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """This worker, as the views see it.

    Attributes:
        settings: of the installation.
        domains: whose views are served.
        engine: the partitions that are ours.
        totals: everybody's totals and top lists.
        distribution: which worker owns what, as the leader of the group assigned it.
        lag_records: of one of our partitions, in records; None while unknown.
    """

    settings: Settings
    domains: tuple[Domain, ...]
    engine: Engine
    totals: TotalsReader
    distribution: Callable[[], Distribution]
    lag_records: Callable[[Owned], int | None]

    @property
    def url(self) -> str:
        """Where the others reach this worker."""
        return self.settings.advertised_url.rstrip("/")

    def names(self) -> set[str]:
        """The hosts that this worker is known by."""
        return {self.settings.web_host, urlsplit(self.url).hostname or ""} - {""}

    def others(self) -> list[str]:
        """The URLs of all other workers that own something."""
        return sorted({url.rstrip("/") for url in self.distribution()} - {self.url, ""})

    def owner(self, domain: Domain, partition: int) -> str | None:
        """The URL of the worker that owns a partition, None while nobody does."""
        topic = topic_name(self.settings, domain, "changelog")
        for url, topics in self.distribution().items():
            if partition in topics.get(topic, ()):
                return url.rstrip("/") or None  # a member that did not say where it is
        return None

    def partition_of(self, entity: str) -> int:
        """The partition of an entity."""
        return self.engine.partition_of(entity.encode("utf-8", "surrogatepass"))

    def searched(self, domain: Domain) -> list[Owned]:
        """The domain's partitions whose rows this worker may show."""
        return [owned for owned in self.engine.of_domain(domain) if table_of(owned) is not None]


def table_of(owned: Owned) -> Table | None:
    """The rows of a partition, None while they must not be shown."""
    return owned.task.table if owned.live and owned.task is not None and owned.engine.confirmed else None


def complete_totals(worker: Worker, domain: Domain) -> Totals:
    """A domain's totals, merged over all partitions.

    Raises:
        RefusedError: 503, while they are being read.
    """
    if not worker.totals.complete.is_set():
        raise unavailable("restoring", "the totals of all partitions are still being read")
    totals: Totals = worker.totals.totals(domain)
    return totals
