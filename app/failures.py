"""How a command that fails says so: one message that tells what to do, and an exit code. Never a traceback.

0  done
1  failed: what was asked for did not happen, or `verify` found something
2  wrong usage or configuration: the command line, a setting, the topics, the embedded Kafka's packages or disk, the
   access rights or credentials that Kafka wants
3  no Kafka answers
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from aiokafka.errors import KafkaError

    from app.reach import Look
    from app.settings import Settings

FAILED, MISCONFIGURED, NO_KAFKA = 1, 2, 3


def fail(message: str, code: int = FAILED) -> NoReturn:
    """End the command.

    Raises:
        ClickException: always.
    """
    failure = click.ClickException(message)
    failure.exit_code = code
    raise failure


@contextmanager
def explained() -> Iterator[None]:
    """Turn the errors that this project and its Kafka client raise on purpose into messages with exit codes."""
    from aiokafka.errors import KafkaConnectionError, KafkaError  # noqa: PLC0415 -- `--help` and `--version` are quick

    from app.broker.errors import BrokerError  # noqa: PLC0415 -- likewise
    from app.ingest.source import InputError  # noqa: PLC0415 -- likewise
    from app.settings import SettingsError  # noqa: PLC0415 -- likewise
    from app.topology import TopologyError  # noqa: PLC0415 -- likewise

    try:
        yield
    except (SettingsError, TopologyError, BrokerError) as error:
        fail(str(error), MISCONFIGURED)
    except (KafkaConnectionError, TimeoutError):
        fail(*_no_kafka())
    except InputError as error:
        fail(str(error))
    except KafkaError as error:
        fail(*_kafka(error))


@contextmanager
def exiting() -> Iterator[None]:
    """As `explained`, where another program's command line runs ours: it would show our exceptions as tracebacks."""
    try:
        with explained():
            yield
    except click.ClickException as failure:
        failure.show()
        raise SystemExit(failure.exit_code) from None


def crashed(error: BaseException, settings: "Settings") -> NoReturn:
    """End the worker that has stopped because of an error.

    Raises:
        ClickException: always; with the code for configuration where that is what has to be mended, so that whoever
            starts workers need not start this one again before.
    """
    from aiokafka.errors import KafkaConnectionError  # noqa: PLC0415 -- likewise

    from app.engine.errors import PositionError, refusal  # noqa: PLC0415 -- likewise
    from app.refused import explained as in_words  # noqa: PLC0415 -- likewise
    from app.topology import TopologyError  # noqa: PLC0415 -- likewise
    from tables import DOMAINS  # noqa: PLC0415 -- likewise
    from tables.table import CorruptCellError  # noqa: PLC0415 -- likewise

    if isinstance(error, KafkaConnectionError):
        fail(*_no_kafka())
    words = in_words(error, settings, DOMAINS)
    if refusal(error) is not None or isinstance(error, TopologyError | CorruptCellError | PositionError):
        fail(f"the worker has stopped: {words}", MISCONFIGURED)
    fail(f"the worker has crashed: {type(error).__name__}: {words}")


def _kafka(error: "KafkaError") -> tuple[str, int]:
    from app.engine.errors import refusal  # noqa: PLC0415 -- likewise
    from app.refused import explained as in_words  # noqa: PLC0415 -- likewise
    from app.settings import load  # noqa: PLC0415 -- likewise
    from tables import DOMAINS  # noqa: PLC0415 -- likewise

    refused = refusal(error)
    if refused is not None:
        return in_words(refused, load(), DOMAINS), MISCONFIGURED
    return f"Kafka: {error!r}; look at the broker's log and try again", FAILED


def _unusable(settings: "Settings", looks: list["Look"]) -> str:
    answers = "it answers; can the addresses that its brokers advertise be reached from here?"
    why = "; ".join(f"{found.server}: {found.reason or answers}" for found in looks)
    return (
        f"Kafka at {settings.bootstrap_servers} cannot be used by {settings.security_protocol}: mend "
        f"KAFKA_BOOTSTRAP_SERVERS, TIDEMARK_SECURITY_PROTOCOL, the certificates or the credentials ({why})"
    )


def _no_kafka() -> tuple[str, int]:
    """No server could be used: why, and which code; wrong credentials are a wrong configuration."""
    from app.reach import look  # noqa: PLC0415 -- likewise
    from app.settings import load  # noqa: PLC0415 -- `--help` and `--version` are quick

    settings = load()
    looks = asyncio.run(look(settings)) if settings.bootstrap_servers else []
    refused = [found for found in looks if found.refused]
    if refused:
        return f"Kafka at {refused[0].server} cannot be used: {refused[0].reason}", MISCONFIGURED
    where = settings.bootstrap_servers or "the embedded broker's address"
    mend, unset = "KAFKA_BOOTSTRAP_SERVERS", "or unset it"
    if any(found.there for found in looks):  # what is named is there: it is to be spoken to otherwise
        return _unusable(settings, looks), NO_KAFKA
    if settings.security_protocol != "PLAINTEXT":  # then a broker that speaks otherwise, or refuses, looks as if away
        where += f" by {settings.security_protocol}"
        unset = "or unset both"
        mend += " or TIDEMARK_SECURITY_PROTOCOL, the certificates or the credentials"
    why = "; ".join(f"{found.server}: {found.reason}" for found in looks if found.reason)
    message = f"no Kafka answers at {where}: start it, mend {mend}, {unset} to use the embedded one"
    return f"{message} ({why})" if why else message, NO_KAFKA
