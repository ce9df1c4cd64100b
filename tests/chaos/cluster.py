"""A Kafka of three brokers on this machine, each of them a process that a scenario may kill, stop and start again.

Every node is broker and controller, as small clusters are run. Topics have three replicas, and two have to be in sync
for a record to be acknowledged: what docs/reliability.md asks of production.
"""

import base64
import signal
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from aiokafka.errors import KafkaError

from app.admin import administering
from app.broker import jars, storage
from app.broker.folder import Folder
from app.broker.ready import HOST, free_port
from app.settings import Settings

NODES = 3
INSYNC = 2
PROPERTIES = {
    "default.replication.factor": str(NODES),
    "min.insync.replicas": str(INSYNC),
    "offsets.topic.replication.factor": str(NODES),
    "offsets.topic.num.partitions": str(NODES),  # so that every node coordinates something
    "transaction.state.log.replication.factor": str(NODES),
    "transaction.state.log.min.isr": str(INSYNC),
    "transaction.state.log.num.partitions": str(NODES),
    "broker.session.timeout.ms": "6000",  # 9 s by default; until then nobody knows that a killed broker is gone
    "broker.heartbeat.interval.ms": "1000",
}
STOP_SECONDS = 60.0


class Node:
    """One broker.

    Attributes:
        port: for clients, on 127.0.0.1; it keeps it.
        controller: its port for the other controllers.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        self.port = free_port()
        self.controller = free_port()
        self._folder = Folder(folder)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def voter(self) -> str:
        """How the others find it."""
        return f"{self.number}@{HOST}:{self.controller}"

    def format(self, cluster: str, voters: str) -> None:
        """Write its configuration, and make its folder one of this cluster."""
        self._folder.path.mkdir(parents=True)
        storage.configure(self._folder, self.port, self.controller, PROPERTIES | {"node.id": str(self.number)})
        with self._folder.properties.open("a") as file:
            file.write(f"controller.quorum.voters={voters}\n")  # Java takes the last line of a name
        *options, _, properties = self._command()
        tool = [*options, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", properties]
        subprocess.run(tool, cwd=self._folder.path, capture_output=True, check=True)

    def start(self) -> None:
        """Start it; it answers some seconds later."""
        with self._folder.log.open("ab") as log:
            self._process = subprocess.Popen(self._command(), cwd=self._folder.path, stdout=log, stderr=log)

    def signal(self, which: signal.Signals) -> None:
        """Send it a signal; one that ends it is waited for."""
        assert self._process is not None
        self._process.send_signal(which)
        if which in (signal.SIGKILL, signal.SIGTERM):
            self._process.wait(STOP_SECONDS)

    def end(self) -> None:
        """Leave nothing behind."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _command(self) -> list[str]:
        return storage.command(self._folder, jars.java(), jars.classpath())


@contextmanager
def clustered(folder: Path) -> Iterator[list[Node]]:
    """Three nodes, formatted and started; none of them outlives the block."""
    nodes = [Node(folder / f"node-{number}", number) for number in range(1, NODES + 1)]
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    with ExitStack() as stack:
        voters = ",".join(node.voter for node in nodes)
        with ThreadPoolExecutor() as side_by_side:  # a JVM each, and it is mostly their start
            list(side_by_side.map(lambda node: node.format(cluster, voters), nodes))
        for node in nodes:
            stack.callback(node.end)
            node.start()
        yield nodes


def addresses(nodes: list[Node]) -> str:
    """Of all nodes, for clients."""
    return ",".join(f"{HOST}:{node.port}" for node in nodes)


async def is_whole(settings: Settings) -> bool:
    """Whether all brokers are there, and every replica of every partition is in sync."""
    try:
        async with administering(settings) as admin:
            brokers = len((await admin.describe_cluster())["brokers"])
            topics = await admin.describe_topics()
    except (KafkaError, OSError):
        return False
    behind = [one for topic in topics for one in topic["partitions"] if len(one["isr"]) < len(one["replicas"])]
    return brokers == NODES and not behind
