"""Commands, options, variables and paths that a page names exist; those that exist are named."""

import os
import re
from collections.abc import Iterator

import pytest

from app import options as domain_options
from app.settings import Settings
from tests.docs.generated import commands, options, routes, variable
from tests.docs.pages import ROOT, Page, page, pages

COMMANDS = {name: options(command) for name, command in commands()}
VARIABLES = {variable(name, field) for name, field in Settings.model_fields.items()}
VARIABLES |= {domain_options.variable(option) for option in domain_options.declared()}
_CALL = re.compile(r"(?:^|[ /`$(])tidemark((?: [a-z]+)*)((?: +[^ |&;]+)*)")
_VARIABLE = re.compile(r"\b(?:TIDEMARK|KAFKA)_[A-Z_]*[A-Z]\b")
_ROOTS = "|".join(sorted({resource.canonical.split("/")[1] for resource in routes()} - {"", "static"} | {"logout"}))
_PATH = re.compile(rf"(?:(?<![\w/.-])|(?<=:6066))(/(?:{_ROOTS})\b[\w/{{}}.-]*)")


def _read_by_the_code() -> set[str]:
    """Variables that are read without a setting: TIDEMARK_HOME and the like."""
    sources = [path.read_text("utf-8") for path in (ROOT / "app").rglob("*.py")]
    return {name for source in sources for name in re.findall(r'os\.environ\.get\("([A-Z_]+)"', source)}


def _calls(page: Page) -> Iterator[tuple[str, list[str]]]:
    """(words after `tidemark`, options) of every call in code."""
    for line in page.code:
        for words, rest in _CALL.findall(line):
            yield words.strip(), re.findall(r"--[a-z][a-z-]*", rest)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists(page: Page) -> None:
    """Groups, commands and options."""
    for words, given in _calls(page):
        if not words:
            continue
        known = [
            name for name in COMMANDS if f"tidemark {words} ".startswith(f"{name} ") or name == f"tidemark {words}"
        ]
        groups = [name for name in COMMANDS if name.startswith(f"tidemark {words} ")]
        assert known or groups, f"{page.name}: tidemark {words}"
        for option in given:
            assert option == "--help" or any(option in COMMANDS[name] for name in known), f"{page.name}: {option}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_module_that_a_page_runs_exists(page: Page) -> None:
    """`python -m tests.bench` and the like."""
    for module in re.findall(r"python -m ((?:app|tests)[\w.]*)", page.text):
        path = ROOT / module.replace(".", "/")
        assert (path / "__main__.py").exists() or path.with_suffix(".py").exists(), f"{page.name}: {module}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_variable_that_a_page_names_is_read(page: Page) -> None:
    """No setting is named that has gone or never was."""
    assert set(_VARIABLE.findall(page.text)) <= VARIABLES | _read_by_the_code()


def test_every_variable_that_is_read_is_documented() -> None:
    """Settings are in a derived table; those that are none are in the one below it."""
    ours = {name for name in _read_by_the_code() if name not in os.environ or name.startswith("TIDEMARK")}
    for name in VARIABLES | ours:
        assert name in page("docs/operations.md").text


ELSEWHERE = "docs/adding-a-domain.md"  # its views are of the domain that it builds; its own test asks for them


@pytest.mark.parametrize("page", [page for page in pages() if page.name != ELSEWHERE], ids=lambda page: page.name)
def test_every_path_that_a_page_names_is_served(page: Page) -> None:
    """A view that has moved has moved in the documentation."""
    resources = list(routes())
    for line in page.code:
        for path in _PATH.findall(line):
            assert any(resource._match(path) is not None for resource in resources), f"{page.name}: {path}"


def test_every_path_that_is_served_is_documented() -> None:
    """Views are in a derived table; the others are in the one below it."""
    code = {path for line in page("docs/operations.md").code for path in _PATH.findall(line)} | {"/"}
    for resource in routes():
        if resource.canonical != "/static/{path}":
            assert any(resource._match(path) is not None for path in code), resource.canonical
