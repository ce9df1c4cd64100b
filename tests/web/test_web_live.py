"""Server-sent events: who listens is told of changes, gets what it missed, and harms nobody by not listening."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from time import monotonic
from typing import Any, NamedTuple

import orjson
import pytest
from aiohttp import ClientResponse, ClientSession
from aiokafka import TopicPartition

from agents.driver import Sent
from app.engine.totals import TotalsReader
from app.topology import topic_name
from app.web.live import Live
from app.web.security import HEADERS
from tables.domain import Domain
from tables.event import OUTCOMES
from tables.players import PLAYERS
from tests.web import conftest
from tests.web.conftest import Client, Serve, bound_port
from tests.web.installation import Installation

PATH = "/api/v1/live"
OTHERS = replace(PLAYERS, name="others", views=())
SECONDS = 20.0


class Event(NamedTuple):
    """An event as a browser takes it in."""

    id: int
    name: str
    data: dict[str, Any]


class Told:
    """Two domains, one partition each: what every worker reads of them."""

    def __init__(self, port: int | None = None, **bounds: Any) -> None:
        alone = Installation().worker(bound_port() if port is None else port)
        totals = TotalsReader(alone.settings, [PLAYERS, OTHERS])
        totals.complete.set()
        self.worker = replace(alone, domains=(PLAYERS, OTHERS), totals=totals)
        self.live = Live(self.worker, **({"every_seconds": 0.0} | bounds))

    def change(self, domain: Domain = PLAYERS, *, consumed: int = 1, keys: int = 1) -> None:
        """A newer totals record."""
        totals = {"outcomes": dict.fromkeys(OUTCOMES, 0) | {"applied": consumed}, "keys": keys, "at": 1_000}
        where = TopicPartition(topic_name(self.worker.settings, domain, "totals"), 0)
        self.worker.totals._take(where, Sent(consumed, b"0", orjson.dumps(totals), [], 0))

    async def until_listening(self, number: int) -> None:
        """Wait until so many listen."""
        async with asyncio.timeout(SECONDS):
            while self.live._listening != number:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)


async def read(answer: ClientResponse) -> Event:
    """The next event; heartbeats are passed over."""
    fields: dict[str, str] = {}
    async with asyncio.timeout(SECONDS):
        while True:
            line = (await answer.content.readline()).decode()
            assert line, "the stream has ended"
            if line.startswith(":"):
                continue
            name, _, value = line.rstrip("\r\n").partition(": ")
            if name:
                fields[name] = value
            elif fields:
                return Event(int(fields["id"]), fields["event"], orjson.loads(fields["data"]))


async def heartbeat(answer: ClientResponse) -> None:
    """Pass when the next line is a heartbeat: nothing was owed."""
    async with asyncio.timeout(SECONDS):
        assert (await answer.content.readline()).startswith(b": ping")


@asynccontextmanager
async def listening(client: Client) -> Any:
    """A listener with a session of its own, which the worker's end does not close."""
    async with ClientSession(client.make_url("/")) as session, session.get(PATH) as answer:
        yield answer


async def test_a_change_is_told_to_all_that_listen(serve: Serve) -> None:
    """As an event of the domain's name, with its merged state; the ids grow."""
    told = Told()
    client = await serve(told.worker, told.live)
    async with client.get(PATH) as first, client.get(PATH) as second:
        assert first.headers["Content-Type"] == "text/event-stream"
        assert HEADERS.items() <= dict(first.headers).items()
        told.change(consumed=5, keys=2)
        event = await read(first)
        assert event.name == "players"
        assert event.data == {"domain": "players", "as_of": "1970-01-01T00:00:01.000Z", "consumed": 5, "keys": 2}
        assert await read(second) == event
        told.change(OTHERS, consumed=7)
        later = await read(first)
        assert (later.name, later.data["consumed"]) == ("others", 7)
        assert later.id > event.id
        assert await read(second) == later


async def test_one_domain_may_be_listened_to_alone(serve: Serve) -> None:
    """`domain` names it; another name is refused with the ones that there are."""
    told = Told()
    client = await serve(told.worker, told.live)
    async with client.get(f"{PATH}?domain=others") as answer:
        told.change(PLAYERS, consumed=1)
        told.change(OTHERS, consumed=2)
        assert (await read(answer)).name == "others"
    async with client.get(f"{PATH}?domain=nobodys") as answer:
        assert answer.status == 400
        error = (await answer.json())["error"]
        assert (error["parameter"], error["allowed"]) == ("domain", ["players", "others"])


async def test_who_comes_back_gets_at_once_what_it_missed_and_no_more(serve: Serve) -> None:
    """The latest state of each domain that has changed since its last event."""
    told = Told(heartbeat_seconds=0.05)
    client = await serve(told.worker, told.live)
    async with client.get(PATH) as answer:
        told.change(consumed=1)
        seen = await read(answer)
        told.change(OTHERS, consumed=2)
        other = await read(answer)
        told.change(OTHERS, consumed=3)
        await read(answer)
        told.change(OTHERS, consumed=4)
        last = await read(answer)
    for known, owed in ((seen, [last]), (other, [last]), (last, [])):
        async with client.get(PATH, headers={"Last-Event-ID": str(known.id)}) as answer:
            assert [await read(answer) for _ in owed] == owed
            await heartbeat(answer)


@pytest.mark.parametrize("known", [None, "", "0", "7", "-1", "x", "²", "9" * 19, "9" * 5_000, "ours + 1", "before"])
async def test_an_id_that_is_none_of_ours_counts_as_none(serve: Serve, known: str | None) -> None:
    """A new listener, a stranger's id, another worker's, one of before the start: everything is owed."""
    told = Told()
    client = await serve(told.worker, told.live)
    async with client.get(PATH) as answer:
        told.change(consumed=1)
        event = await read(answer)
    given = {"ours + 1": str(event.id + 1), "before": str(event.id - 10)}.get(known or "", known)
    async with client.get(PATH, headers={} if given is None else {"Last-Event-ID": given}) as answer:
        assert await read(answer) == event


async def test_changes_are_told_together(serve: Serve) -> None:
    """At most one event per interval, with the latest state; the first one after a rest at once."""
    told = Told(every_seconds=0.2)
    client = await serve(told.worker, told.live)
    async with client.get(PATH) as answer:
        began, events = monotonic(), list[Event]()
        for number in range(1, 101):
            told.change(consumed=number)
            await asyncio.sleep(0.001)
        while not events or events[-1].data["consumed"] < 100:
            events.append(await read(answer))
        assert len(events) <= 2 + (monotonic() - began) / 0.2
        assert events[0].data["consumed"] < 100


async def test_nothing_is_told_before_the_totals_are_complete(serve: Serve) -> None:
    """What has been read so far may be less than what was told before a restart."""
    told = Told(heartbeat_seconds=0.05)
    told.worker.totals.complete.clear()
    client = await serve(told.worker, told.live)
    async with client.get(PATH) as answer:
        told.change(consumed=1)
        await heartbeat(answer)
        told.change(consumed=2)
        told.worker.totals.complete.set()
        assert (await read(answer)).data["consumed"] == 2


async def test_more_listeners_than_there_may_be_are_refused(serve: Serve) -> None:
    """503 with Retry-After; the place of one that has gone is free again, though nothing is told meanwhile."""
    told = Told(listeners=2)
    client = await serve(told.worker, told.live)
    async with client.get(PATH):
        async with listening(client), client.get(PATH) as third:
            assert third.status == 503
            assert int(third.headers["Retry-After"]) > 0
            assert (await third.json())["error"]["code"] == "too_many_listeners"
        await told.until_listening(1)
        async with client.get(PATH) as third:
            assert third.status == 200


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A connection that takes in as little as there is, and never reads."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.setblocking(False)
        yield connection


async def test_a_listener_that_does_not_read_is_dropped(serve: Serve, deaf: socket.socket) -> None:
    """And is no burden on the others, who get every state as it comes."""
    told = Told(send_seconds=0.3)
    port = told.worker.settings.web_port
    conftest._bound[port].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)  # the kernel holds less for it
    client = await serve(told.worker, told.live)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, (client.host, port))
    await loop.sock_sendall(deaf, f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await told.until_listening(1)
    async with client.get(PATH) as answer:
        await told.until_listening(2)
        async with asyncio.timeout(SECONDS):
            for number in range(1, 1_000_000):
                told.change(consumed=number)
                assert (await read(answer)).data["consumed"] == number
                if told.live._listening == 1:
                    break
        assert number > 1


async def test_a_worker_that_stops_lets_its_listeners_go(serve: Serve) -> None:
    """At once: their streams end, and nobody waits for them."""
    told = Told()
    client = await serve(told.worker, told.live)
    async with listening(client) as answer, asyncio.timeout(SECONDS):
        told.change()
        await read(answer)
        began = monotonic()
        await client.close()
        assert monotonic() - began < 2.0
        with suppress(ConnectionError):
            assert await answer.content.read() in (b"", b"\r\n")
    assert told.live._listening == 0


async def test_a_domain_that_cannot_be_merged_does_not_silence_the_others(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect is logged; the next change is told."""
    told = Told()
    merged = told.worker.totals.totals

    def defective(domain: Domain, but: int | None = None) -> Any:
        if domain is PLAYERS:
            raise ZeroDivisionError
        return merged(domain, but)

    monkeypatch.setattr(told.worker.totals, "totals", defective)
    client = await serve(told.worker, told.live)
    async with client.get(PATH) as answer:
        told.change(PLAYERS)
        told.change(OTHERS)
        assert (await read(answer)).name == "others"


def test_ids_of_two_starts_are_apart() -> None:
    """Unless they are of one millisecond: what one has counted in its life does not reach into the other's ids."""
    first = Told(port=1).live._first
    assert first % 1_000_000 == 0
    assert first < 2**63
