"""Which Kafka a command talks to: the one that is named, else the embedded one, with the topics it needs."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from app import topology
from app.broker import embedded
from app.broker.folder import announcement
from app.broker.jars import KAFKA_VERSION
from app.settings import Settings, load
from tables import DOMAINS


class Connection(NamedTuple):
    """A Kafka that can be used: `settings` name its servers, whatever the environment said.

    `version` is known of the embedded one; others do not tell theirs.
    """

    settings: Settings
    embedded: bool
    version: str | None


@contextmanager
def connection(folder: Path | None = None, *, create: bool = True) -> Iterator[Connection]:
    """Find Kafka; the embedded one is started where none is named, and lives as long as somebody uses it.

    Topics of a named Kafka are its owner's business (`tidemark topics create`); those of the embedded one are created
    here, since nobody else is there to do it, and follow changed settings.

    Args:
        folder: where the embedded Kafka keeps its data, instead of the folder that all commands share.
        create: whether to create the topics of the embedded Kafka; commands that look at topics look at what is there.

    Raises:
        SettingsError: a setting is wrong.
        BrokerError: no Kafka is named and the embedded one cannot be had.
    """
    settings = load()
    if settings.bootstrap_servers:
        yield Connection(settings, embedded=False, version=None)
        return
    with ExitStack() as running:
        with Console(stderr=True).status(announcement()):
            broker = running.enter_context(embedded(folder / "kafka" if folder else None))
        settings = settings.model_copy(update={"bootstrap_servers": broker.bootstrap_servers})
        if create:
            asyncio.run(topology.create(settings, DOMAINS))
            asyncio.run(topology.alter(settings, DOMAINS))
        yield Connection(settings, embedded=True, version=KAFKA_VERSION)
