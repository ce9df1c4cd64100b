"""The watch over the brokers: what it says, how often, and what it stops the worker for; without a broker."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    AuthenticationFailedError,
    GroupAuthorizationFailedError,
    InvalidTransactionTimeout,
    KafkaConnectionError,
    KafkaError,
    NotEnoughReplicasError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from app import topology
from app.engine import trouble
from app.engine.errors import in_words, refusal
from app.engine.trouble import REFUSED_LOOKS, Watch
from app.reach import Look
from app.refused import explained
from app.settings import Settings
from app.topology import TopologyError
from tables import DOMAINS
from tables.players import PLAYERS

SETTINGS = Settings(bootstrap_servers="kafka:9092", prefix="eu-")


class Offsets:
    """Brokers that answer, or do not."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.reconnected = 0

    async def ends(self, _partition: Any) -> tuple[int, int]:
        """The ends of a partition."""
        if self.error is not None:
            raise self.error
        return 0, 0

    def reconnect(self) -> None:
        """Count."""
        self.reconnected += 1


def watching(monkeypatch: pytest.MonkeyPatch, *looks: Look) -> tuple[Watch, Offsets]:
    """A watch over brokers, and how the servers look to it."""

    async def looked(_settings: Settings) -> list[Look]:
        return list(looks)

    monkeypatch.setattr(trouble, "look", looked)
    offsets = Offsets()
    engine: Any = SimpleNamespace(settings=SETTINGS, domains={"players-events": PLAYERS}, offsets=offsets, owned={})
    return Watch(engine), offsets


async def test_brokers_that_go_and_come_back_are_told_of_once_each(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However often they are asked, and however often the reason changes meanwhile; old connections are given up."""
    watch, offsets = watching(monkeypatch, Look("kafka:9092", "connection refused"))
    for error in (None, KafkaConnectionError(), TimeoutError(), KafkaConnectionError(), OSError(), None, None):
        offsets.error = error
        assert await watch.look() is None
        assert bool(watch.unreachable) is (error is not None)
    gone, back = caplog.messages
    assert gone.startswith("Kafka does not answer since")
    assert "kafka:9092: connection refused" in gone
    assert back.startswith("Kafka answers again")
    assert offsets.reconnected == 4


async def test_refused_credentials_stop_the_worker_when_they_stay_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at the first look: while credentials are changed they are refused for a moment."""
    watch, offsets = watching(monkeypatch, Look("kafka:9092", "it refuses the credentials", refused=True))
    offsets.error = KafkaConnectionError()
    found = [await watch.look() for _ in range(REFUSED_LOOKS)]
    assert found[:-1] == [None] * (REFUSED_LOOKS - 1)
    assert isinstance(found[-1], AuthenticationFailedError)


async def test_one_server_that_refuses_beside_others_that_are_away_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may be the one whose credentials are being changed."""
    watch, offsets = watching(monkeypatch, Look("a:1", "refused", refused=True), Look("b:1", "no answer within 3 s"))
    offsets.error = KafkaConnectionError()
    assert [await watch.look() for _ in range(2 * REFUSED_LOOKS)] == [None] * (2 * REFUSED_LOOKS)


async def test_an_unknown_topic_stops_the_worker_only_on_the_brokers_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client says so by itself where nobody answers; asked, the brokers name what is missing, or say nothing."""
    watch, _ = watching(monkeypatch)
    answers: list[Exception | None] = [None, KafkaConnectionError(), TopologyError("topic x does not exist")]

    async def verify(*_: Any) -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    monkeypatch.setattr(topology, "verify", verify)
    found = [await watch.verdict(UnknownTopicOrPartitionError()) for _ in range(3)]
    assert found[:2] == [None, None]
    assert isinstance(found[2], TopologyError)


async def test_the_group_in_trouble_is_told_of_once_per_kind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that passes: it is joined again, and nobody needs to read of each attempt."""
    watch, _ = watching(monkeypatch)
    for error in (KafkaError("loading"), KafkaError("loading"), NotEnoughReplicasError(), KafkaError("loading")):
        assert await watch.group_failed(error)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


def test_a_refusal_is_found_behind_the_errors_that_the_client_makes_of_it() -> None:
    """Its sender dies of anything with one error; the reason is its cause."""
    error = KafkaError("Unexpected error during batch delivery")
    error.__cause__ = GroupAuthorizationFailedError("tidemark")
    assert refusal(error) is error.__cause__
    assert "Unexpected error during batch delivery (" in in_words(error)
    assert "GroupAuthorizationFailedError" in in_words(error)
    assert refusal(NotEnoughReplicasError()) is None
    assert refusal(KafkaConnectionError()) is None


@pytest.mark.parametrize(
    ("topic", "rights"),
    [
        ("eu-players-events", "Read, Describe"),
        ("eu-tidemark-players-changelog", "Read, Write, Describe"),
        ("eu-players-stats", "Write, Describe"),
        ("eu-players-totals", "Read, Write, Describe"),
        ("eu-players-dead-letters", "Write, Describe"),
        ("eu-projects-snapshots", "Read, Write, Describe"),
        ("eu-assessments-snapshots", "Read, Write, Describe"),
    ],
)
def test_the_message_grants_what_a_worker_does_with_the_topic(topic: str, rights: str) -> None:
    """No less, or the next attempt is refused as well; the table of access rights in the docs says the same."""
    said = explained(TopicAuthorizationFailedError({topic}), SETTINGS, DOMAINS)
    assert f"the topic {topic}: it needs {rights}, DescribeConfigs; grant it with: kafka-acls.sh" in said
    assert said.endswith(f"--topic {topic}")


def test_each_topic_that_is_refused_has_its_command_on_a_line_of_its_own() -> None:
    """They are pasted into a shell."""
    said = explained(TopicAuthorizationFailedError({"eu-players-events", "eu-players-stats"}), SETTINGS, DOMAINS)
    assert [line.rsplit(" ", 1)[1] for line in said.splitlines()] == ["eu-players-events", "eu-players-stats"]


def test_a_setting_that_the_brokers_do_not_allow_is_named_with_its_value() -> None:
    """And with the brokers' own."""
    said = explained(InvalidTransactionTimeout(), SETTINGS)
    assert "TIDEMARK_TRANSACTION_TIMEOUT_SECONDS=10" in said
    assert "transaction.max.timeout.ms" in said
