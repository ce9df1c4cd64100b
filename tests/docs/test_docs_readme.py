"""README.md says what is so: its commands, its numbers, its program."""

import contextlib
import io
import re

import pytest

from tests.docs.pages import ROOT, page

README = page("README.md")
SETUP = "python3 -m venv .venv && .venv/bin/pip install --quiet"


def _commands() -> list[str]:
    return [body.strip() for language, body in README.fences if language == "sh" and ".venv/bin/pip" in body]


def test_there_are_two_commands_of_one_line_each() -> None:
    """One shows it at work, one runs the tests; each begins with a clone and Python alone."""
    demo, tests = _commands()
    assert demo == f"{SETUP} '.[embedded]' && .venv/bin/tidemark demo"
    assert tests.startswith(f"{SETUP} --editable '.[dev]' && .venv/bin/python -m pytest")


def test_the_test_command_is_the_one_that_ci_runs() -> None:
    """Whoever runs the README's command runs what decides about a change."""
    script = ROOT / ".ci" / "run"
    if not script.exists():
        pytest.skip("a source distribution has no .ci")
    arguments = _commands()[1].partition("python -m pytest")[2].strip()
    called = re.findall(r"python -m pytest\b([^\n|;&#]*)", script.read_text("utf-8"))
    assert arguments in [found.strip() for found in called]


def test_the_extras_that_the_commands_install_exist() -> None:
    """About one that does not, pip only warns."""
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    for extra in re.findall(r"'\.\[(\w+)\]'", README.text):
        assert re.search(rf"^{extra} = \[", pyproject, re.MULTILINE)


def test_the_independent_count_gives_the_numbers_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program in the README runs, needs nothing of the project, and prints what the demo is said to print."""
    program = next(body for language, body in README.fences if language == "python" and "telemetry.json.gz" in body)
    assert not re.search(r"import (app|agents|tables)|from (app|agents|tables)", program)
    monkeypatch.chdir(ROOT)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(program, {})  # noqa: S102 -- the README's own
    counted = dict(zip(("players", "hits", "damage", "kills", "groups"), printed.getvalue().split(), strict=True))
    for name, number in counted.items():
        shown = re.search(rf"^\| {name} \| ([\d,.]+) \|", README.text, re.MULTILINE)
        assert shown, name
        assert float(shown[1].replace(",", "")) == round(float(number), 4)


def test_the_numbers_of_the_demo_are_in_the_order_of_the_demo() -> None:
    """What the demo shows is explained."""
    from app.demo.play import SHOWN  # noqa: PLC0415 -- everything else in here needs no Kafka client

    names = re.findall(r"^\| (\w+) \| [\d,.]+ \|", README.text, re.MULTILINE)
    assert names == ["consumed", "applied", *SHOWN]


def test_the_programs_are_valid_python() -> None:
    """A reader can paste them."""
    programs = [body for language, body in README.fences if language == "python"]
    assert len(programs) == 2
    for program in programs:
        compile(program, "README.md", "exec")


def test_the_figures_stand_beside_machine_and_date() -> None:
    """A figure without them says nothing; a ratio is that of the figures beside it."""
    figures = README.section("Figures")
    assert re.search(r"cores .*Python 3\.\d+.*Kafka 4.*\d{4}-\d{2}-\d{2}", " ".join(figures.split()))
    rows = re.findall(r"^\| .+? \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d.]+) \| (\d+) \|$", figures, re.MULTILINE)
    assert len(rows) == 4
    for row in rows:
        limit, ours, stock = (int(number.replace(",", "")) for number in row[:3])
        assert float(row[3]) == pytest.approx(ours / limit, abs=0.01)
        assert int(row[4]) == pytest.approx(ours / stock, abs=1)
