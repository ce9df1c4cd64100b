"""`tidemark generate`: believable events into a domain's source topic, or into a file."""

import asyncio
import json
import time
from collections.abc import Callable
from itertools import islice
from random import Random
from typing import Any

import click
import msgspec

from app import topology
from app.connection import connection
from app.generate.events import events_of
from app.generate.faults import Records, Shares, Summary, faulty
from app.generate.timing import START, Start, paced
from app.generate.writer import write
from app.ingest.report import Report
from tables import DOMAINS, domain_named
from tables.domain import Domain
from tables.event import iso

_SHARE = click.FloatRange(0, 1)


@click.command()
@click.argument("domain", type=click.Choice([domain.name for domain in DOMAINS]))
@click.option("--events", default=10_000, show_default=True, type=click.IntRange(0), help="So many events.")
@click.option("--keys", default=100, show_default=True, type=click.IntRange(1, 1_000_000), help="Of so many entities.")
@click.option("--seed", default=1, show_default=True, help="Another one gives other events.")
@click.option("--start", default=START, show_default=True, type=Start(), help="Time of the first: ISO, now, now-30d.")
@click.option("--duplicates", default=0.0, type=_SHARE, help="Share that comes twice: at once, or a little later.")
@click.option("--disorder", default=0.0, type=_SHARE, help="Share that the next records overtake, its own key's too.")
@click.option("--late", default=0.0, type=_SHARE, help="Share that is held back for thousands of records.")
@click.option("--poison", default=0.0, type=_SHARE, help="Records that are no events, so many for each event.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Records per second.  [default: all at once]")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="A file for JSON lines instead; - is standard output.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object, for scripts.")
def generate(  # noqa: PLR0913 - options of a command
    domain: str,
    *,
    events: int,
    keys: int,
    seed: int,
    start: int,
    duplicates: float,
    disorder: float,
    late: float,
    poison: float,
    rate: float | None,
    output: str | None,
    as_json: bool,
) -> None:
    """Make believable events and write them into a domain's source topic.

    The same seed and options give the same bytes in the same order: the events begin at a fixed time unless --start
    says otherwise, and nothing depends on the clock. --start now-30d makes data that looks alive. Event time goes on at
    the domain's own pace, whatever --rate: begin early enough, events more than a day ahead of now are refused.

    Faults are added and take nothing away: what is left without repeats and poison, sorted, are the events. Poison is
    bad JSON, a missing field, a wrong type, NaN, no bytes, deep nesting, no key, a wrong key. Files hold events only:
    poison and records without a value are left out, and counted; `tidemark ingest events` reads them.

    \b
    Examples:
      tidemark generate players --events 100000 --keys 1000
      tidemark generate players --duplicates 0.01 --disorder 0.05 --late 0.01 --poison 0.001
      tidemark generate players --start now-1d --rate 50
      tidemark generate tutors --start now-60d       what counts of tutors is the last 90 days
      tidemark generate players --events 1000 --output events.jsonl
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    declared = domain_named(domain)
    made = islice(events_of(domain, Random(f"{seed}/events"), keys, start), events)  # noqa: S311 - not for secrets
    summary, report, left_out, done = Summary(), Report(), 0, False
    shares = Shares(duplicates, disorder, late, poison)
    records = faulty(made, shares, seed, accepts(declared), summary)
    try:
        if output is None:
            _to_topic(declared, records, rate, report)
        else:
            left_out = _to_file(output, records, rate, report)
        done = True
    finally:  # also when Ctrl-C or Kafka ends it: what is written is written
        if done or report.written:
            told = {"domain": domain, "start": iso(start)} | summary.as_json()
            _print(told | {"written": report.written, "left_out": left_out}, as_json=as_json, err=output == "-")


def accepts(domain: Domain) -> Callable[[bytes], bool]:
    """Whether bytes are an event of the domain, as a worker would say."""
    decode = msgspec.json.Decoder(domain.event).decode

    def accepted(value: bytes) -> bool:
        try:
            event = decode(value)
            domain.entity(event)
            at = domain.at(event)
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
            return False
        return at is None or at >= 0

    return accepted


def _to_topic(domain: Domain, records: Records, rate: float | None, report: Report) -> None:
    with connection() as kafka:
        asyncio.run(topology.verify(kafka.settings, [domain]))
        topic = topology.topic_name(kafka.settings, domain, "events")
        asyncio.run(write(kafka.settings, topic, records, report, paced(rate)))


def _to_file(output: str, records: Records, rate: float | None, report: Report) -> int:
    """Write the events that a line can say; returns how many others there were."""
    left_out = 0
    ahead = paced(rate)
    with click.open_file(output, "wb") as file:
        for record in records:
            if record.poison or record.value is None:
                left_out += 1
                continue
            if ahead is not None and (seconds := ahead()):
                file.flush()
                time.sleep(seconds)
            file.write(record.value + b"\n")
            report.written += 1
    return left_out


def _print(told: dict[str, Any], *, as_json: bool, err: bool) -> None:
    if as_json:
        click.echo(json.dumps(told), err=err)
        return
    for name in ("events", "duplicates", "disordered", "late"):
        click.echo(f"{name:<10} {told[name]:>12,}", err=err)
    click.echo(f"{'poison':<10} {sum(told['poison'].values()):>12,}", err=err)
    for kind, number in told["poison"].items():
        click.echo(f"  {number:>19,}  {kind}", err=err)
    if told["left_out"]:
        click.echo(f"{'left out':<10} {told['left_out']:>12,}", err=err)
    click.echo(f"{'written':<10} {told['written']:>12,}", err=err)
