"""The command line: `tidemark`, which is also `python -m app`."""

import importlib
import logging

import click

from app import failures
from app.version import version

# Command -> where it is. Loaded when asked for: Faust alone takes half a second to import, and `--version` needs none.
COMMANDS = {
    "demo": "app.demo.commands:demo",
    "worker": "app.worker:worker",
    "topics": "app.topics_commands:topics",
    "ingest": "app.ingest.commands:ingest",
    "generate": "app.generate.commands:generate",
    "history": "app.history.commands:history",
    "watch": "app.watch.commands:watch",
    "verify": "app.verify.commands:verify",
    "deadletters": "app.deadletters.commands:deadletters",
    "doctor": "app.doctor.commands:doctor",
    "reset": "app.repair.commands:reset",
    "replay": "app.repair.commands:replay",
    "broker": "app.broker.commands:broker",
}


class Commands(click.Group):
    """A group whose commands are loaded one by one, and whose errors are messages."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """The names, in the order in which one meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- likewise
        """Load a command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what it raises on purpose becomes a message and an exit code."""
        with failures.explained():
            return super().invoke(ctx)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(), prog_name="tidemark")
def main() -> None:
    """Live, durable, exact statistics from Kafka topics.

    Every setting is an environment variable TIDEMARK_*; Kafka is named by KAFKA_BOOTSTRAP_SERVERS, and without it a
    real one is started from Python packages.

    \b
    Examples:
      tidemark demo                                  everything at once, on real data
      tidemark topics create && tidemark worker      a worker on your Kafka
      tidemark ingest pubg telemetry.json.gz         files into topics
      tidemark generate players; tidemark watch      made-up events, and, while a worker runs, what becomes of them
      tidemark verify players                        are the tables what their events say?

    Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 no Kafka answers.
    """  # noqa: D301 -- \b is click's mark for lines to leave as they are
    # The Kafka client logs each failed attempt, with addresses that nobody typed; the error it raises is explained.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
