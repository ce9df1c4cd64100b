"""How the dry run of a resend says that letters would end, and how they do end. No broker."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.deadletter import RESENT
from agents.driver import NOW, Driver, Sent
from app.deadletters import foretelling
from app.deadletters.foretelling import COUNTED, OVERTAKEN, PASSED, Foretelling, Held
from app.deadletters.letter import Letter, letter_of
from app.deadletters.mending import Mending
from app.deadletters.report import Report
from app.deadletters.resending import WOULD, Resender, Resent
from app.deadletters.standing import Standing
from app.settings import Settings
from app.topology import topic_name
from tables.assessments import ASSESSMENTS
from tables.domain import Domain
from tables.event import Outcome, iso
from tables.players import PLAYERS
from tables.projects import PROJECTS
from tests.laws.strategies import every_domain, play, stories
from tests.tables.inputs import event

SETTINGS = Settings(partitions=1)
Fields = dict[str, Any]


def assessment(id_: str) -> Fields:
    """One of the session s."""
    return {"result_type": "x", "event_id": id_, "session_id": "s", "payload": {"timestamp": iso(NOW)}}


def dead(driver: Driver, key: str, *values: Fields | bytes) -> list[Letter]:
    """The letters of records that a partition has got; their key is nobody's."""
    for value in values:
        driver.send(key, value)
    driver.settle()
    sent = [Sent(at, one.key, one.value, list(one.headers), NOW) for at, one in enumerate(driver.dead_letters)]
    return [found for one in sent if (found := letter_of(one, 0)) is not None]


def foretold(driver: Driver, *letters: Letter, unchecked: bool = False, **how: Any) -> list[Resent]:
    """What a dry run says of them; how they would end has to be how they do end."""
    resender = Resender(SETTINGS, driver.domain, Standing(), Mending(**how), by_id=True, unchecked=unchecked)

    async def given() -> AsyncIterator[Letter]:
        for one in letters:  # a driver calls every source after its domain
            original = one.original._replace(topic=topic_name(SETTINGS, driver.domain, "events"))
            yield one._replace(original=original)

    async def rows(wanted: Mapping[int, set[bytes]]) -> dict[int, Held]:
        return {number: cast("Held", dict(driver.cells)) for number in wanted}

    async def telling() -> list[Resent]:
        foretelling_ = Foretelling(SETTINGS, driver.domain, rows)
        return [one async for one in foretelling_.foretold(resender.prepared(given()))]

    with pytest.MonkeyPatch.context() as clock:
        clock.setattr(foretelling, "now_ms", lambda: driver.now)
        return asyncio.run(telling())


def resend(driver: Driver, letter: Letter, **how: Any) -> str:
    """How it ends, resent."""
    mended = asyncio.run(Mending(**how).mended(letter, driver.domain))
    before = list(driver.task.table.totals.outcomes)
    driver.send(mended.key, mended.value, [(RESENT, str(letter.original).encode())], timestamp=mended.timestamp)
    driver.fold()
    after = driver.task.table.totals.outcomes
    return next(outcome.name for outcome in Outcome if after[outcome] > before[outcome])


def hit(seq: int) -> bytes:
    """A hit of ann's in the match of all."""
    return json.dumps(event("damage", seq=seq)).encode()


@pytest.mark.parametrize(("seq", "reason"), [(2, PASSED), (9, PASSED), (10, "")])
def test_a_sequence_that_its_row_has_passed_is_warned_of_and_counts_all_the_same(seq: int, reason: str) -> None:
    """By its original. What its producer sends by itself is told by the sequence: if he has, it counts twice."""
    driver = Driver(PLAYERS)
    driver.send("ann", hit(9))
    (letter,) = dead(driver, "ann", b"{")
    (one,) = foretold(driver, letter, value=hit(seq))
    assert (one.result, one.outcome, one.reason) == (WOULD, "APPLIED", reason)
    assert resend(driver, letter, value=hit(seq)) == one.outcome


@pytest.mark.parametrize(
    ("domain", "key", "first", "value", "outcome", "reason"),
    [
        (ASSESSMENTS, "s", assessment("a"), assessment("a"), "DUPLICATE", COUNTED),
        (ASSESSMENTS, "s", assessment("a"), assessment("b"), "APPLIED", ""),
        (PROJECTS, "p", None, None, "LATE", OVERTAKEN),
    ],
    ids=["an id that is counted", "another id", "an older version"],
)
def test_what_changes_nothing_is_said(
    domain: Domain, key: str, first: Fields | None, value: Fields | None, outcome: str, reason: str
) -> None:
    """By the rows that there are: an id that is counted, a newer version that is known."""
    driver = Driver(domain)
    upsert = {"type": "upserted", "project_id": key, "status": "s", "priority": "p", "progress": 1}
    (letter,) = dead(driver, "nobody", value or upsert | {"name": "old"})
    driver.wait(60)
    driver.send(key, first or upsert | {"name": "new"})
    driver.settle()
    (one,) = foretold(driver, letter, rekey=True)
    assert (one.result, one.outcome, one.reason) == (WOULD, outcome, reason)
    assert resend(driver, letter, rekey=True) == outcome


@every_domain
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_letter_ends_as_it_was_foretold(data: st.DataObject, domain: Domain) -> None:
    """Whatever a partition has folded: events of its own story, under a wrong key, are resent by their entity."""
    driver = Driver(domain)
    play(driver, data.draw(stories(domain)))
    driver.settle()
    events = [record.value for record in driver.source if record.value is not None]
    chosen = data.draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    known = len(driver.dead_letters)
    letters = dead(driver, "\u2603", *chosen)[known:]
    told = foretold(driver, *letters, unchecked=True, rekey=True)
    sent = [(letter, one) for letter, one in zip(letters, told, strict=True) if one.outcome]
    assert [resend(driver, letter, rekey=True) for letter, _ in sent] == [one.outcome for _, one in sent]


def test_letters_are_foretold_one_after_the_other() -> None:
    """Of two about one event the first counts; so of two about one original, as a reset leaves them."""
    driver = Driver(ASSESSMENTS)
    one, same, other = dead(driver, "nobody", assessment("a"), assessment("a"), assessment("b"))
    told = foretold(driver, one, same, other, other, rekey=True)
    assert [found.outcome for found in told] == ["APPLIED", "DUPLICATE", "APPLIED", "DUPLICATE"]
    assert [resend(driver, letter, rekey=True) for letter in (one, same, other, other)] == [
        found.outcome for found in told
    ]


def test_what_is_a_dead_letter_again_is_foretold_where_it_is_sent_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the worker's reason; a fold that raises takes no other letter with it."""
    driver = Driver(PLAYERS)
    garbage, fine = dead(driver, "ann", b"{", b"[")
    (one,) = foretold(driver, garbage, unchecked=True)
    assert (one.outcome, one.reason) == ("INVALID", garbage.reason)
    with monkeypatch.context() as broken:
        broken.setattr("tables.players.CLASSES", ())
        told = foretold(driver, garbage, fine, unchecked=True, value=hit(1))
    assert [(found.outcome, "IndexError" in found.reason) for found in told] == [("INVALID", True)] * 2
    assert foretold(driver, fine, value=hit(1))[0].outcome == "APPLIED"


def test_letters_of_many_times_the_memory_are_foretold_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are read anew for each part; cells that cannot be read, or belong to nobody, are in no one's way."""
    monkeypatch.setattr(foretelling, "LETTERS", 2)
    driver = Driver(ASSESSMENTS)
    letters = dead(driver, "nobody", *(assessment(str(number)) for number in range(5)))
    driver.send("s", assessment("3"))
    driver.settle()
    driver.cells[b"\xff"] = b"garbage"
    driver.cells[b'["s","id","9"]'] = b"\x01\xff"
    told = foretold(driver, *letters, rekey=True)
    assert [one.letter.id for one in told] == [letter.id for letter in letters]
    assert [one.outcome for one in told] == ["APPLIED", "APPLIED", "APPLIED", "DUPLICATE", "APPLIED"]


def test_the_report_of_a_dry_run_says_how_letters_would_end(capsys: pytest.CaptureFixture[str]) -> None:
    """Of each, and in the summary; for scripts as a name."""
    driver = Driver(ASSESSMENTS)
    one, same = dead(driver, "nobody", assessment("a"), assessment("a"))
    report, scripts = Report(as_json=False), Report(as_json=True)
    for resent in foretold(driver, one, same, rekey=True):
        report.resent(resent, later=False)
        scripts.resent(resent, later=False)
    first, second, *objects = sorted(capsys.readouterr().out.splitlines())
    assert first == "0/0 would be resent assessments-events/0, and count"
    assert second == f"0/1 would be resent assessments-events/0, and change nothing (DUPLICATE): {COUNTED}"
    assert [json.loads(line)["outcome"] for line in objects] == ["applied", "duplicate"]
    report.finish("assessments", execute=False)
    assert capsys.readouterr().err.splitlines() == [
        "assessments: 2 would be resent",
        "  1 would count",
        "  1 would change nothing (DUPLICATE)",
        "nothing was sent: --execute does it",
    ]
