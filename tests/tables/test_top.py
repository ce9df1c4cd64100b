"""The ten best: exactly what sorting everything would give, through rises, declines and removals."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tables.top import ROOM, SHOWN, TopList, merge

Values = dict[str, int]


def best_of(values: Values) -> list[tuple[str, int]]:
    """The slow and obvious way."""
    return sorted(values.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]


def change(top: TopList, values: Values, entity: str, value: int | None) -> None:
    """One row changes; the list is built anew when it asks for it, as a table does at its commit."""
    if value is None:
        values.pop(entity, None)
    else:
        values[entity] = value
    top.update(entity, value)
    if top.wanting:
        top.rebuild(values.items())


names = st.integers(0, 150).map(lambda number: f"p{number}")
changes = st.lists(st.tuples(names, st.one_of(st.none(), st.integers(-3, 40))), max_size=400)


@settings(max_examples=150, deadline=None)
@given(changes)
def test_a_list_is_what_sorting_everything_gives(sent: list[tuple[str, int | None]]) -> None:
    """Values that rise, fall, tie and go, more entities than there is room for."""
    top, values = TopList(), dict[str, int]()
    for entity, value in sent:
        change(top, values, entity, value)
        assert top.best() == best_of(values)
        assert len(top.candidates) <= ROOM


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_list_survives_the_fall_of_all_its_leaders(chance: object) -> None:
    """All are in, then the best ones fall below everybody or go, until the candidates are used up, many times over."""
    assert hasattr(chance, "shuffle")
    values = {f"p{number:03}": number for number in range(200)}
    top = TopList()
    for entity, value in list(values.items()):
        top.update(entity, value)
    order = sorted(values)
    chance.shuffle(order)
    for entity in order:
        change(top, values, entity, None if len(entity) % 2 else -1)
        assert top.best() == best_of(values)


def test_ties_are_broken_by_entity() -> None:
    """The same value: the lesser name first, in a list and over lists."""
    top = TopList()
    for entity in "cab":
        top.update(entity, 5)
    assert top.best() == [("a", 5), ("b", 5), ("c", 5)]
    assert merge([[("b", 5)], [("a", 5)]]) == [("a", 5), ("b", 5)]


def test_a_change_that_nobody_sees_is_not_published() -> None:
    """An outsider that stays one does not make the list change."""
    top = TopList()
    for number in range(200):
        top.update(f"p{number:03}", 1000 - number)
    top.changed = False
    top.update("p199", 2)
    top.update("nobody", None)
    assert not top.changed


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, st.integers(0, 30), max_size=80), st.integers(1, 5))
def test_merged_lists_are_the_list_of_all(values: Values, partitions: int) -> None:
    """The ten best of each partition are enough to know the ten best of all."""
    tops = [TopList() for _ in range(partitions)]
    for number, (entity, value) in enumerate(values.items()):
        tops[number % partitions].update(entity, value)
    assert merge(top.best() for top in tops) == best_of(values)
