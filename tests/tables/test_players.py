"""Players: what a slim event adds to which cell, and what the answers say. The traps of the origin have their names."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.driver import NOW, Driver
from tables.players import DAYS, PLAYERS, breakdown, category, enhanced_stats, snapshots, totals_shown
from tables.views import EntityView
from tables.weapons import CATEGORIES, RADAR, WEAPONS
from tests.tables.inputs import Fields, event, tell, told

DAY_CELLS = int(DAYS.default)

BANDS = ("close", "mid", "long")


def only(driver: Driver, match_type: str = "all") -> Any:
    """The one line of ann's breakdown."""
    (line,) = breakdown(driver.row("ann"), match_type)
    return line


# -- the traps of the origin -------------------------------------------------------------------------------------------


def test_trap_a_batch_is_not_counted_twice_after_a_crash() -> None:
    """The origin upserted additively: what a crash repeated was there twice."""
    driver = told([event("damage", damage=30.0)])
    driver.commit()
    tell(driver, *(event("damage", damage=1.0) for _ in range(10)))
    driver.crash()
    driver.fold()
    driver.settle()
    answer = enhanced_stats(driver.row("ann"), "all")
    assert (answer["hits"], answer["damage"]) == (11, 40.0)


def test_trap_headshots_are_told_by_the_reason() -> None:
    """The origin looked in the damage category, which never says so, and found none."""
    reasons = ("HeadShot", "Headshot", "HEADSHOT", "TorsoShot", "Damage_Gun", None)
    line = only(told(event(reason=reason) for reason in reasons))
    assert (line["kills"], line["headshots"]) == (6, 1)


def test_trap_a_hit_or_knock_down_in_the_head_is_no_headshot() -> None:
    """A headshot is a kill."""
    line = only(told([event("damage", reason="HeadShot"), event("knock_down", reason="HeadShot"), event()]))
    assert (line["headshots"], line["knock_downs"], line["kills"]) == (0, 1, 1)


def test_trap_a_weapon_is_known_by_its_name() -> None:
    """Misspelt keys made every weapon of the origin `Unknown`; only a missing or empty one is."""
    driver = told([event(weapon="WeapHK416_C"), event(weapon=None), event(weapon=""), event("damage", weapon="X")])
    names = {line["weapon"]: (line["name"], line["category"]) for line in breakdown(driver.row("ann"), "all")}
    assert names == {"WeapHK416_C": ("M416", "AR"), "Unknown": ("Unknown", "Other"), "X": ("X", "Other")}


@pytest.mark.parametrize(
    ("distance_cm", "band"),
    [
        (0, "close"),
        (50, "close"),
        (200, "close"),
        (4999.999, "close"),
        (5000, "mid"),
        (5000.001, "mid"),
        (19_999.999, "mid"),
        (20_000, "long"),
        (1e7, "long"),
        (-1, None),
        (-0.5, None),
        (None, None),
    ],
)
def test_trap_bands_are_compared_in_metres(distance_cm: float | None, band: str | None) -> None:
    """The origin compared centimetres with 50 and 200. A band holds its lower edge and not its upper one."""
    line = only(told([event(distance_cm=distance_cm)]))
    assert line["kills_by_distance"] == {name: int(name == band) for name in BANDS}
    assert line["longest_kill_m"] == (None if band is None else round((distance_cm or 0) / 100, 2))
    assert line["average_kill_distance_m"] == line["longest_kill_m"]


def test_trap_all_is_ranked_and_normal_and_other() -> None:
    """The origin had two definitions of `all`, one of them without `other`."""
    types = {"competitive": 1, "ranked": 2, "Competitive": 4, "esports": 8, "official": 16, "normal": 32, "Normal": 64}
    types |= {
        "arcade": 128,
        "event": 256,
        "custom": 512,
        "airoyale": 1024,
        "seasonal": 2048,
        "training": 4096,
        "": 8192,
    }
    types |= {"COMPETITIVE": 16384}
    row = told(event("damage", match_type=name, damage=float(hp)) for name, hp in types.items()).row("ann")
    damage = {name: enhanced_stats(row, name)["damage"] for name in ("all", "ranked", "normal", "other")}
    assert damage == {"all": 32767.0, "ranked": 15.0, "normal": 496.0, "other": 32256.0}


numbers = ("hits", "damage", "kills", "headshots", "knock_downs")
sent = st.lists(
    st.builds(
        event,
        st.sampled_from(("damage", "kill", "knock_down")),
        match_type=st.sampled_from(("ranked", "normal", "custom")),
        weapon=st.sampled_from((*WEAPONS, "new", None)),
        reason=st.sampled_from(("HeadShot", "ArmShot", None)),
        damage=st.integers(1, 10**9).map(lambda units: units / 10**6),
        distance_cm=st.none() | st.integers(-1, 40_000),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(sent)
def test_all_is_the_sum_of_the_classes_in_every_number(events: list[Fields]) -> None:
    """At the top, and weapon by weapon."""
    row = told(events).row("ann")
    whole, parts = enhanced_stats(row, "all"), [enhanced_stats(row, name) for name in ("ranked", "normal", "other")]
    for name in numbers:
        assert whole[name] == pytest.approx(sum(part[name] for part in parts), abs=0.001)
        assert whole[name] == pytest.approx(sum(line[name] for line in whole["weapon_breakdown"]), abs=0.01)
    assert (whole["longest_kill_m"] or 0) == max(part["longest_kill_m"] or 0 for part in parts)


@settings(max_examples=60, deadline=None)
@given(sent)
def test_percentages_sum_to_100_or_the_map_is_empty(events: list[Fields]) -> None:
    """Within the rounding of their second decimal; categories are the thirteen, zeros left out."""
    row = told(events).row("ann")
    for match_type in ("all", "ranked", "normal"):
        answer = enhanced_stats(row, match_type)
        maps = [*answer["weapon_category_stats"].values(), answer["damage_by_body_part"]]
        for percentages in maps:
            assert not percentages or sum(percentages.values()) == pytest.approx(
                100, abs=0.005 * len(percentages) + 1e-6
            )
            assert all(0 <= value <= 100 for value in percentages.values())
        assert maps[0].keys() | maps[1].keys() <= set(CATEGORIES)
        assert bool(maps[0]) == bool(maps[2]) == (answer["hits"] > 0)
        assert bool(maps[1]) == (answer["kills"] > 0)


# -- amounts -----------------------------------------------------------------------------------------------------------


def test_damage_adds_up_the_same_in_every_order() -> None:
    """Integers: 0.1 + 0.2 + 0.3 is 0.6 whichever comes first."""
    amounts = (0.1, 0.2, 0.3, 33.333333, 1e-6)
    rows = [
        told(event("damage", damage=amount) for amount in order).row("ann").head.classes[1].damage
        for order in itertools.permutations(amounts)
    ]
    assert set(rows) == {33_933_334}


def test_a_hit_too_small_to_measure_is_a_hit() -> None:
    """Less than half a millionth of a hit point: counted, worth nothing, and no division by nothing in percentages."""
    answer = enhanced_stats(told([event("damage", damage=1e-9)]).row("ann"), "all")
    assert (answer["hits"], answer["damage"], answer["damage_by_body_part"]) == (1, 0.0, {})


def test_a_distance_counts_for_kills_only() -> None:
    """A knock-down has one too; it is in no band and no longest kill."""
    line = only(told([event("knock_down", distance_cm=30_000), event(distance_cm=1000)]))
    assert (line["longest_kill_m"], line["kills_by_distance"]) == (10.0, {"close": 1, "mid": 0, "long": 0})


def test_the_average_distance_is_over_kills_that_have_one() -> None:
    """A kill without a distance is a kill, and no zero."""
    line = only(told([event(distance_cm=1000), event(distance_cm=2000), event(), event(distance_cm=-1)]))
    assert (line["kills"], line["average_kill_distance_m"]) == (4, 15.0)


def test_groups_are_distinct_weapons_and_reasons_over_all_classes() -> None:
    """The same group in two classes is one, in two players two."""
    hit = {"weapon": "w", "reason": "r"}
    events = [event("damage", match_type=name, **hit) for name in ("ranked", "normal", "custom", "ranked")]
    totals = told([*events, event("damage", weapon="w"), event("damage", player="bob", **hit)]).task.table.totals
    assert totals.groups == 3
    assert totals_shown(totals)["groups"] == 3


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("match", ["ranked", "normal", "other", "all", "damage", "weapon", "day", "source"])
def test_matches_called_like_cells_or_classes_do_no_harm(match: str) -> None:
    """A cell's kind is told by its first word alone."""
    driver = told([event(match=match), event("damage", match="next", weapon=match, reason=match), event(match="third")])
    answer = enhanced_stats(driver.row("ann"), "all")
    assert (answer["kills"], answer["hits"]) == (2, 1)


def test_names_that_differ_by_case_are_different_players() -> None:
    """The index of names folds case; rows do not. Burying one of them leaves the others findable."""
    names = ("ann", "ANN", "Ann", "straße", "STRASSE")
    driver = told(event(player=name) for name in names)
    table = driver.task.table
    assert table.names is not None
    assert [name.casefold() for name in table.names] == sorted(name.casefold() for name in names)
    table.bury(b"ANN")
    assert set(table.names) == set(names) - {"ANN"}


def test_every_known_weapon_has_one_of_the_thirteen_categories() -> None:
    """And the radar shows ten of them."""
    assert {category(weapon) for weapon in WEAPONS} == set(CATEGORIES)
    assert len(CATEGORIES) == 13
    assert len(RADAR) == 10
    assert category("WeapOfTomorrow_C") == "Other"


# -- days --------------------------------------------------------------------------------------------------------------


def on(day: int, **over: Any) -> Fields:
    """A hit of one hit point on a day of 2020 or later, counted from 0."""
    return (
        event("damage", damage=1.0, at=f"{2020 + day // 336}-{day // 28 % 12 + 1:02}-{day % 28 + 1:02}T12:00:00Z")
        | over
    )


def days_of(driver: Driver) -> dict[str, int]:
    """Hits by day, over all classes."""
    view = next(view for view in PLAYERS.views if isinstance(view, EntityView) and view.path.endswith("trend"))
    answer = view.answer(driver.row("ann"), {"match_type": "all"}, NOW)
    return {line["day"]: line["hits"] for line in answer["days"]}


def test_the_newest_400_days_are_kept() -> None:
    """The 401st makes the oldest go, on the changelog too; sums over all time keep it."""
    driver = told(on(day) for day in range(DAY_CELLS))
    driver.commit()
    oldest = min(days_of(driver))
    tell(driver, on(DAY_CELLS))
    driver.commit()
    assert len(days_of(driver)) == DAY_CELLS
    assert oldest not in days_of(driver)
    assert driver.read() == driver.cells
    assert enhanced_stats(driver.row("ann"), "all")["hits"] == DAY_CELLS + 1


def test_a_late_event_does_not_push_a_newer_day_out() -> None:
    """A hit older than all days that are kept counts in the sums and in no day."""
    driver = told(on(day) for day in range(1, DAY_CELLS + 1))
    before = days_of(driver)
    tell(driver, on(0))
    assert days_of(driver) == before
    assert enhanced_stats(driver.row("ann"), "all")["hits"] == DAY_CELLS + 1


def test_no_day_is_ever_shown_in_part() -> None:
    """A day that was dropped does not come back with what is late: it would be a wrong number."""
    driver = told(on(day) for day in (0, 0, *range(1, DAY_CELLS + 1)))
    tell(driver, on(0), *(on(day) for day in range(1, DAY_CELLS + 1)))
    assert set(days_of(driver).values()) == {2}


def test_which_days_are_kept_does_not_depend_on_the_order_of_events() -> None:
    """Forwards or backwards: the newest 400, each complete."""
    count = DAY_CELLS + 30
    forwards = told(on(day) for day in range(count))
    backwards = told(on(day) for day in reversed(range(count)))
    assert days_of(forwards) == days_of(backwards)


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_a_snapshot_fits_into_a_record_whatever_is_sent() -> None:
    """1 MiB is what brokers take unless told otherwise; a commit that they refuse stops the partition for good."""
    driver = told(event("damage", weapon=f"{number:04}" + "\x00" * 124) for number in range(1000))
    driver.settle()
    assert max(len(value) for value in driver.stats.values()) < 1_000_000


def test_the_greatest_valid_amounts_do_not_overflow_a_cell() -> None:
    """The sum of a cell after 2,000,000 such kills, put there by hand; one more must still be writable."""
    driver = told([event(distance_cm=1e7)])
    cell = driver.row("ann").cells["weapon", "Unknown", "normal"]
    cell.distance *= 2_000_000
    tell(driver, event(distance_cm=1e7))
    driver.commit()


# -- snapshots ---------------------------------------------------------------------------------------------------------


def shown(driver: Driver) -> list[str]:
    """The suffixes of the snapshots that are owed."""
    return [snapshot.suffix for snapshot in snapshots(driver.row("ann"), NOW, driver.task.table.totals)]


def test_only_changed_classes_are_published_and_all_always() -> None:
    """`other` has no snapshot of its own; it is a part of `all`."""
    driver = told([event(match_type="custom")])
    assert shown(driver) == ["all"]
    tell(driver, event(match_type="ranked"))
    assert shown(driver) == ["all", "ranked"]
