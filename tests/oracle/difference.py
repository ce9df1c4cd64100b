"""Comparing an answer with what an oracle says, and adding totals up."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest


def difference(found: Any, wanted: Any, where: str = "") -> str:
    """The first place at which an answer is not what the oracle says; what the oracle does not say is not compared."""
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return f"{where} is {found!r}, wanted {wanted!r}"
        places = ((found.get(name), value, f"{where}.{name}") for name, value in wanted.items())
    elif isinstance(wanted, list | tuple):
        if not isinstance(found, list) or len(found) != len(wanted):
            return f"{where} is {found!r}, wanted {wanted!r}"
        places = ((a, b, f"{where}[{n}]") for n, (a, b) in enumerate(zip(found, wanted, strict=True)))
    elif isinstance(wanted, float) and isinstance(found, int | float):
        # But for the last decimal of a number that was rounded to be shown.
        return "" if found == pytest.approx(wanted, rel=1e-9, abs=0.010001) else f"{where} is {found}, wanted {wanted}"
    else:
        return "" if found == wanted else f"{where} is {found!r}, wanted {wanted!r}"
    return next((said for said in (difference(*place) for place in places) if said), "")


def merged(bodies: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Totals, added up field by field."""
    totals: dict[str, Any] = {}
    for body in bodies:
        for name, value in body.items():
            totals[name] = added(totals[name], value) if name in totals else value
    return totals


def added(one: Any, other: Any) -> Any:
    """The sum of two totals' fields: numbers, maps of numbers, lists of numbers."""
    if isinstance(one, dict):
        return {name: one.get(name, 0) + other.get(name, 0) for name in one | other}
    return [a + b for a, b in zip(one, other, strict=True)] if isinstance(one, list) else one + other
