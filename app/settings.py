"""Every knob, with its unit, its default and the reason for the default. Read from the environment: TIDEMARK_*."""

import difflib
import errno
import ipaddress
import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from app import options

PREFIX = options.PREFIX
# Read elsewhere: by the embedded Kafka, by the failpoints, and by the project's own tests and benches.
OTHER_VARIABLES = ("TIDEMARK_HOME", "TIDEMARK_FAILPOINT", "TIDEMARK_TELEMETRY", "TIDEMARK_BENCH_REPORT")
# Kubernetes tells every container of the services around it: one named `tidemark` becomes TIDEMARK_SERVICE_HOST,
# TIDEMARK_PORT=tcp://..., TIDEMARK_PORT_6066_TCP_ADDR. Nobody set them, so nobody could mend them.
_SERVICE_NAME = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
_SERVICE_VALUE = re.compile(r"(tcp|udp|sctp)://.*")
_SECRET = re.compile(r"pass|token|secret", re.IGNORECASE)
_SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
KAFKA_PORT = 9092
MOST_PORTS = 65535
MOST_DAYS = 36_500  # a century; Kafka counts in milliseconds, in 64 bits


class SettingsError(ValueError):
    """A setting is wrong; the message names it, its value and the remedy."""


def _servers(text: str) -> str:
    return ",".join(_server(part.strip()) for part in text.split(",") if part.strip())


def _server(text: str) -> str:
    found = _SERVER.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not host:port; an IPv6 address stands in brackets")
    port = int(found["port"] or KAFKA_PORT)
    if not 0 < port <= MOST_PORTS:
        raise ValueError(f"the port of {text!r} is not within 1..{MOST_PORTS}")
    return f"{found['host']}:{port}"


def _url(text: str) -> str:
    text = text.strip()
    if not text:
        return text
    parts = urlsplit(text)
    _ = parts.port  # raises ValueError where it is none
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"\s", text):
        raise ValueError("it is not http://HOST:PORT or https://HOST:PORT")
    return text


def _token(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()
    if not all("!" <= character <= "~" for character in text):
        raise ValueError("a header carries it: letters, digits and signs of ASCII, without spaces between them")
    return SecretStr(text)


def _empty_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


class Settings(BaseSettings):
    """The settings of one installation. Two installations on one cluster differ in `prefix`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", populate_by_name=True)
    _options: dict[str, Any] = PrivateAttr(default_factory=dict)

    # -- Kafka
    bootstrap_servers: Annotated[str, AfterValidator(_servers)] = Field(
        "",
        validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", "bootstrap_servers"),
        description="`host:port`, comma-separated; no port: 9092. Empty: an embedded Kafka is started, and shared.",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to the brokers. Certificates are always checked."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="Used with the SASL protocols."
    )
    sasl_username: str = Field("", description="Used with the SASL protocols.")
    sasl_password: SecretStr = Field(SecretStr(""), description="Used with the SASL protocols; never logged.")
    ssl_ca_file: Annotated[Path | None, BeforeValidator(_empty_is_none)] = Field(
        None, description="A file of authorities (PEM) to trust instead of the system's."
    )

    # -- topics
    prefix: str = Field(
        "", pattern=r"^[A-Za-z0-9._-]{0,64}$", description="Before every topic, group and transactional id."
    )
    partitions: int = Field(
        4, ge=1, le=1024, description="Of every topic alike. 4: two workers of two cores each; fixed once created."
    )
    replication: int = Field(
        1, ge=1, le=9, description="Of every topic. 1 suits the embedded Kafka; production wants 3, min.insync 2."
    )
    events_retention_days: float = Field(
        7, gt=0, le=MOST_DAYS, allow_inf_nan=False, description="`<domain>-events` are deleted after so many days."
    )
    dead_letters_retention_days: float = Field(
        30, gt=0, le=MOST_DAYS, allow_inf_nan=False, description="The same for `<domain>-dead-letters`."
    )

    # -- the engine
    commit_interval_seconds: float = Field(
        0.2, ge=0.01, le=60, description="A transaction per partition so often: the delay before results are durable."
    )
    transaction_timeout_seconds: float = Field(
        10, ge=1, le=900, description="A dead worker's open transaction blocks readers for at most so long."
    )
    session_timeout_seconds: float = Field(
        6, ge=6, le=300, description="A worker silent for so long is dead. 6: the least that brokers allow by default."
    )
    instance_id: str = Field(
        "", description="Static membership (group.instance.id): a restart within the session timeout moves nothing."
    )
    standbys: int = Field(
        0, ge=0, le=3, description="Warm copies of each partition, in other workers' memory: 1 for failover at once."
    )
    lost_events: Literal["skip", "stop"] = Field(
        "skip",
        description="What becomes of a partition whose next events retention has deleted: it goes on with the first "
        "that is left, and counts the others; or the worker stops.",
    )
    key_limit: Annotated[int | None, BeforeValidator(_empty_is_none)] = Field(
        None,
        ge=0,
        description="At most so many rows per table, the least recently updated go. Empty: the domain's own.",
    )

    # -- the web views
    web_host: str = Field("127.0.0.1", description="Beyond loopback a token is required.")
    web_port: int = Field(6066, ge=1, le=65535, description="Faust's own port.")
    web_url: Annotated[str, AfterValidator(_url)] = Field(
        "", description="Where other workers reach this one; empty: from web_host and web_port."
    )
    web_token: Annotated[SecretStr, AfterValidator(_token)] = Field(
        SecretStr(""), description="Bearer token of the views and of other workers."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Of this project's own logs.")

    @model_validator(mode="after")
    def _together(self) -> "Settings":
        credentials = {"USERNAME": self.sasl_username, "PASSWORD": self.sasl_password.get_secret_value()}
        empty = [f"TIDEMARK_SASL_{name}" for name, value in credentials.items() if not value]
        if self.security_protocol.startswith("SASL") and empty:
            raise ValueError(
                f"{' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty and "
                f"TIDEMARK_SECURITY_PROTOCOL={self.security_protocol!r}; set {' and '.join(empty)}"
            )
        if not is_loopback(self.web_host) and not self.web_token.get_secret_value():
            raise ValueError(
                f"TIDEMARK_WEB_HOST={self.web_host!r} is beyond loopback and TIDEMARK_WEB_TOKEN is empty; "
                "set TIDEMARK_WEB_TOKEN, or TIDEMARK_WEB_HOST=127.0.0.1"
            )
        if self.security_protocol.endswith("SSL"):
            self._check_authorities()
        return self

    def _check_authorities(self) -> None:
        try:
            self.ssl_context()
        except OSError as error:  # also ssl.SSLError: a file without certificates
            reason = error.strerror or error
            raise ValueError(
                f"TIDEMARK_SSL_CA_FILE={str(self.ssl_ca_file or '')!r} cannot be used ({reason}); name a file of "
                "certificates in PEM that this user may read, or unset it to trust the system's"
            ) from error

    def with_options(self, values: Mapping[str, Any]) -> "Settings":
        """A copy with these values of the domains' options (`app.options`)."""
        copy = self.model_copy()
        copy._options = dict(values)  # noqa: SLF001 - its own class's
        return copy

    @property
    def options(self) -> Mapping[str, Any]:
        """The domains' options that are not at their defaults."""
        return self._options

    @property
    def application_id(self) -> str:
        """The Faust app id, which is also the consumer group."""
        return f"{self.prefix}tidemark"

    @property
    def advertised_url(self) -> str:
        """Where other workers reach this one's views."""
        if self.web_url:
            return self.web_url
        host = self.web_host
        if host in {"0.0.0.0", "::"}:  # noqa: S104 - every interface is no address: others know us by our name
            host = socket.gethostname()
        return f"http://[{host}]:{self.web_port}" if ":" in host else f"http://{host}:{self.web_port}"

    def kafka(self) -> dict[str, Any]:
        """Keyword arguments with which every aiokafka client of the project is made."""
        from app import kafka_client  # noqa: PLC0415 -- `--help` and `--version` are quick

        kafka_client.install()  # here, because no client is made without this
        options: dict[str, Any] = {"bootstrap_servers": self.bootstrap_servers.split(",")}
        if self.security_protocol != "PLAINTEXT":
            options["security_protocol"] = self.security_protocol
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self.ssl_context()
        if self.security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.sasl_username
            options["sasl_plain_password"] = self.sasl_password.get_secret_value()
        return options

    def ssl_context(self) -> Any:
        """A context that checks certificates and host names."""
        import ssl  # noqa: PLC0415 - most installations never need it

        return ssl.create_default_context(cafile=self.ssl_ca_file)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load(**overrides: Any) -> Settings:
    """The settings from the environment.

    Raises:
        SettingsError: naming each wrong setting, its value and the remedy.
    """
    wrong = list(_unknown())
    values, refused = options.read()
    wrong += refused
    try:
        settings = Settings(**overrides).with_options(values)
    except ValidationError as error:
        wrong += [_explain(problem) for problem in error.errors()]
    if wrong:
        raise SettingsError("\n".join(wrong))
    return settings


def check_web_address(settings: Settings) -> None:
    """Say before a worker starts whether it can serve its views where it is told to.

    Raises:
        SettingsError: naming the setting to change.
    """
    host, port = settings.web_host, settings.web_port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            _bind(family, kind, protocol, address)
    except (OSError, UnicodeError) as error:
        raise SettingsError(_unbound(host, port, error)) from error


def _bind(family: int, kind: int, protocol: int, address: Any) -> None:
    with socket.socket(family, kind, protocol) as probe:
        # As the server does: a port whose last connections are still closing is free, and `::` leaves 0.0.0.0 alone.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(address)


def _unbound(host: str, port: int, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"port {port} is taken, perhaps by another worker; choose another one with TIDEMARK_WEB_PORT"
    if number == errno.EACCES:
        return f"TIDEMARK_WEB_PORT={port}: this user may not listen there; choose one above 1023"
    reason = getattr(error, "strerror", None) or error
    return (
        f"TIDEMARK_WEB_HOST={host!r} is no address of this machine ({reason}); name one that is, "
        "0.0.0.0 for all of them, or 127.0.0.1"
    )


def _variables() -> dict[str, str]:
    """Each setting's environment variable -> its name."""
    fields = Settings.model_fields.items()
    found = {name: getattr(field.validation_alias, "choices", [f"{PREFIX}{name.upper()}"]) for name, field in fields}
    return {str(choices[0]): name for name, choices in found.items()}


def _unknown() -> Iterator[str]:
    """A line for each variable that looks like a setting and is none: a typo would leave its setting at the default."""
    known = [*_variables(), *OTHER_VARIABLES, *map(options.variable, options.declared())]
    for name, value in sorted(os.environ.items()):
        if not name.upper().startswith(PREFIX) or name.upper() in known or _is_of_a_service(name, value):
            continue
        close = difflib.get_close_matches(name.upper(), known, n=1)
        hint = f"did you mean {close[0]}? Else unset it" if close else "unset it"
        yield f"{name}={_shown([name, *close], value)}: there is no such setting; {hint}"


def _is_of_a_service(name: str, value: str) -> bool:
    return bool(_SERVICE_NAME.fullmatch(name) or (name.endswith("_PORT") and _SERVICE_VALUE.fullmatch(value)))


def _explain(problem: Any) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:  # a rule over several settings, which names them itself
        return f"wrong settings: {message}"
    variables = _variables()
    given = str(problem["loc"][0])
    variable = given if given in variables else next(one for one, name in variables.items() if name == given)
    about = Settings.model_fields[variables[variable]].description
    return f"{variable}={_shown([variable], problem['input'])}: {message}. {about}"


def _shown(names: list[str], value: Any) -> str:
    return "(secret)" if any(_SECRET.search(name) for name in names) else repr(value)
