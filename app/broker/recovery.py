"""What is done before a start when the last Java was killed, so that no committed transaction is lost.

Kafka's controller still counts the killed process among the living until its session is over. A combined broker starts
within that time, takes itself for the leader of everything, and resumes the transactions that were about to commit.
Then the session ends, for a moment no partition has a leader, and Kafka 4.3.1 takes the partitions for deleted: it
declares the transactions complete without writing their markers. Their records are never read, nor any after them.

So the session is ended first, while nothing but the controller runs: then there is no coordinator to be confused. This
is also quicker than the session timeout.
"""

import subprocess
from collections.abc import Callable
from functools import partial

from app.broker.folder import Folder
from app.broker.lock import wait_until

START_SECONDS = 20.0
STOP_SECONDS = 10.0
# Several sessions. If the killed process was not counted any more, nothing is said and this much time is lost.
FENCE_SECONDS = 3.0
CONFIGURATION = "recovery.properties"
LOGGING = "recovery.log4j2.properties"
# What the controller says when it begins to watch over sessions, and (if its logger is set so) when one is over.
_ACTIVE = "Performing controller activation"
_FENCED = "handleBrokerFenced"

_OVERRIDES = {
    "process.roles": "controller",
    "broker.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "300",
}


def fence(folder: Folder, command: list[str], run: Callable[[list[str]], subprocess.Popen[bytes]]) -> None:
    """End the killed process's session; without success Kafka itself does it, later.

    Args:
        folder: The broker's folder, configured for the start that follows.
        command: The command of that start.
        run: Starts a command as the supervisor starts Java.
    """
    _configure(folder)
    *options, main, _ = command
    java = run([*options, f"-Dlog4j2.configurationFile={LOGGING}", main, CONFIGURATION])
    try:
        for words, seconds in ((_ACTIVE, START_SECONDS), (_FENCED, FENCE_SECONDS)):
            wait_until(partial(_said, folder, java, words), seconds)
    finally:
        java.terminate()
        try:
            java.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            java.kill()
            java.wait()


def _said(folder: Folder, java: subprocess.Popen[bytes], words: str) -> bool:
    return java.poll() is not None or words in folder.log.read_text(errors="replace")


def _configure(folder: Folder) -> None:
    lines = dict(line.split("=", 1) for line in folder.properties.read_text().splitlines())
    controller = next(listener for listener in lines["listeners"].split(",") if listener.startswith("CONTROLLER"))
    del lines["advertised.listeners"]
    lines |= {**_OVERRIDES, "listeners": controller}
    (folder.path / CONFIGURATION).write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    said = "logger.controller.name=org.apache.kafka.controller\nlogger.controller.level=INFO\n"
    (folder.path / LOGGING).write_text(folder.logging.read_text() + said)
