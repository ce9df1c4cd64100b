"""A table is what its events say, whatever has happened to it; and what is not is found. No broker."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agents.driver import Driver, Sent
from agents.restore import Restore
from agents.task import Commit, FoldError, Outgoing
from app.verify.difference import Difference, differences
from app.verify.letters import letters, poisoned
from app.verify.rebuild import Made, Partition, Publications, Rebuild, published, restored
from tables.domain import Domain
from tables.emission import STATS
from tables.event import Outcome, millis
from tables.players import PLAYERS, DamageCell, PlayerHead
from tables.rollups import ROLLUPS
from tables.row import Row
from tables.table import TOTALS_KEY, cell_key
from tests.laws.strategies import EXAMPLES, every_domain, play, stories


def partition(driver: Driver) -> Partition:
    """The driver's, as a task is made of it."""
    return Partition(
        driver.domain,
        driver.partition,
        driver.partitions,
        driver.partition_of,
        driver.task.source,
        driver.key_limit,
        driver.options,
    )


def by_changelog(driver: Driver, now: int) -> Made:
    """The side of the changelog."""
    changelog = Restore()
    changelog.read(driver.changelog)
    return restored(partition(driver), changelog, now)


def by_events(driver: Driver, position: int, now: int, told: Publications | None = None) -> Made:
    """The side of the events."""
    known = letters(driver.dead_letters, driver.task.source, driver.partition)
    rebuild = Rebuild(partition(driver), poisoned(known, position), now, told, known=known)
    rebuild.read([record for record in driver.source if record.offset < position])
    return rebuild.finish()


def compared(driver: Driver, now: int, told: Publications | None = None) -> tuple[int, Difference | None]:
    """What `tidemark verify` would say of the driver's logs."""
    wanted = by_changelog(driver, now)
    made = by_events(driver, wanted.position, now, told)
    return differences(driver.domain, made.cells, wanted.cells)


class Noted(Driver):
    """A driver that notes when it has published what."""

    def __init__(self, domain: Domain, **options: Any) -> None:
        self.stats_log: list[Sent] = []
        super().__init__(domain, **options)

    def commit(self) -> Commit:
        """As any driver; the log of its stats grows by what it has published."""
        commit = super().commit()
        for key, value in ((record.key, record.value) for record in commit.outgoing if record.role == STATS):
            self.stats_log.append(Sent(len(self.stats_log), key, value, [], self.now))
        return commit

    def told(self, *, compacted: bool = False) -> Publications:
        """What its stats topic tells."""
        latest = {record.key: record for record in self.stats_log}
        return published(latest.values() if compacted else self.stats_log)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_no_story_makes_a_difference(data: st.DataObject, domain: Domain) -> None:
    """Batches, commits, crashes, waits, burials: at any moment later the changelog holds what the events say."""
    driver = Noted(domain, key_limit=data.draw(st.integers(0, 4)))
    play(driver, data.draw(stories(domain)))
    driver.fold()
    driver.commit()
    now = driver.now + data.draw(st.sampled_from((0, 1, 60_000, 3_600_000)))
    assert compared(driver, now) == (0, None)
    assert compared(driver, now, driver.told()) == (0, None)
    assert compared(driver, now, driver.told(compacted=True)) == (0, None)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_what_is_folded_and_not_committed_is_no_difference(data: st.DataObject, domain: Domain) -> None:
    """A worker may run meanwhile: the events are folded up to where the changelog's rows end."""
    driver = Driver(domain)
    story = data.draw(stories(domain))
    play(driver, story)
    play(driver, story[: data.draw(st.integers(0, len(story)))])
    driver.fold()
    assert compared(driver, driver.now) == (0, None)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_a_tampered_cell_is_found_and_named(data: st.DataObject, domain: Domain) -> None:
    """A head with another revision: one difference, and both values are told."""
    driver = Driver(domain)
    play(driver, data.draw(stories(domain)))
    driver.settle()
    assume(driver.entities)
    entity = data.draw(st.sampled_from(driver.entities))
    driver.row(entity).head.revision += 7
    driver.row(entity).touch()
    revision = driver.row(entity).head.revision
    driver.commit()
    differing, first = compared(driver, driver.now)
    assert differing == 1
    assert first is not None
    assert (first.entity, first.cell) == (entity, [])
    assert (first.events["revision"], first.changelog["revision"]) == (revision - 7, revision)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_a_lost_event_is_found(data: st.DataObject, domain: Domain) -> None:
    """A record that the fold has counted and the source does not hold, or the other way round."""
    driver = Driver(domain)
    play(driver, data.draw(stories(domain)))
    driver.settle()
    assume(driver.source)
    del driver.source[data.draw(st.integers(0, len(driver.source) - 1))]
    differing, first = compared(driver, driver.now)
    assert differing >= 1  # the outcomes of the totals, if nothing else
    assert first is not None


HIT = {
    "type": "damage",
    "match": "m",
    "seq": 1,
    "player": "ann",
    "match_type": "official",
    "at": "2025-06-01T00:00:00Z",
}


def hit(seq: int = 1, damage: float = 10, at: str = HIT["at"]) -> dict[str, object]:  # type: ignore[assignment]
    """A hit of ann's."""
    return {**HIT, "seq": seq, "damage": damage, "weapon": "WeapPan_C", "reason": "HeadShot", "at": at}


def test_a_missing_cell_and_one_too_many_are_told_apart() -> None:
    """One side says that there is no such cell."""
    driver = Driver(PLAYERS)
    driver.send("ann", hit())
    driver.settle()
    name = ("damage", "WeapPan_C", "HeadShot", "normal")
    cell = driver.row("ann").cells[name]
    del driver.row("ann").cells[name]
    driver.row("ann").touch(name)
    driver.commit()
    differing, first = compared(driver, driver.now)
    assert (differing, first) == (1, Difference("ann", [*name], {"hits": 1, "damage": 10_000_000}, None))
    driver.row("ann").cells[name] = cell
    driver.row("ann").cell(("damage", "WeapPan_C", "LegShot", "normal"), lambda: DamageCell(1, 2))
    driver.commit()
    driver.row("ann").touch(name)
    driver.commit()
    differing, first = compared(driver, driver.now)
    assert differing == 1
    assert first == Difference("ann", ["damage", "WeapPan_C", "LegShot", "normal"], None, {"hits": 1, "damage": 2})
    assert first.as_lines("player") == [
        'player \'ann\', ["damage","WeapPan_C","LegShot","normal"]',
        "  by the events:    no such cell",
        '  by the changelog: {"hits":1,"damage":2}',
    ]


def test_of_totals_that_differ_the_fields_that_differ_are_shown() -> None:
    """Rows come first; the totals only where no row differs."""
    driver = Driver(PLAYERS)
    driver.send("ann", hit())
    driver.settle()
    driver.task.table.totals.damage += 1
    driver.task.table.totals_changed = True
    driver.commit()
    differing, first = compared(driver, driver.now)
    assert differing == 1
    assert first is not None
    assert first.as_lines("player") == [
        'the partition\'s ["totals"]',
        '  by the events:    {"damage":10000000}',
        '  by the changelog: {"damage":10000001}',
    ]


def test_the_order_in_which_a_map_was_filled_is_no_difference() -> None:
    """Equal maps are equal, whatever their bytes."""
    cells = {TOTALS_KEY: b"\x01nonsense", cell_key("ann", ()): b"\x01nonsense"}
    assert differences(PLAYERS, cells, dict(cells)) == (0, None)
    assert differences(PLAYERS, cells, cells | {TOTALS_KEY: b"\x01other"})[0] == 1


def test_what_was_ahead_of_its_time_is_invalid_on_the_word_of_the_dead_letter() -> None:
    """Now it would be folded; then it was refused, and that is what happened."""
    driver = Driver(PLAYERS)
    driver.send("ann", hit())
    driver.send("ann", hit(seq=2, at="2025-06-18T00:00:00Z"))
    driver.settle()
    assert driver.task.table.totals.outcomes[Outcome.INVALID] == 1
    later = driver.now + 30 * 86_400_000
    assert compared(driver, later) == (0, None)
    driver.published["dead-letters"].clear()
    assert compared(driver, later)[0] > 0


def test_a_dead_letter_of_another_record_says_nothing() -> None:
    """Its topic was created anew: another record is at that offset now, and it was folded."""
    driver = Driver(PLAYERS)
    driver.send("ann", hit())
    driver.settle()
    for value, is_told in ((b"another", False), (driver.source[0].value, True)):
        headers = {"topic": driver.task.source, "partition": "0", "offset": "0", "outcome": "INVALID", "reason": "r"}
        letter = [(f"tidemark-{name}", text.encode()) for name, text in headers.items()]
        driver.published["dead-letters"] = [Outgoing("dead-letters", b"ann", value, tuple(letter))]
        assert (compared(driver, driver.now)[0] > 0) == is_told


def test_a_record_whose_fold_raised_is_taken_from_the_dead_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of the domain made it INVALID; without the dead letter the defect shows itself."""
    reduce = PLAYERS.reduce

    def defective(row: Row, event: object, at: int, totals: object) -> object:
        if getattr(event, "seq", 0) == 2:
            raise ZeroDivisionError("a defect")
        return reduce(row, event, at, totals)

    monkeypatch.setitem(PLAYERS.__dict__, "reduce", defective)
    driver = Driver(PLAYERS)
    for seq in (1, 2, 3):
        driver.send("ann", hit(seq=seq))
    driver.settle()
    assert compared(driver, driver.now) == (0, None)
    driver.published["dead-letters"].clear()
    with pytest.raises(FoldError, match="offset 1"):
        compared(driver, driver.now)


def test_dead_letters_of_others_are_nobodys_business() -> None:
    """Another topic, another partition, another outcome, a later offset, an original's own headers, no number."""

    def headers(**said: str) -> list[tuple[str, bytes | None]]:
        all_said = {"topic": "t", "partition": "0", "offset": "1", "outcome": "INVALID", "reason": "r"} | said
        return [(f"tidemark-{name}", value.encode()) for name, value in all_said.items()]

    mine = headers()
    resent = headers() + headers(topic="other", offset="7")
    for told, found in (
        ([mine], {1: "r"}),
        ([resent], {1: "r"}),
        ([headers(topic="other") + mine], {}),
        ([headers(partition="1")], {}),
        ([headers(outcome="MISROUTED")], {}),
        ([headers(offset="5")], {}),
        ([headers(offset="one")], {}),
        ([[]], {}),
    ):
        kept = [Sent(0, None, None, headers, 0) for headers in told]
        assert poisoned(letters(kept, "t", 0), 5) == found


def test_heads_are_decoded_by_their_names() -> None:
    """Nested cells as well: nobody can read arrays. What is no cell at all is shown as text."""
    driver = Driver(PLAYERS)
    driver.send("ann", hit())
    driver.settle()
    head = cell_key("ann", ())
    _, first = differences(PLAYERS, {head: driver.read()[head]}, {head: b"\x01nonsense"})
    assert first is not None
    assert set(first.events) == set(PlayerHead.__struct_fields__)
    assert first.events["classes"][1]["hits"] == 1
    assert first.changelog == "\x01nonsense"
    assert first.as_lines("player")[0] == "player 'ann', head"


SUNDAY, MONDAY = "2025-06-15T10:00:00Z", "2025-06-16T00:06:00Z"
A_DAY = {"by_status": {}, "by_priority": {}, "progress_distribution": [0] * 10, "timestamp": SUNDAY, "totals": 1}


def test_when_the_clock_has_closed_a_week_is_told_by_what_was_published() -> None:
    """Snapshots of Sunday that come on Monday are LATE once the week is closed, and not in a backlog before.

    Two environments of one partition: one's week was closed in time, the other's when a worker had caught up.
    """
    driver = Noted(ROLLUPS)
    for env in ("ann", "bob"):
        driver.send(env, A_DAY | {"env": env, "instance_id": "a"})
    driver.settle()
    driver.now = millis(datetime.fromisoformat(MONDAY))
    driver.read_to_end = False
    driver.send("bob", A_DAY | {"env": "bob", "instance_id": "b"})
    driver.settle()
    driver.read_to_end = True
    driver.wait(60)
    driver.commit()
    for env in ("ann", "bob"):
        driver.send(env, A_DAY | {"env": env, "instance_id": "c"})
    driver.send("ann", A_DAY | {"env": "ann", "instance_id": "c", "timestamp": MONDAY})
    driver.settle()
    outcomes = driver.task.table.totals.outcomes
    assert (outcomes[Outcome.APPLIED], outcomes[Outcome.LATE]) == (4, 2)
    assert compared(driver, driver.now)[0] > 0
    assert compared(driver, driver.now, driver.told()) == (0, None)
    assert compared(driver, driver.now, driver.told(compacted=True)) == (0, None)


def test_what_is_no_snapshot_tells_nothing() -> None:
    """Tombstones, nulls, other people's records."""
    texts = (None, b"", b"{}", b"[1]", b'{"offset": "3"}', b"\xff", b'{"offset": 3, "revision": 1}')
    records = [Sent(number, b"k", text, [], 7) for number, text in enumerate(texts)]
    assert published([*records, Sent(9, None, b'{"offset": 4}', [], 7)]) == {3: {(7, b"k")}}
