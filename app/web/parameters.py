"""The parameters of a request, checked against their declarations."""

from collections.abc import Sequence

from multidict import MultiMapping

from app.web.answers import NAMED, wrong_parameter
from tables.views import Parameter

VALUE_LIMIT = 256  # characters of a value: as long as the longest name
LIMITS = range(1, 101)  # results on a page
LIMIT = Parameter("limit", "20", about=f"results on a page, {LIMITS[0]}..{LIMITS[-1]}")


def asked(query: MultiMapping[str], parameters: Sequence[Parameter]) -> dict[str, str]:
    """The parameters of a request, with defaults filled in.

    Raises:
        RefusedError: 400, for an unknown parameter, a value that is not allowed, or more than one.
    """
    names = [parameter.name for parameter in parameters]
    for name in query:
        if name not in names:
            raise wrong_parameter(name, f"this view has no parameter {name[:NAMED]!r}", names)
    return {parameter.name: _value(query, parameter) for parameter in parameters}


def _value(query: MultiMapping[str], parameter: Parameter) -> str:
    values = query.getall(parameter.name, [parameter.default])
    if len(values) > 1:
        raise wrong_parameter(parameter.name, f"{parameter.name} is given more than once", parameter.allowed)
    value = values[0]
    if parameter.allowed and value not in parameter.allowed:
        message = f"{parameter.name} must be one of {', '.join(parameter.allowed)}"
        raise wrong_parameter(parameter.name, message, parameter.allowed)
    if len(value) > VALUE_LIMIT:
        raise wrong_parameter(
            parameter.name,
            f"{parameter.name} is longer than {VALUE_LIMIT} characters",
            [f"0..{VALUE_LIMIT} characters"],
        )
    return value


def limit(given: dict[str, str]) -> int:
    """The size of a page that was asked for.

    Raises:
        RefusedError: 400, when it is not a number or out of range.
    """
    text = given[LIMIT.name]
    if not (text.isascii() and text.isdigit() and int(text) in LIMITS):
        allowed = f"{LIMITS[0]}..{LIMITS[-1]}"
        raise wrong_parameter(LIMIT.name, f"limit must be a number in {allowed}", [allowed])
    return int(text)
