"""Resent dead letters: each original is folded once, whatever its source has sent since and however often it comes."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.deadletter import RESENT, opened, place_of
from agents.driver import Driver
from tables.assessments import ASSESSMENTS
from tables.domain import Domain
from tables.event import OUTCOMES, Outcome
from tables.players import PLAYERS
from tables.projects import PROJECTS
from tables.resent import PAGE, PAGES, Original
from tables.table import CorruptCellError, cell_key
from tests.app.test_verify_laws import compared
from tests.chaos.oracle import PlayersOracle
from tests.laws.looking import assert_as_restored, bodies
from tests.laws.strategies import EXAMPLES, every_domain, valid
from tests.oracle.interface import Raw
from tests.tables.inputs import Fields, event, tell

SPOILT = b"{"
Headers = list[tuple[str, bytes | None]]


def hit(seq: int, match: str = "m", player: str = "ann", **over: Any) -> Fields:
    """A hit of ten."""
    return event("damage", seq=seq, match=match, player=player, **over)


def resent(driver: Driver, fields: Fields | None, letter: int = -1, key: bytes | None = None) -> Outcome:
    """Resend a dead letter as the command does, with another value; how that ended."""
    found = driver.dead_letters[letter]
    value = found.value if fields is None else json.dumps(fields).encode()
    driver.send(key or found.key, value, headers_of(found))
    return folded(driver)


def headers_of(letter: Any) -> Headers:
    """The headers that a dead letter is resent with."""
    ours, theirs = opened(letter.headers)
    first = dict(theirs).get(RESENT) or f"{ours['topic']}/{ours['partition']}/{ours['offset']}".encode()
    return [(RESENT, first), *((name, text) for name, text in theirs if name != RESENT)]


def folded(driver: Driver) -> Outcome:
    """Fold what there is, commit, and say how the last record ended."""
    before = list(driver.task.table.totals.outcomes)
    driver.fold()
    (ended,) = [place for place, count in enumerate(driver.task.table.totals.outcomes) if count > before[place]]
    driver.commit()
    return Outcome(ended)


def spoilt(domain: Domain = PLAYERS, key: bytes = b"ann") -> Driver:
    """A driver with one dead letter, at offset 0."""
    driver = Driver(domain)
    driver.send(key, SPOILT, [("trace", b"7")])
    assert folded(driver) is Outcome.INVALID
    return driver


def test_a_dead_letter_counts_once_though_its_source_has_gone_on() -> None:
    """By its sequence it would be a duplicate: sequence 5 of a match of which 10 was folded."""
    driver = tell(spoilt(), hit(10))
    assert resent(driver, hit(5)) is Outcome.APPLIED
    assert resent(driver, hit(5)) is Outcome.DUPLICATE
    assert (driver.row("ann").head.revision, driver.task.table.totals.hits) == (2, 2)
    assert_as_restored(driver)


@pytest.mark.parametrize("between", [None, "other"])
def test_the_last_sequence_of_a_source_never_falls(between: str | None) -> None:
    """Whether the source is at hand or not: what was folded before the resend is a duplicate after it."""
    driver = tell(spoilt(), hit(10), *([hit(0, between)] if between else []))
    assert resent(driver, hit(5)) is Outcome.APPLIED
    tell(driver, hit(5), hit(7), hit(10), hit(11))
    assert driver.task.table.totals.outcomes[:2] == [3 + bool(between), 3]
    assert driver.row("ann").head.sequence == 11


def test_a_later_sequence_is_remembered_as_usual() -> None:
    """The letter was the newest of its match: an honest repeat of its event is recognised."""
    driver = tell(spoilt(), hit(4))
    assert resent(driver, hit(5)) is Outcome.APPLIED
    tell(driver, hit(5), hit(6))
    assert driver.task.table.totals.outcomes[:2] == [3, 1]


def test_what_fails_again_is_still_about_its_first_original() -> None:
    """A chain of dead letters is one thing: it counts once, whichever of them is resent."""
    driver = tell(spoilt(), hit(10))
    assert resent(driver, None) is Outcome.INVALID
    first, again = driver.dead_letters
    assert opened(first.headers)[1] == [("trace", b"7")]
    assert opened(again.headers)[0]["offset"] == "2"
    assert opened(again.headers)[1] == [(RESENT, b"players-events/0/0"), ("trace", b"7")]
    assert resent(driver, hit(5), letter=1) is Outcome.APPLIED
    assert resent(driver, hit(5), letter=0) is Outcome.DUPLICATE
    assert resent(driver, hit(5), letter=1) is Outcome.DUPLICATE


def test_a_misrouted_letter_is_resent_under_another_key() -> None:
    """And counts once under whichever key comes first."""
    driver = Driver(PLAYERS)
    driver.send(b"nobody", json.dumps(hit(5)).encode())
    assert folded(driver) is Outcome.MISROUTED
    assert resent(driver, None) is Outcome.MISROUTED
    assert resent(driver, hit(5), key=b"ann") is Outcome.APPLIED
    assert resent(driver, hit(5, player="bob"), key=b"bob") is Outcome.DUPLICATE
    assert driver.entities == ["ann"]


def test_what_was_not_committed_is_folded_after_the_crash() -> None:
    """The memory is as durable as the rows, and no more."""
    driver = tell(spoilt(), hit(10))
    driver.send(b"ann", json.dumps(hit(5)).encode(), headers_of(driver.dead_letters[0]))
    driver.fold()
    driver.crash()
    assert folded(driver) is Outcome.APPLIED
    driver.crash()
    assert resent(driver, hit(5)) is Outcome.DUPLICATE
    assert driver.row("ann").head.revision == 2


def test_the_memory_is_the_partitions_and_outlives_the_row() -> None:
    """Burial ends the memory of a key's sequences; an original is remembered all the same."""
    driver = Driver(PLAYERS, key_limit=1)
    driver.send(b"ann", SPOILT)
    folded(driver)
    assert resent(driver, hit(5)) is Outcome.APPLIED
    tell(driver, hit(1, player="bob"))
    assert driver.entities == ["bob"]
    assert resent(driver, hit(5)) is Outcome.DUPLICATE
    assert driver.entities == ["bob"]


def test_poison_that_is_resent_is_a_dead_letter_again_and_disturbs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fold raises at it once more; the rule for resent letters is off again for the record after it."""
    driver = tell(spoilt(), hit(10))
    driver.commit()
    monkeypatch.setattr("tables.players.DAMAGE_UNIT", "seven")
    assert resent(driver, hit(5)) is Outcome.INVALID
    monkeypatch.undo()
    assert tell(driver, hit(5)).task.table.totals.outcomes[Outcome.DUPLICATE] == 1
    assert resent(driver, hit(5)) is Outcome.APPLIED


# -- headers of strangers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        None, b"", b"/", b"players-events/0", b"players-events/0/-1", b"players-events/0/x", b"players-events/0/00",
        b"players-events/0/1 ", b"tutors-events/0/0", b"players-events/1/0", b"players-events/9999/0",
        b"players-events/0/9999999999999999999", b"\xff/0/0", b"players-events/0/1", b"players-events/0/2",
        b"players-events//0/0", "players-events/0/\N{ARABIC-INDIC DIGIT ZERO}".encode(),
    ],
)  # fmt: skip
def test_a_header_that_names_no_original_makes_its_record_invalid(text: bytes | None) -> None:
    """Passing over it would fold the record without the memory that its sender counts on."""
    driver = tell(Driver(PLAYERS), hit(4))
    driver.send(b"ann", json.dumps(hit(5)).encode(), [("trace", b""), (RESENT, text)])
    assert folded(driver) is Outcome.INVALID
    ours, theirs = opened(driver.dead_letters[0].headers)
    assert ours["reason"].startswith("the header tidemark-resent ")
    assert theirs == [("trace", b""), (RESENT, text)]
    assert driver.task.table.marks == {}


def test_other_headers_are_the_producers_business() -> None:
    """Also under names that begin as ours do; and of several of our name the first one counts."""
    driver = spoilt()
    driver.send(b"ann", json.dumps(hit(5)).encode(), [("tidemark-offset", b"x"), ("traceparent", b"00-1")])
    assert folded(driver) is Outcome.APPLIED
    driver.send(b"ann", json.dumps(hit(2)).encode(), [*headers_of(driver.dead_letters[0]), (RESENT, b"garbage")])
    assert folded(driver) is Outcome.APPLIED


def test_headers_of_a_dead_letter_are_told_from_the_originals_own() -> None:
    """A producer who sends our names has them back as his."""
    forged: Headers = [("tidemark-outcome", b"APPLIED"), ("tidemark-timestamp", b"1"), (RESENT, b"x"), ("a", None)]
    driver = Driver(PLAYERS)
    driver.send(b"ann", SPOILT, forged)
    folded(driver)
    ours, theirs = opened(driver.dead_letters[0].headers)
    assert (ours["outcome"], ours["timestamp"], theirs) == ("INVALID", str(driver.now), forged)
    assert opened([]) == ({}, [])
    before = [(name, text) for name, text in driver.dead_letters[0].headers if text != str(driver.now).encode()]
    assert opened([*before[:5], ("a", None)])[1] == [("a", None)]  # of a release that noted no timestamp


@given(text=st.one_of(st.binary(max_size=40), st.from_regex(rb"[a-z./-]{0,9}/[0-9]{1,5}/[0-9]{1,22}")))
def test_any_bytes_name_a_place_or_none(text: bytes) -> None:
    """What does is spelled in one way only."""
    place = place_of(text)
    assert place is None or str(place).encode() == text


# -- what else recognises events ---------------------------------------------------------------------------------------


def test_an_id_that_is_known_was_folded_whoever_has_sent_it() -> None:
    """The producer has mended and sent it himself: the resend is a duplicate, also when the id is forgotten by then."""
    driver = spoilt(ASSESSMENTS, b"s")
    assessment = _assessment("mended")
    driver.send(b"s", json.dumps(assessment).encode())
    driver.fold()
    assert resent(driver, assessment) is Outcome.DUPLICATE
    for number in range(40):
        driver.send(b"s", json.dumps(_assessment(f"e{number}")).encode())
    driver.fold()
    assert resent(driver, assessment) is Outcome.DUPLICATE
    assert driver.row("s").head.revision == 41


def _assessment(event_id: str) -> Fields:
    return {
        "event_id": event_id,
        "result_type": "lightweight",
        "session_id": "s",
        "payload": {"timestamp": "2025-06-15T10:00:00Z"},
    }


@pytest.mark.parametrize("type_", ["upserted", "deleted"])
def test_a_project_that_has_changed_since_is_not_set_back(type_: str) -> None:
    """Upserts have no version; that of a resent one is the time at which it was sent first."""
    driver = spoilt(PROJECTS, b"p")
    sent_at = driver.now
    fields = {"type": "upserted", "project_id": "p", "name": "new", "status": "a", "priority": "b", "progress": 1}
    driver.wait(1)
    driver.send(b"p", json.dumps(fields).encode())
    driver.fold()
    old = fields | {"type": type_, "name": "old"}
    driver.send(b"p", json.dumps(old).encode(), headers_of(driver.dead_letters[0]), timestamp=sent_at)
    assert folded(driver) is Outcome.LATE
    assert driver.row("p").head.project.name == "new"
    driver.send(b"p", json.dumps(old).encode(), headers_of(driver.dead_letters[0]))  # sent anew: the newest there is
    assert folded(driver) is Outcome.APPLIED


@every_domain
@EXAMPLES
@given(data=st.data())
def test_a_mended_letter_counts_as_its_event_would_have(data: st.DataObject, domain: Domain) -> None:
    """In every domain; and the second time it is a duplicate."""
    record = data.draw(valid(domain).filter(lambda record: record.value is not None))
    plain, mended = Driver(domain), spoilt(domain, record.key or b"")
    plain.send(record.key, record.value)
    plain.fold()
    if plain.task.table.totals.outcomes[Outcome.APPLIED] != 1:
        return  # late, or nothing to delete
    headers = headers_of(mended.dead_letters[0])
    mended.send(record.key, record.value, headers)
    assert folded(mended) is Outcome.APPLIED
    mended.send(record.key, record.value, headers)
    assert folded(mended) is Outcome.DUPLICATE
    for driver in (plain, mended):
        driver.settle()
    assert bodies(mended) == bodies(plain)
    assert_as_restored(mended)


# -- the bound ---------------------------------------------------------------------------------------------------------


def test_the_last_ten_thousand_originals_are_remembered_and_what_is_older_is_refused() -> None:
    """At the least: each on a page of its own. Nothing that is forgotten counts, whether it was folded or not."""
    driver = Driver(PLAYERS)
    originals = driver.task.table.originals
    for number in range(PAGES):
        originals.remember(Original(0, number * PAGE))
    assert originals.recognised(Original(0, 0)) is Outcome.DUPLICATE
    assert originals.recognised(Original(0, 1)) is None
    driver.commit()
    originals.remember(Original(0, PAGES * PAGE))
    driver.commit()
    for task in (driver.task, driver.restored()):
        memory = task.table.originals
        assert memory.recognised(Original(0, 0)) is Outcome.LATE
        assert memory.recognised(Original(0, PAGE - 1)) is Outcome.LATE
        assert memory.recognised(Original(0, PAGE)) is Outcome.DUPLICATE
        assert memory.recognised(Original(0, PAGE + 1)) is None
        assert memory.recognised(Original(0, PAGES * PAGE)) is Outcome.DUPLICATE
    assert len(driver.cells) == PAGES + 1  # and where the forgotten ones end
    assert driver.restored().table.marks == driver.task.table.marks


def test_a_page_holds_sixty_four_originals_in_one_number() -> None:
    """A stretch of dead letters costs a changelog record for every 64 of them, not for each."""
    driver = Driver(PLAYERS)
    for offset in range(3 * PAGE):
        driver.task.table.originals.remember(Original(0, offset))
    assert [change.key for change in driver.commit().cells] == [
        cell_key(None, (f"resent/0/{page}",)) for page in range(3)
    ]
    assert driver.restored().table.originals.recognised(Original(0, 3 * PAGE - 1)) is Outcome.DUPLICATE


def test_the_source_partition_with_the_most_pages_gives_way() -> None:
    """A few letters of other partitions, which were misrouted, are not forgotten for the many of one."""
    driver = Driver(PLAYERS, partitions=3)
    originals = driver.task.table.originals
    originals.limit = 4
    for original in (Original(1, 0), Original(2, 0), Original(0, 640), Original(0, 64), Original(0, 0)):
        originals.remember(original)
    assert originals.recognised(Original(1, 0)) is Outcome.DUPLICATE
    assert originals.recognised(Original(2, 0)) is Outcome.DUPLICATE
    assert originals.recognised(Original(0, 0)) is Outcome.LATE
    assert originals.recognised(Original(0, 64)) is Outcome.DUPLICATE


@pytest.mark.parametrize("name", ["resent", "resent/", "resent/x/0", "resent/0/0/0", "resent/01/0", "resent/0/-1"])
def test_a_number_that_is_no_page_is_found_at_the_restore(name: str) -> None:
    """As anything else in a changelog that is not what this release writes."""
    table = Driver(PLAYERS).task.table
    with pytest.raises(CorruptCellError, match="no page"):
        list(table.load([(cell_key(None, (name,)), b"\x01\x07")], 0))


# -- anything in any order ---------------------------------------------------------------------------------------------

MATCHES, PLAYERS_SENT, SEQUENCES = ("m", "n"), ("ann", "bob"), 6
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.sampled_from(PLAYERS_SENT), st.sampled_from(MATCHES), st.integers(0, SEQUENCES)),
        st.tuples(st.just("spoilt"), st.sampled_from((*PLAYERS_SENT, "nobody"))),
        st.tuples(
            st.just("resent"),
            st.integers(0, 5),
            st.sampled_from((*PLAYERS_SENT, None)),
            st.sampled_from(MATCHES),
            st.integers(0, SEQUENCES),
        ),
        st.sampled_from([("fold",), ("commit",), ("crash",)]),
    ),
    max_size=60,
)


@settings(EXAMPLES, max_examples=300)
@given(steps=STEPS)
def test_whatever_happens_every_original_counts_once(steps: Sequence[tuple[Any, ...]]) -> None:
    """Originals, resends mended and not, repeated, to other players, between commits and crashes: as the oracle says.

    A resend knows only letters that are committed, as an operator does; the oracle knows the source alone.
    """
    driver = Driver(PLAYERS)
    for step, *about in steps:
        if step == "event":
            player, match, seq = about
            driver.send(player, hit(seq, match, player))
        elif step == "spoilt":
            driver.send(about[0], SPOILT)
        elif step == "resent" and driver.dead_letters:
            number, player, match, seq = about
            letter = driver.dead_letters[number % len(driver.dead_letters)]
            value = json.dumps(hit(seq, match, player)).encode() if player else letter.value
            driver.send(player or letter.key, value, headers_of(letter))
        elif step == "crash":
            driver.crash()
        else:
            driver.fold()
            if step == "commit":
                driver.commit()
                assert_as_restored(driver)
    driver.settle()
    oracle = PlayersOracle()
    for sent in driver.source:
        oracle.fold(Raw(0, sent.offset, sent.key, sent.value, sent.timestamp, tuple(sent.headers)))
    totals = driver.task.table.totals
    assert dict(zip(OUTCOMES, totals.outcomes, strict=True)) == {name: oracle.outcomes()[name] for name in OUTCOMES}
    wanted = oracle.totals()
    assert {name: getattr(totals, name) for name in wanted} == wanted
    stats = oracle.stats(0)
    assert bodies(driver).keys() == stats.keys()
    assert compared(driver, driver.now) == (0, None)  # as `tidemark verify` does it
    assert {key: body["hits"] for key, body in bodies(driver).items()} == {key: b["hits"] for key, b in stats.items()}
