"""Settings: whatever is wrong with one is named with its value and the remedy, before anything starts."""

import socket
from pathlib import Path

import pytest

from app.settings import Settings, SettingsError, check_web_address, load

REMEDIES = {name: field.description or "" for name, field in Settings.model_fields.items()}


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)


@pytest.mark.parametrize(
    ("given", "servers"),
    [
        ("127.0.0.1:30047,", "127.0.0.1:30047"),
        (" a:1 , b ,,c:65535", "a:1,b:9092,c:65535"),
        ("[::1]:9093,[::1]", "[::1]:9093,[::1]:9092"),
        ("  ", ""),
        (",", ""),
    ],
)
def test_servers_are_read_as_people_write_them(monkeypatch: pytest.MonkeyPatch, given: str, servers: str) -> None:
    """Spaces and empty items mean nothing, the port may be missing, blank is the embedded Kafka."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", given)
    assert load().bootstrap_servers == servers
    assert load().kafka()["bootstrap_servers"] == servers.split(",")


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "a:1,kafka:port", "'kafka:port' is not host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:0", "the port of 'kafka:0' is not within 1..65535"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:65536", "the port of 'kafka:65536'"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka://a:1", "is not host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a b:1", "is not host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "::1", "an IPv6 address stands in brackets"),
        ("TIDEMARK_EVENTS_RETENTION_DAYS", "inf", "finite"),
        ("TIDEMARK_DEAD_LETTERS_RETENTION_DAYS", "nan", "finite"),
        ("TIDEMARK_DEAD_LETTERS_RETENTION_DAYS", "1e300", "less than or equal to 36500"),
        ("TIDEMARK_WEB_URL", "localhost:6066", "it is not http://HOST:PORT"),
        ("TIDEMARK_WEB_URL", "http://", "it is not http://HOST:PORT"),
        ("TIDEMARK_WEB_URL", "http://a:b", "ort"),
        ("TIDEMARK_PARTITIONS", "none", "valid integer"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable_and_what_it_means(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    """The message ends with what stands in docs/operations.md, which an installation does not have."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as raised:
        load()
    message = str(raised.value)
    assert message.startswith(f"{variable}={value!r}: ")
    assert reason in message
    name = "bootstrap_servers" if variable.startswith("KAFKA") else variable.removeprefix("TIDEMARK_").lower()
    assert message.endswith(REMEDIES[name])


def test_a_token_is_stripped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that it was read from ends with a newline."""
    monkeypatch.setenv("TIDEMARK_WEB_TOKEN", " secret\n")
    assert load().web_token.get_secret_value() == "secret"


@pytest.mark.parametrize("token", ["sesame open", "gehe\u00efm", "a\tb"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """It would be refused at every request."""
    monkeypatch.setenv("TIDEMARK_WEB_TOKEN", token)
    with pytest.raises(SettingsError, match=r"^TIDEMARK_WEB_TOKEN=\(secret\): .*ASCII") as raised:
        load()
    assert token not in str(raised.value)


def test_a_token_of_spaces_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond loopback it protects nothing."""
    monkeypatch.setenv("TIDEMARK_WEB_TOKEN", "  ")
    monkeypatch.setenv("TIDEMARK_WEB_HOST", "0.0.0.0")  # noqa: S104 -- what is tested
    with pytest.raises(
        SettingsError, match=r"TIDEMARK_WEB_HOST='0\.0\.0\.0' is beyond loopback and TIDEMARK_WEB_TOKEN"
    ):
        load()


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_authorities_that_cannot_be_read_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    """Missing or no certificates; where no certificate is checked, the file does not matter."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("TIDEMARK_SSL_CA_FILE", str(path))
    load()
    monkeypatch.setenv("TIDEMARK_SECURITY_PROTOCOL", "SSL")
    with pytest.raises(SettingsError, match=f"TIDEMARK_SSL_CA_FILE='{path}' cannot be used .* PEM .* unset it"):
        load()


def test_empty_is_as_good_as_unset_where_the_default_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compose file passes on what is empty."""
    for name in ("SSL_CA_FILE", "KEY_LIMIT", "WEB_URL", "WEB_TOKEN"):
        monkeypatch.setenv(f"TIDEMARK_{name}", "")
    assert (load().ssl_ca_file, load().key_limit, load().web_url) == (None, None, "")


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("TIDEMARK_PARTITION", "TIDEMARK_PARTITIONS"),
        ("TIDEMARK_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS"),
        ("TIDEMARK_RETENTION_DAYS", "TIDEMARK_EVENTS_RETENTION_DAYS"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_closest_known_one(
    monkeypatch: pytest.MonkeyPatch, variable: str, meant: str
) -> None:
    """A typo would leave its setting at the default, and nobody would see it."""
    monkeypatch.setenv(variable, "8")
    with pytest.raises(SettingsError, match=f"^{variable}='8': there is no such setting; did you mean {meant}[?]"):
        load()


def test_an_unknown_variable_that_may_hold_a_secret_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own name, or by the one that was meant."""
    monkeypatch.setenv("TIDEMARK_WEB_TOKN", "sesame")
    with pytest.raises(SettingsError) as raised:
        load()
    assert "sesame" not in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TIDEMARK_HOME", "/tmp"),  # noqa: S108 -- only named
        ("TIDEMARK_FAILPOINT", "commit.sent"),
        ("TIDEMARK_SERVICE_HOST", "10.0.0.1"),
        ("TIDEMARK_SERVICE_PORT_WEB", "6066"),
        ("TIDEMARK_PORT", "tcp://10.0.0.1:6066"),
        ("TIDEMARK_PORT_6066_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_variables_of_others_are_no_settings(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """Of this project, and those that Kubernetes sets for a service named `tidemark`."""
    monkeypatch.setenv(variable, value)
    load()


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each."""
    for name in ("PARTITION", "REPLICATION", "WEB_PORT"):
        monkeypatch.setenv(f"TIDEMARK_{name}", "none")
    with pytest.raises(SettingsError) as raised:
        load()
    assert [line.partition("=")[0] for line in str(raised.value).splitlines()] == [
        "TIDEMARK_PARTITION",
        "TIDEMARK_REPLICATION",
        "TIDEMARK_WEB_PORT",
    ]


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.1", "a" * 70])
def test_a_host_that_cannot_be_bound_is_named(host: str) -> None:
    """Nobody's name, or another machine's address."""
    settings = Settings(web_host=host, web_token="x")  # noqa: S106 -- no secret
    with pytest.raises(SettingsError, match=f"TIDEMARK_WEB_HOST='{host}' is no address of this machine"):
        check_web_address(settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])  # noqa: S104 -- what is tested
def test_a_port_that_is_taken_is_named_wherever_it_is_bound(host: str) -> None:
    """Also beyond loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings = Settings(web_host=host, web_port=port, web_token="x")  # noqa: S106 -- likewise
        with pytest.raises(SettingsError, match=f"port {port} is taken.*TIDEMARK_WEB_PORT"):
            check_web_address(settings)
    check_web_address(settings)
