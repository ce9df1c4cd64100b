"""The derived blocks of the documentation: name -> how it is made."""

import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, cast

import click
from aiohttp import web
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from app import options as domain_options
from app import topology
from app.commands import main
from app.settings import Settings
from app.web import server
from app.web.parameters import parameters_of
from app.web.worker import Worker
from tables import DOMAINS
from tests.docs import walkthrough
from tests.docs.limits import limits_table

SETTINGS = Settings.model_construct(bootstrap_servers="unused")  # the defaults, whatever the environment says


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# -- settings ----------------------------------------------------------------------------------------------------------


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable of a setting."""
    alias = field.validation_alias
    choices = getattr(alias, "choices", None)
    return str(choices[0]) if choices else f"TIDEMARK_{name.upper()}"


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return f"`{value}`" if value not in ("", None) else "empty"


def _allowed(field: FieldInfo) -> str:
    if typing.get_origin(field.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(field.annotation))
    bounds = {
        name: getattr(rule, name) for rule in field.metadata for name in ("gt", "ge", "le") if hasattr(rule, name)
    }
    pattern = next((rule.pattern for rule in field.metadata if getattr(rule, "pattern", None)), "")
    if pattern:
        return f"`{pattern}`"
    words = {"gt": "more than", "ge": "at least", "le": "at most"}
    if "ge" in bounds and "le" in bounds:
        return f"{bounds['ge']} to {bounds['le']}"
    return ", ".join(f"{words[name]} {bound}" for name, bound in bounds.items())


def _text(description: str) -> str:
    """A description as Markdown: outside of code, `<` would begin a tag."""
    parts = description.split("`")
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


def settings_table() -> str:
    """Every setting."""
    rows = [
        (f"`{variable(name, field)}`", _default(field), _allowed(field), _text(field.description or ""))
        for name, field in Settings.model_fields.items()
    ]
    return table(("Variable", "Default", "Allowed", "Meaning"), rows)


def options_table() -> str:
    """Every option of every domain."""
    rows = []
    for option in domain_options.declared():
        bounds = [f"at least {option.least:g}"] if option.least is not None else []
        unit = " characters" if isinstance(option.default, str) else ""
        bounds += [f"at most {option.most:g}{unit}"] if option.most is not None else []
        default = f"`{option.default}`" if option.default != "" else "empty"
        rows.append((f"`{domain_options.variable(option)}`", default, ", ".join(bounds), _text(option.about)))
    return table(("Variable", "Default", "Allowed", "Meaning"), rows)


# -- topics, views, commands -------------------------------------------------------------------------------------------


def topics_table() -> str:
    """Every topic of an installation with the default settings."""
    rows = [
        (
            f"`{topic.name}`",
            str(topic.partitions),
            ", ".join(f"`{name}={value}`" for name, value in topic.config),
            topic.about,
        )
        for topic in topology.topology(SETTINGS, DOMAINS)
    ]
    return table(("Topic", "Partitions", "Verified settings", "What it holds"), rows)


def views_table() -> str:
    """Every view that a domain declares, and what it publishes on demand."""
    rows = []
    for domain in DOMAINS:
        for view in domain.views:
            given = [
                f"`{parameter.name}` ({', '.join(parameter.allowed) or parameter.about}; default `{parameter.default}`)"
                if parameter.default
                else f"`{parameter.name}` ({parameter.about})"
                for parameter in parameters_of(view)
            ]
            rows.append((f"`{shown(view.path, domain.entity_name)}`", view.about, ", ".join(given)))
        if domain.periodic is not None:
            rows.append((f"`POST {domain.periodic.path}`", domain.periodic.about, ""))
    return table(("View", "Answers", "Parameters"), rows)


def shown(path: str, entity_name: str) -> str:
    """A view's path with its entity by name."""
    return path.replace("{entity}", f"{{{entity_name}}}")


def routes() -> Iterator[web.Resource]:
    """Everything that a worker serves."""
    nothing = cast("Any", None)  # routes are made without looking at the worker's insides
    worker = Worker(
        settings=SETTINGS, domains=DOMAINS, engine=nothing, totals=nothing, distribution=dict, lag_records=nothing
    )
    for route in server.application(worker).router.routes():
        if isinstance(route.resource, web.Resource):
            yield route.resource


def commands(group: click.Command = main, path: tuple[str, ...] = ("tidemark",)) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its whole name."""
    if not isinstance(group, click.Group):
        yield " ".join(path), group
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            yield from commands(command, (*path, name))


def options(command: click.Command) -> list[str]:
    """The long names of a command's options that are not hidden."""
    found = [part for part in command.params if isinstance(part, click.Option) and not part.hidden]
    return [next(name for name in option.opts if name.startswith("--")) for option in found]


def commands_table() -> str:
    """Every command with its first sentence and its options."""
    rows = [
        (f"`{name}`", command.get_short_help_str(200), ", ".join(f"`{option}`" for option in options(command)))
        for name, command in commands()
    ]
    return table(("Command", "What it does", "Options"), rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "settings": settings_table,
    "options": options_table,
    "topics": topics_table,
    "views": views_table,
    "commands": commands_table,
    "limits": limits_table,
} | walkthrough.BLOCKS
