"""Law 8: domains do not see each other, partitions do not see each other: any interleaving gives the same rows."""

from hypothesis import given
from hypothesis import strategies as st

from agents.driver import Driver
from tables import DOMAINS
from tests.laws.looking import outcome
from tests.laws.strategies import EXAMPLES, play, stories


@EXAMPLES
@given(data=st.data())
def test_any_interleaving_gives_the_same_rows(data: st.DataObject) -> None:
    """Two tasks of every domain in one process, their steps shuffled: each ends as if it had been alone."""
    told = [(domain, data.draw(stories(domain, 25))) for domain in DOMAINS for _ in range(2)]
    alone = [play(Driver(domain), story) for domain, story in told]
    together = [Driver(domain) for domain, _ in told]
    turns = data.draw(st.permutations([number for number, (_, story) in enumerate(told) for _ in story]))
    left = [iter(story) for _, story in told]
    for number in turns:
        play(together[number], [next(left[number])])
    for one, other in zip(alone, together, strict=True):
        one.settle()
        other.settle()
        assert outcome(one) == outcome(other)
