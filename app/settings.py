"""Every knob, with its unit, its default and the reason for the default. Read from the environment: TIDEMARK_*."""

import ipaddress
import socket
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(ValueError):
    """A setting is wrong; the message names it, its value and the remedy."""


class Settings(BaseSettings):
    """The settings of one installation. Two installations on one cluster differ in `prefix`."""

    model_config = SettingsConfigDict(env_prefix="TIDEMARK_", extra="ignore", populate_by_name=True)

    # -- Kafka
    bootstrap_servers: str = Field(
        "",
        validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", "bootstrap_servers"),
        description="`host:port`, comma-separated. Empty: an embedded Kafka is started, and shared.",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to the brokers. Certificates are always checked."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="Used with the SASL protocols."
    )
    sasl_username: str = Field("", description="Used with the SASL protocols.")
    sasl_password: SecretStr = Field(SecretStr(""), description="Used with the SASL protocols; never logged.")
    ssl_ca_file: Path | None = Field(None, description="Authorities to trust instead of the system's.")

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
    events_retention_days: float = Field(7, gt=0, description="`<domain>-events` are deleted after so many days.")
    dead_letters_retention_days: float = Field(30, gt=0, description="The same for `<domain>-dead-letters`.")

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
    key_limit: int | None = Field(
        None,
        ge=0,
        description="At most so many rows per table, the least recently updated go. Empty: the domain's own.",
    )

    # -- the web views
    web_host: str = Field("127.0.0.1", description="Beyond loopback a token is required.")
    web_port: int = Field(6066, ge=1, le=65535, description="Faust's own port.")
    web_url: str = Field("", description="Where other workers reach this one; empty: from web_host and web_port.")
    web_token: SecretStr = Field(SecretStr(""), description="Bearer token of the views and of other workers.")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Of this project's own logs.")

    @model_validator(mode="after")
    def _together(self) -> "Settings":
        if self.security_protocol.startswith("SASL") and not self.sasl_username:
            raise ValueError("sasl_username: empty, but security_protocol is SASL; set TIDEMARK_SASL_USERNAME")
        if not is_loopback(self.web_host) and not self.web_token.get_secret_value():
            raise ValueError(
                f"web_host: {self.web_host!r} is beyond loopback and web_token is empty; "
                "set TIDEMARK_WEB_TOKEN, or TIDEMARK_WEB_HOST=127.0.0.1"
            )
        return self

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
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(problem) for problem in error.errors())) from None


def _explain(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if not name:  # a rule over several settings, which names them itself
        return f"wrong settings: {problem['msg'].removeprefix('Value error, ')}"
    variable = name if name.isupper() else f"TIDEMARK_{name.upper()}"
    secret = any(word in name for word in ("password", "token"))
    value = "(secret)" if secret else repr(problem["input"])
    return f"{variable}={value}: {problem['msg']}; see the setting in docs/operations.md"
