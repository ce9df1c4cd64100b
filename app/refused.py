"""What brokers refuse for good, in words: what it is about, whom they refuse it, and the command that mends it."""

from collections.abc import Iterable, Iterator

from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidSessionTimeoutError,
    InvalidTransactionTimeout,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from app.settings import Settings
from app.topology import topic_name
from tables.domain import Domain

LOOKS_AT = ("Describe", "DescribeConfigs")  # needed of every topic: it is verified before anything else


def principal(settings: Settings) -> str:
    """As whom the brokers know this program; they may be told to call a user otherwise."""
    return f"User:{settings.sasl_username if settings.security_protocol.startswith('SASL') else 'ANONYMOUS'}"


def explained(error: BaseException, settings: Settings, domains: Iterable[Domain] = ()) -> str:
    """An error in words: its own, or those of the refusal that it is; a line for each topic that is refused."""
    prefix, words = settings.application_id, str(error) or type(error).__name__
    match error:
        case TopicAuthorizationFailedError():
            words = "\n".join(_topic(settings, name, domains) for name in _names(error)) or _unnamed(settings)
        case GroupAuthorizationFailedError():
            words = _denied(settings, f"the group {prefix}", ("Read",), f"--group {prefix}")
        case TransactionalIdAuthorizationFailed():
            resource = f"--transactional-id {prefix}- --resource-pattern-type prefixed"
            words = _denied(settings, f"the transactional ids {prefix}-*", ("Write", "Describe"), resource)
        case ClusterAuthorizationFailedError():
            words = _denied(settings, "the cluster", ("IdempotentWrite",), "--cluster")
        case AuthenticationFailedError():
            words = f"Kafka refuses {principal(settings)} ({words})"
        case InvalidTransactionTimeout():
            words = (
                f"TIDEMARK_TRANSACTION_TIMEOUT_SECONDS={settings.transaction_timeout_seconds:g} is more than the "
                "brokers allow; lower it, or raise their transaction.max.timeout.ms"
            )
        case InvalidSessionTimeoutError():
            words = (
                f"TIDEMARK_SESSION_TIMEOUT_SECONDS={settings.session_timeout_seconds:g} is not what the brokers allow; "
                "choose one within their group.min.session.timeout.ms and group.max.session.timeout.ms"
            )
        case MessageSizeTooLargeError() | RecordListTooLargeError():
            words = (
                "a topic that this worker writes takes no batches of 512 KiB; `tidemark topics verify` names it: raise "
                "its max.message.bytes"
            )
        case InconsistentGroupProtocolError():
            words = f"a program of another kind is a member of the group {prefix}; stop it, or set TIDEMARK_PREFIX"
    return words


def _names(error: KafkaError) -> Iterator[str]:
    """The topics that an error names: aiokafka gives a name, a set of names, or nothing."""
    for argument in error.args:
        if isinstance(argument, str):
            yield argument
        elif isinstance(argument, set | frozenset | list | tuple):
            yield from sorted(map(str, argument))


def _topic(settings: Settings, name: str, domains: Iterable[Domain]) -> str:
    return _denied(settings, f"the topic {name}", (*_used(settings, name, domains), *LOOKS_AT), f"--topic {name}")


def _used(settings: Settings, name: str, domains: Iterable[Domain]) -> list[str]:
    """What a worker does with a topic: sources are read, whatever it writes is written, some of that read back."""
    operations = set()
    for domain in domains:
        if name == topic_name(settings, domain, "events"):
            operations.add("Read")
        read_back = {topic_name(settings, domain, role) for role in ("changelog", "totals")}
        written = {topic_name(settings, domain, role) for role in ("stats", "dead-letters")}
        own = {settings.prefix + topic.name for topic in domain.topics} - {topic_name(settings, domain, "events")}
        if name in read_back | own:
            operations |= {"Read", "Write"}
        elif name in written:
            operations.add("Write")
    return sorted(operations) or ["Read"]


def _unnamed(settings: Settings) -> str:
    return f"Kafka refuses {principal(settings)} a topic; grant the access rights that docs/operations.md lists"


def _denied(settings: Settings, what: str, operations: Iterable[str], resource: str) -> str:
    wanted = list(operations)
    allow = " ".join(f"--operation {operation}" for operation in wanted)
    return (
        f"Kafka refuses {principal(settings)} {what}: it needs {', '.join(wanted)}; grant it with: "
        f"kafka-acls.sh --bootstrap-server {settings.bootstrap_servers} --add "
        f"--allow-principal {principal(settings)} {allow} {resource}"
    )
