"""What can go wrong with an owned partition. Whether trying again helps is decided in `Engine.may_retry`."""

from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnknownTopicOrPartitionError,
)

from agents.task import FoldError


class GenerationError(Exception):
    """The assignment that this work was for is over."""


class LostSliceError(Exception):
    """A slice did not follow on the one before it."""


class OpenTransactionError(Exception):
    """Somebody else's transaction stays open on a changelog: restoring below it would lose committed rows."""


class PositionError(Exception):
    """Rows and committed offset do not belong together, or the source topic is not the one they came from."""


# The partition is dropped, fenced and restored anew.
PASSING = (KafkaError, TimeoutError, OSError, FoldError, LostSliceError)

# Of those, these are the broker's last word: they stop the worker.
FINAL = (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnknownTopicOrPartitionError,
)
