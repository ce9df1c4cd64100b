"""Environment variables of any text: a setting is taken, or refused with its name, its value and what to do."""

import os
import re
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from app import options
from app.settings import Settings, SettingsError, _variables, load
from tests.fuzz.inputs import examples

VARIABLES = sorted({*_variables(), *map(options.variable, options.declared())})
SECRETS = re.compile("PASSWORD|TOKEN")
# What an environment can hold: any text without a null; bytes that are not UTF-8 come as lone surrogates.
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
TEXT: SearchStrategy[str] = (
    _TEXT
    | st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from(
        (
            "",
            " ",
            "0",
            "-1",
            "1e400",
            "nan",
            "inf",
            "-inf",
            "9" * 5_000,
            "0x10",
            "1_000",
            "\u0663",
            "\udcff",
            "true",
            "null",
            "[]",
            "localhost",
            "::1",
            "[::1]:9092",
            "a:0",
            "a:65536",
            "a:b:c",
            ",",
            "a,,b",
            "http://",
            "http://[",
            "https://x:99999",
            "\x1b[31m",
            "a\nb",
            "/dev/null",
            "/",
            "PLAINTEXT",
            "SASL_SSL",
            "debug",
        )
    )
)


def loaded(environment: dict[str, str]) -> Settings | str:
    """The settings of this environment, or what is said of it."""
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith(("TIDEMARK_", "KAFKA_"))}
    with mock.patch.dict(os.environ, clean | environment, clear=True):
        try:
            return load()
        except SettingsError as error:
            return str(error)


@examples(60)
@given(st.sampled_from(VARIABLES), TEXT)
def test_a_setting_is_taken_or_refused_by_name_and_value(variable: str, value: str) -> None:
    """Nothing else is raised; a refusal names the variable and its value, unless that is a secret."""
    found = loaded({variable: value})
    if isinstance(found, Settings):
        assert found.advertised_url
        assert found.application_id
        repr(found)
        return
    assert "TIDEMARK_" in found or "KAFKA_BOOTSTRAP_SERVERS" in found
    assert variable in found
    if SECRETS.search(variable):
        assert not value.strip() or value not in found
    else:
        assert repr(value) in found or repr(value.strip()) in found
    assert found.isprintable()
    assert len(found) < 12_000


@examples(60)
@given(st.dictionaries(st.sampled_from(VARIABLES), TEXT, max_size=6))
def test_wrong_settings_are_all_named_at_once(environment: dict[str, str]) -> None:
    """One line or more for each; together they are taken, or refused, and nothing else happens."""
    found = loaded(environment)
    if isinstance(found, str):
        alone = {name for name, value in environment.items() if isinstance(loaded({name: value}), str)}
        options_ = {name for name in alone if name in set(map(options.variable, options.declared()))}
        assert all(name in found for name in options_)


@examples(60)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00="), max_size=20), TEXT)
def test_a_variable_that_is_no_setting_is_named(rest: str, value: str) -> None:
    """A typo never leaves a setting at its default without a word."""
    variable = f"TIDEMARK_{rest}"
    found = loaded({variable: value})
    assert isinstance(found, Settings) or variable in found or repr(variable)[1:-1] in found
