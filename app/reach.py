"""Why no Kafka answers: each server is tried once, by itself, and says or shows what is wrong.

Kafka's clients try again in silence, and to whoever asks them a wrong password looks like a broker that is away.
"""

import asyncio
import socket
import ssl
from typing import Any, NamedTuple

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from app.settings import Settings

LOOK_SECONDS = 3.0  # a broker that needs longer to say hello is not serving
_OTHER_LOGIN = (UnsupportedSaslMechanismError, IllegalSaslStateError)
_SPOKEN = (KafkaError, ssl.SSLError, ConnectionResetError)  # it takes connections, and speaks otherwise


class Look(NamedTuple):
    """What one server of KAFKA_BOOTSTRAP_SERVERS did when it was tried.

    Attributes:
        server: its `host:port`.
        reason: why it cannot be used; "" where it answers.
        refused: whether it refuses this user's credentials, which waiting does not mend.
        there: whether something answers there at all.
    """

    server: str
    reason: str
    refused: bool = False
    there: bool = True


async def look(settings: Settings) -> list[Look]:
    """Try every server, all at once."""
    options = {name: value for name, value in settings.kafka().items() if name != "bootstrap_servers"}
    return await asyncio.gather(*(_look(settings, server, options) for server in settings.bootstrap_servers.split(",")))


async def _look(settings: Settings, server: str, options: dict[str, Any]) -> Look:
    host, _, port = server.rpartition(":")
    connection = None
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            connection = await create_conn(
                host.strip("[]"), int(port), request_timeout_ms=round(LOOK_SECONDS * 1000), **options
            )
            await connection.send(MetadataRequest([]))
    except (AuthenticationFailedError, SaslAuthenticationFailed, *_OTHER_LOGIN) as error:
        return Look(server, _refused(settings, error), refused=True)
    except (KafkaError, OSError, TimeoutError) as error:
        return Look(server, _reason(settings, error), there=isinstance(error, _SPOKEN))
    finally:
        if connection is not None:
            connection.close()
    return Look(server, "")


def _refused(settings: Settings, error: KafkaError) -> str:
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"it does not offer {settings.sasl_mechanism}; set TIDEMARK_SASL_MECHANISM to one that it does"
    if isinstance(error, IllegalSaslStateError):
        bare = settings.security_protocol.removeprefix("SASL_")  # PLAINTEXT or SSL
        return (
            f"it wants no login there, and TIDEMARK_SECURITY_PROTOCOL={settings.security_protocol}; set "
            f"TIDEMARK_SECURITY_PROTOCOL={bare}, or name its port for SASL in "
            "KAFKA_BOOTSTRAP_SERVERS"
        )
    return (
        f"it refuses the credentials of {settings.sasl_username!r} by {settings.sasl_mechanism}; correct "
        "TIDEMARK_SASL_USERNAME, TIDEMARK_SASL_PASSWORD or TIDEMARK_SASL_MECHANISM"
    )


def _reason(settings: Settings, error: Exception) -> str:
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    match error:
        case socket.gaierror():
            words = "no such host"
        case ssl.SSLCertVerificationError():
            words = f"its certificate is not trusted ({error.verify_message})"
        case ssl.SSLError():
            words = f"it does not speak {settings.security_protocol}"
        case ConnectionRefusedError():
            words = "connection refused"
        case ConnectionResetError():
            words = _closes(settings)
        case TimeoutError():
            words = f"no answer within {LOOK_SECONDS:.0f} s"
        case KafkaConnectionError():
            words = _closes(settings)
    return words


def _closes(settings: Settings) -> str:
    return f"it closes the connection; does it speak TIDEMARK_SECURITY_PROTOCOL={settings.security_protocol}?"
