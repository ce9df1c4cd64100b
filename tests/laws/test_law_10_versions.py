"""Law 10: unknown fields are tolerated.

Cells of earlier versions: tests/tables/test_golden.py.
"""

import json

from hypothesis import given
from hypothesis import strategies as st

from tables.domain import Domain
from tests.laws.looking import outcome
from tests.laws.strategies import EXAMPLES, GIVEN, Input, encoded, every_domain, told

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@every_domain
@EXAMPLES
@given(data=st.data())
def test_unknown_fields_change_nothing(data: st.DataObject, domain: Domain) -> None:
    """Producers may be newer than we are: whatever they add is skipped, wherever it stands."""
    events = data.draw(st.lists(GIVEN[domain.name].events.filter(lambda event: event[1] is not None), max_size=15))
    names = st.text(min_size=1).map(lambda name: f"new_{name}")
    newer = [data.draw(st.dictionaries(names, JSON, max_size=3)) | (fields or {}) for _, fields in events]
    plain = [Input(entity.encode(), encoded(fields)) for entity, fields in events]
    extended = [
        Input(entity.encode(), json.dumps(fields).encode()) for (entity, _), fields in zip(events, newer, strict=True)
    ]
    assert outcome(told(domain, extended)) == outcome(told(domain, plain))
