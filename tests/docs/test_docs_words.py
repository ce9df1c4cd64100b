"""Words: the glossary knows the code's, and errors have an answer in docs/operations.md."""

import re

import pytest

from agents.aggregate import aggregate
from agents.deadletter import PREFIX, RESENT, SIZE_LIMIT
from agents.driver import Sent
from agents.task import Task
from app import failures
from app.broker import Reason
from app.engine.owned import State
from tables import DOMAINS
from tables.event import OUTCOMES, Outcome
from tables.players import PLAYERS
from tables.table import Table
from tests.docs.pages import ROOT, Page, page

GLOSSARY = page("docs/glossary.md")
OPERATIONS = page("docs/operations.md")
DESIGN = page("docs/design.md")
# Raised towards a person who runs a command or a request, with a message of its own.
ANSWERED = {"InputError", "ChildError", "RefusedError", "MendingError"}


def _terms(text: str) -> list[str]:
    return re.findall(r"^\| (?!term|outcome|---)([^|]+) \| ", text, re.MULTILINE)


def test_the_glossary_is_in_the_order_of_the_alphabet() -> None:
    """A term can be found."""
    terms = _terms(GLOSSARY.text.partition("## Outcomes")[0])
    assert terms == sorted(terms)


def test_the_glossary_knows_every_outcome_and_state() -> None:
    """Both are what dashboards and answers show."""
    assert _terms(GLOSSARY.section("Outcomes")) == [outcome.name for outcome in Outcome]
    assert {state.value for state in State} <= set(_terms(GLOSSARY.text))


def test_every_error_of_the_code_is_explained() -> None:
    """Whatever stops a worker, or stands in its log, has an entry; no entry is of an error that has gone."""
    sources = [
        path.read_text("utf-8") for layer in ("app", "agents", "tables") for path in (ROOT / layer).rglob("*.py")
    ]
    errors = {name for source in sources for name in re.findall(r"^class (\w+Error)\(", source, re.MULTILINE)}
    section = OPERATIONS.section("Messages, and what to do")
    assert set(re.findall(r"\b[A-Z]\w+Error\b", section)) == errors - ANSWERED


def test_every_reason_of_the_embedded_kafka_is_explained() -> None:
    """One line each."""
    assert re.findall(r"^\| `(\w+)` \|", OPERATIONS.section("BrokerError"), re.MULTILINE) == [
        reason.value for reason in Reason
    ]


def test_every_exit_code_is_explained() -> None:
    """What a script can rely on."""
    codes = [int(code) for code in re.findall(r"^\| (\d) \|", OPERATIONS.section("Commands"), re.MULTILINE)]
    assert codes == [0, failures.FAILED, failures.MISCONFIGURED, failures.NO_KAFKA]


@pytest.mark.parametrize("document", [OPERATIONS, DESIGN], ids=lambda document: document.name)
def test_every_header_of_a_dead_letter_is_documented(document: Page) -> None:
    """And none that is not there."""
    task = Task(PLAYERS, 0, Table(PLAYERS, 0), "players-events", lambda _: 0)
    aggregate(task, [Sent(0, b"ann", b"{" * (SIZE_LIMIT + 1), [], 0)], 0)
    headers = [name for name, _ in task.outgoing[0].headers]
    section = "Dead letters" if document is OPERATIONS else "Rows, cells and what is on the wire"
    named = re.findall(rf"`({PREFIX}\w+)`", document.section(section))
    assert named == [*headers, RESENT]


def test_the_consumed_sum_names_every_outcome() -> None:
    """The sum in the design's first invariant is complete."""
    sentence = DESIGN.section("Invariants").split("(")[0]
    assert all(name.upper() in sentence for name in OUTCOMES)


def test_the_domains_that_exist_are_said_to_exist() -> None:
    """The README has a line for each, in the order of the registry, with its page and what a row is about."""
    lines = re.findall(
        r"^\| \[(\w+)\]\(docs/domains/(\w+)\.md\) \| [^|]+ \| (\w+) \|", page("README.md").text, re.MULTILINE
    )
    assert lines == [(domain.name, domain.name, domain.entity_name) for domain in DOMAINS]


def test_the_cells_on_the_wire_are_those_of_the_domain() -> None:
    """Kinds and fields, in the order in which they are encoded."""
    section = DESIGN.section("Rows, cells and what is on the wire")
    rows = dict(re.findall(r"^\| (\w+) \| [^|]+ \| ([^|]+) \|$", section, re.MULTILINE))
    shown = {kind: re.sub(r" \(.*", "", fields).split(", ") for kind, fields in rows.items() if kind != "cell"}
    shown.pop("field")  # the table of events
    types = {"head": PLAYERS.head} | dict(PLAYERS.cells)
    assert shown == {kind: list(type_.__struct_fields__) for kind, type_ in types.items()}
