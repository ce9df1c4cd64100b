"""The embedded Kafka: a real broker for the demo, the tests and the benchmarks, from Python packages alone.

    with embedded() as broker:
        connect(broker.bootstrap_servers)

Three processes: the user, a supervisor, Java. They find each other by locks in the broker's folder, not by process ids:
the kernel takes a lock back however its holder dies, so a broker is never shared by mistake and never left behind.
"""

from app.broker.errors import BrokerError, Reason
from app.broker.server import Broker, bootstrap, default_folder, embedded, find, join

__all__ = ["Broker", "BrokerError", "Reason", "bootstrap", "default_folder", "embedded", "find", "join"]
