"""What docs/reliability.md names as its witnesses exists, and the matrix has all of its rows."""

import re

import pytest

from tests.chaos.catalogue import FAULTS
from tests.chaos.report import size_of
from tests.docs.pages import ROOT

TEXT = (ROOT / "docs" / "reliability.md").read_text()
FILES = sorted(set(re.findall(r"`((?:tests|app)/[\w/.]+\.py)`", TEXT)))
RUNS = sorted({name for names in re.findall(r"`python -m tests\.chaos ([\w -]+)`", TEXT) for name in names.split()})


@pytest.mark.parametrize("path", FILES)
def test_a_file_that_is_named_exists(path: str) -> None:
    """Else a promise would rest on nothing."""
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("name", RUNS)
def test_a_scenario_that_is_named_exists(name: str) -> None:
    """On the command line as it stands there."""
    assert name in {fault.name for fault in FAULTS}


def test_every_row_is_in_one_of_the_files_of_short_forms() -> None:
    """None is left out, none is run twice."""
    files = sorted((ROOT / "tests" / "chaos").glob("test_fault_matrix_*.py"))
    found = [row for file in files for row in re.findall(r"of_rows\(([\d, ]+)\)", file.read_text())]
    assert sorted(int(number) for row in found for number in row.split(",")) == list(range(1, 17))


def test_the_matrix_has_all_of_its_rows() -> None:
    """Sixteen; and scenarios have names of their own."""
    assert {fault.row for fault in FAULTS} == set(range(1, 17))
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_the_published_report_is_of_the_whole_matrix_in_its_full_form() -> None:
    """Three rounds of every scenario, of the sizes that they have now: whoever changes them runs the matrix again."""
    report = (ROOT / "docs" / "fault-matrix.md").read_text()
    assert "full forms" in report
    sections = {text.split()[1]: text for text in re.split(r"^## ", report, flags=re.MULTILINE)[1:]}
    assert set(sections) == {fault.name for fault in FAULTS}
    for fault in FAULTS:
        seeds = re.findall(r"^\| (\d+) \| \w+ \| \d+ \|", sections[fault.name], re.MULTILINE)
        assert len(set(seeds)) >= 3
        assert f"Size: {size_of(fault.full)}." in sections[fault.name]


def test_a_report_that_says_that_all_was_exact_is_of_one_version_and_hides_no_failure() -> None:
    """Else it has to say which runs were not, and each line names the version that it is of."""
    report = (ROOT / "docs" / "fault-matrix.md").read_text()
    versions = set(re.findall(r"^\| \d+ \| (\w+) \| \d+ \|", report, re.MULTILINE))
    assert versions
    if "every run exact" in report:
        assert ("**failed**" in report) == ("every run exact, some when repeated" in report)
        assert len(versions) == 1
    else:
        assert "all exact but" in report
