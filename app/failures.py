"""How a command that fails says so: one message that tells what to do, and an exit code. Never a traceback.

0  done
1  failed: what was asked for did not happen, or `verify` found something
2  wrong usage or configuration: the command line, a setting, the topics, the embedded Kafka's packages or disk
3  no Kafka answers
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

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
    except KafkaConnectionError:
        fail(_no_kafka(), NO_KAFKA)
    except InputError as error:
        fail(str(error))
    except KafkaError as error:
        fail(f"Kafka: {error!r}; look at the broker's log and try again")


@contextmanager
def exiting() -> Iterator[None]:
    """As `explained`, where another program's command line runs ours: it would show our exceptions as tracebacks."""
    try:
        with explained():
            yield
    except click.ClickException as failure:
        failure.show()
        raise SystemExit(failure.exit_code) from None


def _no_kafka() -> str:
    from app.settings import load  # noqa: PLC0415 -- `--help` and `--version` are quick

    settings = load()
    where = settings.bootstrap_servers or "the embedded broker's address"
    mend, unset = "KAFKA_BOOTSTRAP_SERVERS", "or unset it"
    if settings.security_protocol != "PLAINTEXT":  # then a broker that speaks otherwise, or refuses, looks as if away
        where += f" by {settings.security_protocol}"
        unset = "or unset both"
        mend += " or TIDEMARK_SECURITY_PROTOCOL, the certificates or the credentials"
    return f"no Kafka answers at {where}: start it, mend {mend}, {unset} to use the embedded one"
