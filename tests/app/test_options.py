"""The domains' options: each is a variable; a wrong value stops a command with its name, value and remedy."""

import pytest

from app import options
from app.settings import SettingsError, load
from tables import DOMAINS
from tables.option import Option
from tests.agents.slips import SLIPS

COUNT = Option("count_limit", 10, "How many are kept.", least=1, most=1000, warn_below=5)
SECONDS = Option("wait_seconds", 1.5, "How long to wait.", least=0)
PLACE = Option("place", "", "Where it is.", most=20, variable="PLACE")


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three options and no others."""
    monkeypatch.setattr(options, "declared", lambda: [COUNT, SECONDS, PLACE])


@pytest.mark.usefixtures("declared")
def test_what_the_environment_sets_has_the_type_of_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are numbers; what is empty or not there is left to the domain."""
    monkeypatch.setenv("TIDEMARK_COUNT_LIMIT", " 7 ")
    monkeypatch.setenv("PLACE", "hall 3")
    monkeypatch.setenv("TIDEMARK_WAIT_SECONDS", "")
    assert load().options == {"count_limit": 7, "place": "hall 3"}


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TIDEMARK_COUNT_LIMIT", "0", "the least is 1"),
        ("TIDEMARK_COUNT_LIMIT", "1001", "the most is 1000"),
        ("TIDEMARK_COUNT_LIMIT", "many", "it is no whole number"),
        ("TIDEMARK_COUNT_LIMIT", "1.5", "it is no whole number"),
        ("TIDEMARK_WAIT_SECONDS", "nan", "it is no number"),
        ("PLACE", "p" * 21, "it is longer than 20 characters"),
        ("TIDEMARK_WAIT_SECONDS", "soon", "it is no number"),
        ("TIDEMARK_COUNT_LIMITS", "3", "did you mean TIDEMARK_COUNT_LIMIT"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    """As for every other setting."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=said) as refused:
        load()
    assert variable in str(refused.value)
    assert repr(value) in str(refused.value)


@pytest.mark.usefixtures("declared")
def test_a_value_that_is_hardly_meant_is_said() -> None:
    """It is allowed all the same."""
    assert list(options.doubtful({"count_limit": 5})) == []
    [line] = options.doubtful({"count_limit": 4})
    assert line.startswith("TIDEMARK_COUNT_LIMIT=4: below 5")


def test_every_option_of_every_domain_has_a_name_of_its_own() -> None:
    """Two options of one name would be one setting."""
    for domain in (*DOMAINS, SLIPS):
        names = [option.name for option in domain.options]
        assert len(names) == len(set(names)), domain
    found: dict[str, Option] = {}
    for option in (option for domain in DOMAINS for option in domain.options):
        assert found.setdefault(option.name, option) == option
        assert option.about.endswith(".")
