"""Faust's partition assignor, for static members that come back at another address."""

import logging
from typing import Any

from faust.assignor import PartitionAssignor
from faust.assignor.client_assignment import ClientMetadata

log = logging.getLogger("tidemark.engine")


class Assignor(PartitionAssignor):
    """Faust's assignor, which takes it for an error when an assignment names another address than this worker's own.

    A static member that restarts gets its old assignment back without a rebalance, and the address it had then. Faust
    raises on it inside the client's background task: the worker would wait for ever, and say nothing.
    """

    def on_assignment(self, assignment: Any) -> None:
        """Take an assignment over; an old address of ours in it is replaced by the present one."""
        metadata = ClientMetadata.loads(self._decompress(assignment.user_data))
        ours = str(self._url)
        if metadata.url != ours:
            log.warning(
                "this static member was known at %s and is now at %s: other workers forward views there until the "
                "next rebalance; set TIDEMARK_WEB_URL to an address that stays",
                metadata.url,
                ours,
            )
            for distribution in (metadata.changelog_distribution, metadata.external_topic_distribution):
                if metadata.url in distribution:
                    distribution[ours] = distribution.pop(metadata.url)
            metadata.url = ours
            assignment.user_data = self._compress(metadata.dumps())
        super().on_assignment(assignment)
