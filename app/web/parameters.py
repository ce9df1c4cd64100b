"""The parameters of a request, checked against their declarations."""

from collections.abc import Callable, Mapping, Sequence

from multidict import MultiMapping

from app.web.answers import NAMED, RefusedError, wrong_parameter
from tables.views import ListView, Parameter, SearchView, View

VALUE_LIMIT = 256  # characters of a value: as long as the longest name
LIMITS = range(1, 101)  # results on a page
REACH = 10_000  # lines from the first to the last one that a page may show: every owner sorts so many and sends them


def within(numbers: range) -> Callable[[str], object]:
    """A check of a parameter: a number of these, in plain digits."""

    def check(value: str) -> None:
        if not (value.isascii() and value.isdigit() and int(value) in numbers):
            raise ValueError(f"{numbers[0]}..{numbers[-1]}")

    return check


def _size(name: str) -> Parameter:
    return Parameter(name, "20", about=f"results on a page, {LIMITS[0]}..{LIMITS[-1]}", check=within(LIMITS))


LIMIT = _size("limit")
PER_PAGE = _size("per_page")
PAGE = Parameter("page", "1", about=f"1..; page x per_page is at most {REACH:,}", check=within(range(1, REACH + 1)))


def parameters_of(view: View) -> tuple[Parameter, ...]:
    """What a view may be asked with: its own parameters, and those of its kind."""
    match view:
        case SearchView():
            return (*view.parameters, LIMIT)
        case ListView(paged=True):
            return (*view.parameters, PAGE, PER_PAGE)
        case _:
            return view.parameters


def asked(query: MultiMapping[str], parameters: Sequence[Parameter]) -> dict[str, str]:
    """The parameters of a request, with defaults filled in.

    Raises:
        RefusedError: 400, for an unknown parameter, a value that is not allowed, more than one, or a range that ends
            before it begins.
    """
    names = [parameter.name for parameter in parameters]
    for name in query:
        if name not in names:
            raise wrong_parameter(name, f"this view has no parameter {name[:NAMED]!r}", names)
    given = {parameter.name: _value(query, parameter) for parameter in parameters}
    first, last = given.get("from", ""), given.get("to", "")
    if first and last and first > last:  # days, months and weeks are written so that they sort as text
        raise wrong_parameter("from", "from must not be after to", [f"up to {last}"])
    return given


def _value(query: MultiMapping[str], parameter: Parameter) -> str:
    values = query.getall(parameter.name, [parameter.default])
    if len(values) > 1:
        raise wrong_parameter(parameter.name, f"{parameter.name} is given more than once", parameter.allowed)
    value = values[0]
    if value == parameter.default:
        return value
    if parameter.allowed and value not in parameter.allowed:
        named = ", ".join(allowed or "nothing" for allowed in parameter.allowed)
        message = f"{parameter.name} must be one of {named}"
        raise wrong_parameter(parameter.name, message, parameter.allowed)
    if len(value) > VALUE_LIMIT:
        raise _must_be(parameter.name, f"0..{VALUE_LIMIT} characters")
    if parameter.check is not None:
        try:
            parameter.check(value)
        except ValueError as allowed:
            raise _must_be(parameter.name, str(allowed)) from allowed
    return value


def lines_of_page(given: Mapping[str, str]) -> slice:
    """Which lines, in their order, are on the page that was asked for.

    Raises:
        RefusedError: 400, when the page is too far from the first one.
    """
    page, size = int(given[PAGE.name]), int(given[PER_PAGE.name])
    if page * size > REACH:
        raise _must_be(PAGE.name, f"1..{REACH // size}")
    return slice((page - 1) * size, page * size)


def _must_be(name: str, allowed: str) -> RefusedError:
    return wrong_parameter(name, f"{name} must be {allowed}", [allowed])
