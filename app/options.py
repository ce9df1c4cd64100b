"""The domains' options, read from the environment: what each is, which values it takes, what it is set to."""

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

from tables import DOMAINS
from tables.option import Option

PREFIX = "TIDEMARK_"


def declared() -> list[Option]:
    """Every option of every domain, in the order of the domains."""
    return list({option.name: option for domain in DOMAINS for option in domain.options}.values())


def variable(option: Option) -> str:
    """The environment variable that sets an option."""
    return option.variable or f"{PREFIX}{option.name.upper()}"


def read() -> tuple[dict[str, Any], list[str]]:
    """The values that the environment sets, and a line for each that is wrong: the variable, its value, the remedy."""
    values: dict[str, Any] = {}
    wrong = []
    for option in declared():
        text = os.environ.get(variable(option), "").strip()
        if not text:
            continue
        try:
            values[option.name] = _value(option, text)
        except ValueError as error:
            wrong.append(f"{variable(option)}={text!r}: {error}. {option.about}")
    return values, wrong


def _value(option: Option, text: str) -> int | float | str:
    if isinstance(option.default, str):
        if option.most is not None and len(text) > option.most:
            raise ValueError(f"it is longer than {option.most:g} characters")
        return text
    try:
        value = int(text) if isinstance(option.default, int) else float(text)
    except ValueError:
        raise ValueError("it is no whole number" if isinstance(option.default, int) else "it is no number") from None
    if not math.isfinite(value):
        raise ValueError("it is no number")
    if option.least is not None and value < option.least:
        raise ValueError(f"the least is {option.least:g}")
    if option.most is not None and value > option.most:
        raise ValueError(f"the most is {option.most:g}")
    return value


def doubtful(values: Mapping[str, Any]) -> Iterator[str]:
    """A line for each option whose value is allowed and hardly meant."""
    for option in declared():
        value = values.get(option.name, option.default)
        if option.warn_below is not None and value < option.warn_below:
            yield f"{variable(option)}={value}: below {option.warn_below:g} little is kept. {option.about}"
