"""`tidemark deadletters`: look at records that could not be folded, and send them again."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import click
from rich.console import Console

from app import topology
from app.connection import connection
from app.deadletters import shown
from app.deadletters.foretelling import Changelogs, Foretelling
from app.deadletters.letter import Letter
from app.deadletters.mending import Mending
from app.deadletters.report import Report
from app.deadletters.resending import RESENT_TO, Resender
from app.deadletters.standing import FOLDED, Letters, Standing
from app.deadletters.summary import Summary
from app.deadletters.waiting import Waiting
from app.deadletters.wanted import IdType, Wanted, filters
from app.engine.fetch import consuming
from app.failures import fail
from app.settings import Settings
from tables import DOMAINS
from tables.domain import Domain

LIMIT = 50
WAIT_SECONDS = 60.0
Work = Callable[[Settings, Domain, Letters, Callable[[str], None]], Awaitable[None]]

_domain = click.argument("domain", type=click.Choice([domain.name for domain in DOMAINS]))


@click.group()
def deadletters() -> None:
    """Look at records that could not be folded, and send them again.

    A dead letter holds whatever the producer sent. What is shown has no control characters in it.

    \b
    Examples:
      tidemark deadletters list players --summary
      tidemark deadletters show players 0/17
      tidemark deadletters resend players 0/17 --new-value-file mended.json --execute --wait
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are


@deadletters.command("list")
@_domain
@filters
@click.option("--limit", type=click.IntRange(1, 100_000), default=LIMIT, show_default=True, help="The newest so many.")
@click.option("--summary", is_flag=True, help="Count them by outcome, state and reason instead.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per letter (or line of the summary).")
def list_(domain: str, limit: int, *, summary: bool, as_json: bool, **asked: Any) -> None:
    """List dead letters, the newest last, and what has become of each.

    \b
    open       it was not folded
    folded     it was resent, and is folded
    again as   it was resent, and is a dead letter again, under that id
    truncated  it was too large to be kept whole
    forgotten  so old that its partition does not know any more whether it was folded

    After a reset workers write their letters again: --summary counts those of one record once, and says how many there
    are.

    Exit code 0: listed, also where there is none; 2: wrong usage or configuration; 3: no Kafka answers.

    \b
    Examples:
      tidemark deadletters list players --since 2h --outcome invalid
      tidemark deadletters list players --reason 'Expected `int`' --limit 1000 --json | jq -r .id
      tidemark deadletters list tutors --summary
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    wanted = _wanted((), asked)
    counts, newest, seen = Summary(), deque[shown.Line](maxlen=limit), Counter[str]()

    async def work(_settings: Settings, _domain: Domain, letters: Letters, _say: Callable[[str], None]) -> None:
        standing = await letters.standing()
        found: list[shown.Line] = []
        async for letter in letters.read(wanted):
            state = standing.of(letter)
            seen["letters"] += 1
            if summary:
                counts.add(letter, state)
            else:
                found.append(shown.line(letter, state))
                if len(found) >= 2 * limit:  # each partition has its own order
                    found = _newest(found, limit)
        newest.extend(_newest(found, limit))

    _run(domain, work)
    if as_json:
        for line in counts.as_json() if summary else newest:
            click.echo(json.dumps(line))
    elif summary:
        counts.print()
    else:
        shown.print_table(newest)
    if not seen["letters"]:
        click.echo(f"{domain} has no such dead letter", err=True)
    elif not summary and seen["letters"] > len(newest):
        click.echo(f"the newest {len(newest):,} of {seen['letters']:,}; --limit shows more", err=True)


def _newest(lines: list[shown.Line], limit: int) -> list[shown.Line]:
    return sorted(lines, key=lambda line: line["written"] or "")[-limit:]


@deadletters.command()
@_domain
@click.argument("id", type=IdType())
@click.option("--raw", is_flag=True, help="Write the value's bytes to standard output, as they are, and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for scripts.")
def show(domain: str, id: tuple[int, int], *, raw: bool, as_json: bool) -> None:  # noqa: A002 -- the argument's name
    """Show all of a dead letter. ID is PARTITION/OFFSET in the dead letters' topic.

    Exit code 0: shown; 1: there is no such letter; 2: wrong usage or configuration; 3: no Kafka answers.

    \b
    Examples:
      tidemark deadletters show players 0/17
      tidemark deadletters show players 0/17 --raw > broken.json
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    if raw and as_json:
        raise click.UsageError("--raw writes bytes, --json an object: give one of them")
    wanted, found = Wanted(frozenset({id})), list[tuple[Letter, str]]()

    async def work(_settings: Settings, _domain: Domain, letters: Letters, _say: Callable[[str], None]) -> None:
        async for letter in letters.read(wanted):
            found.append((letter, ""))
        if found and not raw:
            found[0] = found[0][0], (await letters.standing()).of(found[0][0])

    _run(domain, work)
    if not found:
        fail(_missing(domain, wanted.ids))
    letter, state = found[0]
    if raw:
        click.get_binary_stream("stdout").write(letter.value or b"")
    elif as_json:
        click.echo(json.dumps(shown.whole(letter, state)))
    else:
        shown.print_whole(shown.whole(letter, state))


@deadletters.command()
@_domain
@click.argument("ids", nargs=-1, type=IdType(), metavar="[ID...]")
@filters
@click.option("--all", "all_", is_flag=True, help="All that there are.")
@click.option("--limit", type=click.IntRange(1), help="At most so many unfolded ones, partition by partition.")
@click.option("--rekey", is_flag=True, help="With the entity of the event for a key.")
@click.option("--new-key", help="With this key.")
@click.option("--new-value", help="With this value; for one ID.")
@click.option("--new-value-file", type=click.File("rb"), help="With the bytes of this file; for one ID. `-`: stdin.")
@click.option("--with", "command", metavar="COMMAND", help="Through this program: value in, new value out, no shell.")
@click.option("--now", is_flag=True, help="With the time of now for the record's, not the one that it had.")
@click.option("--execute", is_flag=True, help="Do it. Without this it is only said what would be done.")
@click.option("--wait", is_flag=True, help="Wait until a worker has come to each, and say how it ended.")
@click.option("--timeout", type=click.FloatRange(0), default=WAIT_SECONDS, show_default=True, help="Seconds to --wait.")
@click.option("--unchecked", is_flag=True, help="Also those that are folded, or that this release would not fold.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per letter, for scripts.")
def resend(
    domain: str,
    ids: tuple[tuple[int, int], ...],
    *,
    all_: bool,
    limit: int | None,
    execute: bool,
    wait: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Send dead letters again, as they were or mended. A dry run, unless --execute is given.

    A resent letter names its original in a header, and a worker folds each original once: to send it twice changes
    nothing. That its source has gone past its sequence does not matter: it counts. Look first whether its producer has
    sent the event again by itself: players would count it twice. Where a row has the event by its id or version, or has
    a newer version, it changes nothing. The dry run says of each how it would end, by the rows as they are.

    It goes to the partition of its key, with its own headers and its record's time. What this release would not fold
    is not sent, unless --unchecked: it would be a dead letter again.

    Exit code 0: all are resent (or would be, even if it changed nothing; or are folded already), and with --wait
    folded; 1: some are not, or there is no such ID; 2: wrong usage or configuration; 3: no Kafka answers.

    \b
    Examples:
      tidemark deadletters resend players 0/17 --new-value-file mended.json --execute --wait
      tidemark deadletters resend players --outcome misrouted --rekey
      tidemark deadletters resend players --reason '$.damage' --with "jq -c '.damage |= tonumber'" --execute
      tidemark deadletters resend tutors --all --execute       after a release that understands them
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    mending, unchecked, timeout = _mending(asked, len(ids)), asked.pop("unchecked"), asked.pop("timeout")
    wanted = _wanted(ids, asked)
    if not (ids or wanted.filters or all_):
        raise click.UsageError("name dead letters by ID, choose some with a filter, or give --all")
    if wait and not execute:
        raise click.UsageError("--wait waits for what --execute sends: give both")
    report = Report(as_json=as_json)

    async def work(settings: Settings, declared: Domain, letters: Letters, say: Callable[[str], None]) -> None:
        standing = await letters.standing()
        resender = Resender(settings, declared, standing, mending, by_id=bool(ids), unchecked=unchecked)
        found = set(ids)
        chosen = _first(letters.read(wanted), limit, standing, found)
        foretelling = Foretelling(settings, declared, Changelogs(settings, declared, say).rows)
        async for one in resender.resend(chosen) if execute else foretelling.foretold(resender.prepared(chosen)):
            report.resent(one, later=wait and one.result == RESENT_TO)
            say(f"{report.number:,} letters")
        if found and limit is None:
            report.missing = _missing(domain, found)
        if wait:
            waiting = Waiting(settings, declared, letters, standing, say)
            for ended in await waiting.ended(report.sent, timeout):
                report.ended(ended)

    _run(domain, work)
    report.finish(domain, execute=execute)


def _mending(asked: dict[str, Any], ids: int) -> Mending:
    value, file = asked.pop("new_value"), asked.pop("new_value_file")
    key, rekey, command = asked.pop("new_key"), asked.pop("rekey"), asked.pop("command") or ""
    if sum([value is not None, file is not None, bool(command)]) > 1:
        raise click.UsageError("--new-value, --new-value-file and --with all say what the value is: give one of them")
    if key is not None and rekey:
        raise click.UsageError("--new-key and --rekey both say what the key is: give one of them")
    if (value is not None or file is not None) and ids != 1:
        raise click.UsageError("a new value is for one letter: name it by its ID; --with mends many")
    new = None if value is None else value.encode("utf-8", "surrogateescape")
    return Mending(
        None if key is None else key.encode("utf-8", "surrogateescape"),
        file.read() if file is not None else new,
        rekey,
        command,
        asked.pop("now"),
    )


def _wanted(ids: tuple[tuple[int, int], ...], asked: dict[str, Any]) -> Wanted:
    outcome = asked.pop("outcome")
    return Wanted(frozenset(ids), outcome and outcome.upper(), **asked)


async def _first(
    letters: AsyncIterator[Letter], limit: int | None, standing: Standing, ids: set[tuple[int, int]]
) -> AsyncIterator[Letter]:
    """The first letters, those that are folded not counted; takes those that there are out of `ids`."""
    number = 0
    async for letter in letters:
        ids.discard((letter.partition, letter.offset))
        number += standing.of(letter) != FOLDED
        if limit is not None and number > limit:
            return
        yield letter


def _missing(domain: str, ids: Any) -> str:
    names = ", ".join(f"{partition}/{offset}" for partition, offset in sorted(ids))
    return f"{domain} has no dead letter {names}; `tidemark deadletters list {domain}` shows their ids"


def _run(domain: str, work: Work) -> None:
    """Do something with the dead letters of a domain."""
    declared = next(found for found in DOMAINS if found.name == domain)
    with connection(create=False) as kafka:
        settings = kafka.settings
        asyncio.run(topology.verify(settings, [declared]))

        async def reading() -> None:
            with Console(stderr=True).status(f"Reading the dead letters of {domain}") as status:
                async with consuming(settings) as consumer:
                    letters = Letters(settings, declared, consumer, status.update)
                    await work(settings, declared, letters, status.update)

        asyncio.run(reading())
